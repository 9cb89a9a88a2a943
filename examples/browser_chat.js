// Show each message of a chat room once, also after a reconnect.

import { ReconnectingSocket } from "./reconnecting-socket.js";

const room = "lobby";
const url = new URL(`chat/${room}?name=Ada`, location.href);
url.protocol = url.protocol.replace("http", "ws");

// The position of the last message that was shown.
let last = { epoch: "", offset: 0 };
// Messages that arrived before the answer to "sub", which has the ones before them. Null once joined.
let early = null;

const socket = new ReconnectingSocket(url, {
  protocols: "asgi-ws.v1",
  onState: (state, { wait } = {}) => {
    document.title = wait ? `next try in ${Math.ceil(wait / 1000)} s` : state;
    if (state === "open") {
      early = [];
      socket.send(JSON.stringify({ id: 1, type: "sub", room }));
    }
  },
  onMessage: (data) => {
    const message = JSON.parse(data);
    if (message.type === "sub") {
      joined(message);
      early.forEach(show);
      early = null;
    } else if (message.type === "msg") {
      early === null ? show(message) : early.push(message);
    }
  },
  probe: () => socket.send(JSON.stringify({ id: 2, type: "ping" })),
});
socket.connect();

// The answer to "sub" carries the latest messages of the room.
function joined({ epoch, messages }) {
  if (epoch !== last.epoch) {
    // The first visit, or the server was restarted: its offsets begin again.
    last = { epoch, offset: 0 };
  } else if (messages.length > 0 && messages[0].offset > last.offset + 1) {
    write("Some messages are missing here.");
  }
  messages.forEach(show);
}

function show({ offset, data }) {
  if (offset > last.offset) {
    last.offset = offset;
    write(`${data.name}: ${data.text}`);
  }
}

function write(text) {
  const line = document.createElement("p");
  // Not innerHTML: the text is another person's.
  line.textContent = text;
  document.body.append(line);
}
