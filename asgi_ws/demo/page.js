// One WebSocket to /ws, its state, and a log of what was sent and received.

const MAX_ENTRIES = 200;
const MAX_SHOWN_CHARACTERS = 2000;

// Relative to the page, so that a root path in front of both is kept.
const url = new URL("ws", location.href);
url.protocol = location.protocol === "https:" ? "wss:" : "ws:";

const element = Object.fromEntries(
  ["url", "toggle", "state", "log", "entries", "form", "message", "send", "sent", "received", "last", "shortest"].map(
    (id) => [id, document.getElementById(id)],
  ),
);

// The states after which there is no connection, and the button makes a new one.
const ENDED = new Set(["closed", "lost", "failed"]);

// The current connection; null when there is none.
let socket = null;
// When each message went out that is not answered yet; answers come in the same order.
let pending = [];
let shortest = Infinity;
const sent = { messages: 0, bytes: 0 };
const received = { messages: 0, bytes: 0 };

function showState(state, text) {
  element.state.dataset.state = state;
  element.state.textContent = text;
  element.toggle.dataset.action = ENDED.has(state) ? "connect" : "disconnect";
  element.toggle.textContent = ENDED.has(state) ? "Reconnect" : "Disconnect";
  // Not `disabled`, which would take the focus away from whoever stands on it when the connection ends.
  element.send.setAttribute("aria-disabled", String(state !== "connected"));
  if (state !== "closing") {
    addEntry("event", text);
  }
}

function addEntry(kind, text, time = "") {
  const { log, entries } = element;
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  const item = document.createElement("li");
  item.className = kind;
  if (kind === "event") {
    // The status line announces it already.
    item.setAttribute("aria-live", "off");
  }
  for (const [name, content] of Object.entries({ kind, text: shorten(text), time })) {
    const part = document.createElement("span");
    part.className = name;
    part.textContent = content;
    item.append(part);
  }
  entries.append(item);
  while (entries.children.length > MAX_ENTRIES) {
    entries.firstElementChild.remove();
  }
  if (atEnd) {
    log.scrollTop = log.scrollHeight;
  }
}

function shorten(text) {
  const rest = text.length - MAX_SHOWN_CHARACTERS;
  return rest > 0 ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}… (${rest} more characters)` : text;
}

function count(total, text, output) {
  total.messages += 1;
  total.bytes += new TextEncoder().encode(text).length;
  output.textContent = `${total.messages} (${total.bytes} ${total.bytes === 1 ? "byte" : "bytes"})`;
}

function showRoundTrip(milliseconds) {
  shortest = Math.min(shortest, milliseconds);
  element.last.textContent = inMilliseconds(milliseconds);
  element.shortest.textContent = inMilliseconds(shortest);
}

function inMilliseconds(time) {
  return `${time.toFixed(1)} ms`;
}

function connect() {
  let opened = false;
  pending = [];
  socket = new WebSocket(url);
  showState("connecting", "Connecting…");

  socket.addEventListener("open", () => {
    opened = true;
    showState("connected", "Connected");
  });
  socket.addEventListener("message", ({ data }) => {
    const milliseconds = performance.now() - pending.shift();
    count(received, data, element.received);
    addEntry("received", data, inMilliseconds(milliseconds));
    showRoundTrip(milliseconds);
  });
  socket.addEventListener("close", ({ code, reason }) => {
    socket = null;
    showState(...ending(opened, code, reason));
  });
}

function disconnect() {
  showState("closing", "Closing…");
  socket.close(1000);
}

// A browser tells no more than code 1006 of a connection that broke or never came to be (RFC 6455 section 7.1.5).
function ending(opened, code, reason) {
  const detail = `code ${code}${reason ? `: ${reason}` : ""}`;
  if (code !== 1006 || element.state.dataset.state === "closing") {
    return ["closed", `Closed (${detail})`];
  }
  return opened ? ["lost", `Connection lost (${detail})`] : ["failed", `Failed: no connection (${detail})`];
}

element.toggle.addEventListener("click", () => (socket === null ? connect() : disconnect()));

element.form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket?.readyState !== WebSocket.OPEN) {
    return;
  }
  const text = element.message.value;
  pending.push(performance.now());
  socket.send(text);
  count(sent, text, element.sent);
  addEntry("sent", text);
  element.message.value = "";
  element.message.focus();
});

element.url.textContent = url.href;
connect();
