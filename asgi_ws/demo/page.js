// The page at /: one WebSocket, its state, and the messages in both directions.

import { closeText, elements, shown, StatusLine, webSocketURL } from "./common.js";
import { Log } from "./log.js";
import { ReconnectingSocket } from "./reconnecting-socket.js";

const MAX_ENTRIES = 200;
const MAX_SHOWN = 2000;

const element = elements(
  "connection", "url", "protocol", "toggle", "url-error", "state", "retry", "clear", "log", "entries", "newer", "form",
  "message", "send", "message-error", "sent", "received", "last", "fastest", "enter", "room",
);
const status = new StatusLine(element);
const log = new Log(element, MAX_ENTRIES);

// The current socket; null before the first connection.
let socket = null;
let counts;
// When the last message was sent; null if one was received since.
let sentAt = null;
let lastEvent = "";

// -- the connection

function connect() {
  element["url-error"].textContent = "";
  try {
    socket = new ReconnectingSocket(checkedURL(), { protocols: protocols(), onState, onMessage });
    socket.connect();
  } catch (error) {
    socket = null;
    element["url-error"].textContent = error.message;
  }
}

function checkedURL() {
  let url;
  try {
    url = webSocketURL(element.url.value.trim());
  } catch {
    throw new Error("This is not a URL. Write a path such as /ws, or a URL that starts with ws:// or wss://.");
  }
  // The Content-Security-Policy of this page forbids other hosts.
  if (url.host !== location.host) {
    throw new Error(`This page can connect only to its own server, ${location.host}.`);
  }
  element.url.value = url.href;
  return url;
}

function protocols() {
  return element.protocol.value.split(",").map((name) => name.trim()).filter(Boolean);
}

function isClosed() {
  return socket === null || socket.state === "closed";
}

function onState(state, detail) {
  const text = {
    connecting: () => "Connecting…",
    open: () => (socket.protocol ? `Connected with the subprotocol ${socket.protocol}` : "Connected"),
    waiting: () => withCode(detail),
    closed: () => withCode(detail),
  }[state]();
  status.show(state, text, detail?.wait);
  element.url.readOnly = element.protocol.readOnly = state !== "closed";
  element.toggle.classList.toggle("primary", state === "closed");
  element.toggle.textContent = { closed: "Connect", waiting: "Stop trying" }[state] ?? "Disconnect";
  // Not `disabled`, which would take the focus from the button when the connection ends.
  element.send.setAttribute("aria-disabled", String(state !== "open"));
  if (state !== "connecting" && text !== lastEvent) {
    lastEvent = text;
    addEntry("event", text);
  }
}

function withCode(detail) {
  return `${closeText(detail)}${detail.code === undefined ? "" : ` (code ${detail.code})`}`;
}

function onMessage(data) {
  let delay = "";
  if (sentAt !== null) {
    const milliseconds = performance.now() - sentAt;
    sentAt = null;
    counts.fastest = Math.min(counts.fastest, milliseconds);
    delay = element.last.textContent = inMilliseconds(milliseconds);
    element.fastest.textContent = inMilliseconds(counts.fastest);
  }
  count("received", data);
  addEntry("received", data, delay);
}

// -- the messages

// Return what to send for the text in the composer: text, or bytes. Throws an Error that says what is expected.
function encoded(type, text) {
  if (type === "json") {
    try {
      JSON.parse(text);
    } catch (error) {
      throw new Error(`Not sent, because this is not JSON: ${error.message}`);
    }
  } else if (type === "binary") {
    const digits = text.replace(/\s/g, "");
    if (!/^([0-9a-f]{2})*$/i.test(digits)) {
      throw new Error("Not sent, because this is not hex: write two digits (0-9, a-f) for each byte, such as 48 69 0a.");
    }
    return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16)).buffer;
  }
  return text;
}

function count(direction, data) {
  const total = counts[direction];
  total.messages += 1;
  total.bytes += typeof data === "string" ? new TextEncoder().encode(data).length : data.byteLength;
  element[direction].textContent = `${total.messages} (${total.bytes} ${total.bytes === 1 ? "byte" : "bytes"})`;
}

function clear() {
  log.clear();
  counts = { sent: { messages: 0, bytes: 0 }, received: { messages: 0, bytes: 0 }, fastest: Infinity };
  element.sent.textContent = element.received.textContent = "0";
  element.last.textContent = element.fastest.textContent = "–";
}

function addEntry(kind, data, time = "") {
  const item = document.createElement("li");
  item.className = kind;
  if (kind === "event") {
    // The status line has announced it.
    item.setAttribute("aria-live", "off");
  }
  item.append(shown("span", "kind", kind), content(data), shown("span", "time", time));
  log.append(item);
}

function content(data) {
  if (typeof data === "string") {
    return shown("span", "text", shorten(data));
  }
  const bytes = new Uint8Array(data);
  const hex = Array.from(bytes.subarray(0, MAX_SHOWN), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const more = bytes.length > MAX_SHOWN ? " …" : "";
  const text = shown("span", "text", hex + more);
  text.prepend(shown("span", "note", `${bytes.length} ${bytes.length === 1 ? "byte" : "bytes"}`));
  const readable = decoded(bytes);
  if (readable) {
    text.append(shown("span", "note", `as text: ${shorten(readable)}`));
  }
  return text;
}

// Return bytes as text, or "" if they are not printable UTF-8.
function decoded(bytes) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return /^[^\p{C}]*$/u.test(text.replace(/[\t\r\n]/g, "")) ? text : "";
  } catch {
    return "";
  }
}

function shorten(text) {
  const rest = text.length - MAX_SHOWN;
  return rest > 0 ? `${text.slice(0, MAX_SHOWN)}… (${rest} more characters)` : text;
}

function inMilliseconds(time) {
  return `${time.toFixed(1)} ms`;
}

// -- the visitor

element.connection.addEventListener("submit", (event) => {
  event.preventDefault();
  if (isClosed()) {
    connect();
  } else if (!document.activeElement.matches("input")) {
    // The button, and not Enter in a field.
    socket.close();
  }
});

element.form.addEventListener("submit", (event) => {
  event.preventDefault();
  element["message-error"].textContent = "";
  if (socket?.state !== "open") {
    return;
  }
  try {
    const data = encoded(element.form.elements.type.value, element.message.value);
    sentAt = performance.now();
    socket.send(data);
    count("sent", data);
    addEntry("sent", data);
    log.toEnd();
    element.message.value = "";
  } catch (error) {
    element["message-error"].textContent = error.message;
  }
  element.message.focus();
});

element.message.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    element.form.requestSubmit();
  }
});

element.clear.addEventListener("click", clear);

element.enter.addEventListener("submit", (event) => {
  event.preventDefault();
  location.assign(`chat/${encodeURIComponent(element.room.value.toWellFormed())}`);
});

// `?url=../notes&protocol=v1` fills in the form. A link alone does not connect: the visitor does.
const query = new URLSearchParams(location.search);
clear();
element.protocol.value = query.get("protocol") ?? "";
element.url.value = query.get("url") ?? webSocketURL("ws").href;
if (query.has("url")) {
  status.show("closed", "Not connected");
  element.toggle.classList.add("primary");
} else {
  connect();
}
