// The peer on Node.js: the ws package, its loop over the clients for the room and its heartbeat, as its README has them.
//
//     npm install --prefix benchmarks/peers/node
//     node benchmarks/peers/node/ws_server.mjs --port N [--deflate] [--ping-interval SECONDS]

import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { parseArgs } from "node:util";

const HOST = "127.0.0.1";
// What uvicorn is started with, so that a storm of connections finds the same queue everywhere.
const BACKLOG = 4096;
// The flood of benchmarks/apps/flood.py.
const FLOOD_MESSAGES = 128;
const FLOOD_MESSAGE_BYTES = 64 * 1024;

function fail(reason) {
  process.stderr.write(`ws_server: ${reason}\n`);
  process.exit(1);
}

function parseOptions() {
  const known = {
    port: { type: "string" },
    deflate: { type: "boolean", default: false },
    "ping-interval": { type: "string", default: "20" },
  };
  try {
    const { values } = parseArgs({ options: known });
    const port = Number(values.port);
    const pingInterval = Number(values["ping-interval"]);
    if (!Number.isInteger(port)) throw new Error("--port is a number");
    if (!(pingInterval >= 0)) throw new Error("--ping-interval is a number of seconds, or 0 for no pings");
    return { port, deflate: values.deflate, pingInterval };
  } catch (error) {
    return fail(error.message);
  }
}

const options = parseOptions();
const { WebSocket, WebSocketServer } = await import("ws").catch(() =>
  fail("ws is not installed: npm install --prefix benchmarks/peers/node"),
);

const room = new Set();

function answer(ws) {
  ws.on("message", () => ws.send("OK!"));
}

function echo(ws) {
  ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
}

function fanout(ws) {
  room.add(ws);
  ws.on("close", () => room.delete(ws));
  ws.on("message", (data, isBinary) => {
    for (const member of room) {
      if (member.readyState === WebSocket.OPEN) member.send(data, { binary: isBinary });
    }
  });
}

function stall(ws) {
  fanout(ws);
  const message = randomBytes(FLOOD_MESSAGE_BYTES);
  for (let sent = 0; sent < FLOOD_MESSAGES; sent += 1) ws.send(message);
}

const handlers = new Map([
  ["/ws", answer],
  ["/echo", echo],
  ["/fanout", fanout],
  ["/stall", stall],
]);

function hello(request, response) {
  const found = request.url === "/hello";
  response.writeHead(found ? 200 : 404, { "Content-Type": "text/plain" });
  response.end(found ? "Hello, World!" : "Not Found");
}

function heartbeat() {
  this.isAlive = true;
}

function startHeartbeat(wss, seconds) {
  wss.on("connection", (ws) => {
    ws.isAlive = true;
    ws.on("pong", heartbeat);
  });
  setInterval(() => {
    for (const ws of wss.clients) {
      if (ws.isAlive === false) {
        ws.terminate();
      } else {
        ws.isAlive = false;
        ws.ping();
      }
    }
  }, seconds * 1000);
}

const server = createServer(hello);
const wss = new WebSocketServer({ noServer: true, perMessageDeflate: options.deflate });
if (options.pingInterval > 0) startHeartbeat(wss, options.pingInterval);

server.on("upgrade", (request, socket, head) => {
  const handler = handlers.get(request.url);
  if (handler === undefined) {
    socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    return;
  }
  wss.handleUpgrade(request, socket, head, (ws) => {
    // A client that leaves without a word is no error of the server; "close" comes as well.
    ws.on("error", () => {});
    handler(ws);
    wss.emit("connection", ws, request);
  });
});
server.on("error", (error) => fail(`cannot listen on port ${options.port}: ${error.message}`));
try {
  server.listen({ port: options.port, host: HOST, backlog: BACKLOG });
} catch (error) {
  fail(`cannot listen on port ${options.port}: ${error.message}`);
}
