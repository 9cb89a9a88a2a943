// A WebSocket that reconnects. This file imports nothing: copy it into your own page.
//
//   const socket = new ReconnectingSocket(url, {
//     onState: (state, detail) => console.log(state, detail),
//     onMessage: (data) => console.log(data),
//   });
//   socket.connect();

// In milliseconds. Before attempt n the wait is random: up to FIRST_WAIT * 2^n, at most LONGEST_WAIT. The randomness
// (jitter) keeps the clients of a restarted server from reconnecting at the same moment.
const FIRST_WAIT = 1000;
const SHORTEST_WAIT = 250;
const LONGEST_WAIT = 20_000;
// A connection that stays open this long resets the waits.
const STABLE = 5000;
// After SILENCE without a message, `probe` is called. Without a message within PATIENCE, the connection is lost.
const SILENCE = 20_000;
const PATIENCE = 10_000;

// After these codes a new connection would end in the same way (RFC 6455 section 7.4.1).
const FINAL = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010]);

// Return true if the client should not reconnect after this close code. 3000 to 4999 belong to the application.
export function isFinal(code) {
  return FINAL.has(standardCode(code)) || standardCode(code) >= 3000;
}

// The server daphne sends 4901 to 4914 in place of 1001 to 1014.
export function standardCode(code) {
  return code > 4900 && code < 4915 ? code - 3900 : code;
}

// `onState(state, detail)` is called with
//   "connecting";
//   "open";
//   "waiting", before the next attempt: { code, reason, opened, wait };
//   "closed", for good: { code, reason, opened }, or {} after `close`.
// `opened` is false if the handshake failed; `wait` is in milliseconds.
// `onMessage(data)` is called with a string or an ArrayBuffer.
// `probe()` sends a message that the server answers. A script cannot send pings, so it notices a dead connection only
// by asking. Leave it out if your protocol has no such message.
export class ReconnectingSocket {
  state = "closed";
  // The current connection, or null.
  #socket = null;
  // How many connections in a row ended before they were stable.
  #failures = 0;
  #retryTimer;
  #stableTimer;
  #watchTimer;

  constructor(url, { protocols = [], onState, onMessage, probe }) {
    this.url = url;
    this.protocols = protocols;
    this.onState = onState;
    this.onMessage = onMessage;
    this.probe = probe;
  }

  // Connect now. In the state "waiting", do not wait for the next attempt.
  // Throws a SyntaxError for an invalid URL or subprotocol.
  connect() {
    const socket = new WebSocket(this.url, this.protocols);
    socket.binaryType = "arraybuffer";
    this.#drop();
    this.#socket = socket;
    this.#watch(PATIENCE, () => this.#end(1006, "no answer"));
    addEventListener("online", this.#wake);
    document.addEventListener("visibilitychange", this.#wake);

    // A socket that was dropped may still have events: only those of the current one count.
    const listen = (type, call) => socket.addEventListener(type, (event) => socket === this.#socket && call(event));
    listen("open", () => {
      this.#stableTimer = setTimeout(() => (this.#failures = 0), STABLE);
      this.#heard();
      this.#enter("open");
    });
    listen("message", ({ data }) => {
      this.#heard();
      this.onMessage(data);
    });
    listen("close", ({ code, reason }) => this.#end(code, reason));
    this.#enter("connecting");
  }

  // Return false if the connection is not open. Nothing is queued: only the application knows what is worth repeating.
  send(data) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      return false;
    }
    this.#socket.send(data);
    return true;
  }

  // The subprotocol that the server chose, or "".
  get protocol() {
    return this.#socket?.protocol ?? "";
  }

  // Close, and do not reconnect until `connect` is called.
  close() {
    this.#failures = 0;
    this.#stop();
    this.#enter("closed", {});
  }

  #enter(state, detail) {
    this.state = state;
    this.onState(state, detail);
  }

  #end(code, reason) {
    const opened = this.state === "open";
    if (isFinal(code)) {
      this.#failures = 0;
      this.#stop();
      this.#enter("closed", { code, reason, opened });
      return;
    }
    this.#drop();
    const wait = Math.max(Math.random() * Math.min(FIRST_WAIT * 2 ** this.#failures, LONGEST_WAIT), SHORTEST_WAIT);
    this.#failures += 1;
    this.#retryTimer = setTimeout(() => this.connect(), wait);
    this.#enter("waiting", { code, reason, opened, wait });
  }

  // The network is back, or the page is visible again: do not wait for a timer, which sleeps with the device.
  #wake = () => {
    if (document.visibilityState === "hidden") {
      return;
    }
    if (this.state === "waiting") {
      this.connect();
    } else if (this.state === "open") {
      this.#ask();
    }
  };

  #heard() {
    clearTimeout(this.#watchTimer);
    if (this.probe) {
      this.#watch(SILENCE, () => this.#ask());
    }
  }

  #ask() {
    if (this.probe) {
      this.#watch(PATIENCE, () => this.#end(1006, "no answer"));
      this.probe();
    }
  }

  #watch(milliseconds, call) {
    clearTimeout(this.#watchTimer);
    this.#watchTimer = setTimeout(call, milliseconds);
  }

  #stop() {
    this.#drop();
    removeEventListener("online", this.#wake);
    document.removeEventListener("visibilitychange", this.#wake);
  }

  // Forget the connection and its timers. The close event of a dead connection may come minutes later.
  #drop() {
    for (const timer of [this.#retryTimer, this.#stableTimer, this.#watchTimer]) {
      clearTimeout(timer);
    }
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }
}
