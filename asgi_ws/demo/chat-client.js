// One member of one chat room: requests and their answers, over a socket that reconnects and joins again.

import { ReconnectingSocket } from "./reconnecting-socket.js";

const PROTOCOL = "asgi-ws.v1";

// The server's answer "error", or the code "lost" if the connection ended before the answer.
export class RequestError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// `onState(state, detail)` is called with the states of ReconnectingSocket, except that "open" is replaced by
//   "joined", with the server's answer, or
//   "refused", with the RequestError; the connection is closed then.
// `onEvent(message)` is called with each message that answers no request, after "joined".
export class ChatClient {
  #socket;
  // The callbacks of pending requests, by id.
  #requests = new Map();
  #lastId = 0;
  // Events that arrived before the answer to "sub", which has the history before them. Null once joined.
  #held = [];

  constructor(url, room, { onState, onEvent }) {
    this.room = room;
    this.onState = onState;
    this.onEvent = onEvent;
    this.#socket = new ReconnectingSocket(url, {
      protocols: PROTOCOL,
      onState: (state, detail) => this.#changed(state, detail),
      onMessage: (data) => this.#received(JSON.parse(data)),
      // Any answer shows that the connection works, an error too.
      probe: () => this.request("ping").catch(() => {}),
    });
  }

  // Connect and join now.
  connect() {
    this.#socket.connect();
  }

  // Leave the room, and do not join again until `connect` is called.
  leave() {
    this.#socket.close();
  }

  // Send a request and return its answer. Throws a RequestError.
  request(type, fields = {}) {
    return new Promise((resolve, reject) => {
      this.#lastId += 1;
      const id = this.#lastId;
      this.#requests.set(id, { resolve, reject });
      if (!this.#socket.send(JSON.stringify({ id, type, room: this.room, ...fields }))) {
        this.#rejectAll("not connected");
      }
    });
  }

  async #changed(state, detail) {
    if (state !== "open") {
      this.#held = [];
      this.#rejectAll("the connection was lost before the answer");
      this.onState(state, detail);
      return;
    }
    try {
      this.onState("joined", await this.request("sub"));
      const held = this.#held;
      this.#held = null;
      held.forEach(this.onEvent);
    } catch (error) {
      if (!(error instanceof RequestError)) {
        throw error;
      }
      if (error.code !== "lost") {
        this.#socket.close();
        this.onState("refused", error);
      }
    }
  }

  #received(message) {
    const request = this.#requests.get(message.id);
    if (request === undefined) {
      if (this.#held === null) {
        this.onEvent(message);
      } else {
        this.#held.push(message);
      }
      return;
    }
    this.#requests.delete(message.id);
    if (message.type === "error") {
      request.reject(new RequestError(message.code, message.message));
    } else {
      request.resolve(message);
    }
  }

  #rejectAll(message) {
    for (const { reject } of this.#requests.values()) {
      reject(new RequestError("lost", message));
    }
    this.#requests.clear();
  }
}
