// One WebSocket to /ws, its state, and a log of what was sent and received.

import { appendEntry, closeDetail, elements, shown, webSocketURL } from "./common.js";

const MAX_ENTRIES = 200;
const MAX_SHOWN_CHARACTERS = 2000;

const url = webSocketURL("ws");

const element = elements(
  "url", "toggle", "state", "log", "entries", "form", "message", "send", "sent", "received", "last", "shortest",
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
  const item = document.createElement("li");
  item.className = kind;
  if (kind === "event") {
    // The status line announces it already.
    item.setAttribute("aria-live", "off");
  }
  item.append(shown("span", "kind", kind), shown("span", "text", shorten(text)), shown("span", "time", time));
  appendEntry(element.log, element.entries, item, MAX_ENTRIES);
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

function ending(opened, code, reason) {
  const detail = closeDetail(code, reason);
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
