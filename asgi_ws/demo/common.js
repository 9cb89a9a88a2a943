// Shared by both pages: elements, URLs, and the status line of a connection.

import { standardCode } from "./reconnecting-socket.js";

// Return the elements with these ids, by id.
export function elements(...ids) {
  return Object.fromEntries(ids.map((id) => [id, document.getElementById(id)]));
}

// Resolve a URL against this page and make it ws: or wss:. Relative URLs work under any mount path or proxy prefix.
export function webSocketURL(reference, parameters) {
  const url = new URL(reference, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  if (parameters) {
    url.search = new URLSearchParams(parameters);
  }
  url.hash = "";
  return url;
}

// Return an element with this text. Text from a message is never parsed as HTML.
export function shown(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

const CLOSED = new Map([
  [1001, "The server is shutting down"],
  [1006, "Connection lost"],
  [1008, "The server ended the connection"],
  [1009, "A message was too large for the server"],
  [1011, "The server had an error"],
  [1012, "The server is restarting"],
  [1013, "The server is overloaded"],
]);

// Say in plain words why a connection ended, from the detail of ReconnectingSocket.
export function closeText({ code, reason, opened }) {
  if (code === undefined) {
    return "Disconnected";
  }
  // A script sees 1006 for a refused handshake and an unreachable server alike (RFC 6455 section 7.1.5).
  const words = opened ? CLOSED.get(standardCode(code)) : "No connection";
  return `${words ?? "The server closed the connection"}${reason && `: ${reason}`}`;
}

// The state of a connection in words, and the seconds until the next attempt.
export class StatusLine {
  #timer;

  constructor({ state, retry }) {
    this.state = state;
    this.retry = retry;
  }

  show(state, text, wait) {
    clearInterval(this.#timer);
    this.state.dataset.state = state;
    this.state.textContent = text;
    this.retry.textContent = "";
    if (wait === undefined) {
      return;
    }
    const at = performance.now() + wait;
    // Outside the live region, or a screen reader would read it every second.
    const count = () => {
      this.retry.textContent = `Next try in ${Math.max(Math.ceil((at - performance.now()) / 1000), 1)} s`;
    };
    count();
    this.#timer = setInterval(count, 250);
  }
}
