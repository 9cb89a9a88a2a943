// One person in one room of the chat: a WebSocket that is made again by itself when it is lost, and its requests.

import { closeDetail } from "./common.js";

const PROTOCOL = "asgi-ws.v1";

// In milliseconds. Before the n-th try in a row there is a wait of a random part of FIRST_DELAY * 2^n, so that the
// visitors of a server that was started again do not all come in the same moment.
const FIRST_DELAY = 1000;
const LONGEST_DELAY = 20_000;
const SHORTEST_DELAY = 250;
// A connection that lasted this long was a good one.
const STABLE = 5000;
// After this long without a message the server is asked whether it is there, and has so long to answer.
const SILENCE = 20_000;
const PATIENCE = 10_000;

// What the server answered instead; `code` is "lost" where the connection was lost before the answer.
export class RequestError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// `onState(state, detail, wait)` is called with
//   "connecting"; "connected", once the room is joined, with the server's answer; "refused", with the RequestError;
//   "waiting" for the next try, with why and for how many milliseconds; "closed", after `leave`.
// `onEvent(message)` is called with what the server says unasked.
export class ChatClient {
  // The current connection; null when there is none.
  #socket = null;
  // The callbacks of requests without an answer, by their ids.
  #requests = new Map();
  #lastId = 0;
  // How many connections in a row were no good ones.
  #failures = 0;
  #retryTimer;
  #watchTimer;
  #stableTimer;

  constructor(url, room, { onState, onEvent }) {
    this.url = url;
    this.room = room;
    this.onState = onState;
    this.onEvent = onEvent;
  }

  // Connect at once, also where a try was planned for later.
  connect() {
    this.#drop();
    const socket = new WebSocket(this.url, PROTOCOL);
    this.#socket = socket;
    this.onState("connecting");
    this.#watch(PATIENCE, () => this.#lose("no answer"));
    socket.addEventListener("open", () => this.#subscribe(socket));
    socket.addEventListener("message", ({ data }) => socket === this.#socket && this.#take(JSON.parse(data)));
    socket.addEventListener("close", ({ code, reason }) => {
      if (socket === this.#socket) {
        this.#lose(closeDetail(code, reason));
      }
    });
  }

  // Leave the room, and do not come back without `connect`.
  leave() {
    this.#failures = 0;
    this.#drop();
    this.onState("closed");
  }

  // Send a request; its answer, or a RequestError.
  request(type, fields = {}) {
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) {
        reject(new RequestError("lost", "there is no connection"));
        return;
      }
      this.#lastId += 1;
      this.#requests.set(this.#lastId, { resolve, reject });
      this.#socket.send(JSON.stringify({ id: this.#lastId, type, room: this.room, ...fields }));
    });
  }

  async #subscribe(socket) {
    try {
      const answer = await this.request("sub");
      this.#stableTimer = setTimeout(() => (this.#failures = 0), STABLE);
      this.onState("connected", answer);
    } catch (error) {
      if (socket === this.#socket && error.code !== "lost") {
        this.#drop();
        this.onState("refused", error);
      }
    }
  }

  #take(message) {
    this.#watch(SILENCE, () => this.#ask());
    const request = this.#requests.get(message.id);
    if (request === undefined) {
      this.onEvent(message);
      return;
    }
    this.#requests.delete(message.id);
    if (message.type === "error") {
      request.reject(new RequestError(message.code, message.message));
    } else {
      request.resolve(message);
    }
  }

  #ask() {
    this.#watch(PATIENCE, () => this.#lose("no answer"));
    // Who answers is taken note of in #take, whatever the answer.
    this.request("ping").catch(() => {});
  }

  #watch(milliseconds, call) {
    clearTimeout(this.#watchTimer);
    this.#watchTimer = setTimeout(call, milliseconds);
  }

  #lose(why) {
    this.#drop();
    const longest = Math.min(FIRST_DELAY * 2 ** this.#failures, LONGEST_DELAY);
    const wait = Math.max(Math.random() * longest, SHORTEST_DELAY);
    this.#failures += 1;
    this.#retryTimer = setTimeout(() => this.connect(), wait);
    this.onState("waiting", why, wait);
  }

  // Forget the connection and all that goes with it. A dead one is not waited for: its close event may take minutes.
  #drop() {
    for (const timer of [this.#retryTimer, this.#watchTimer, this.#stableTimer]) {
      clearTimeout(timer);
    }
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
    for (const { reject } of this.#requests.values()) {
      reject(new RequestError("lost", "the connection was lost before the answer"));
    }
    this.#requests.clear();
  }
}
