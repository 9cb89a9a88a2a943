"""A server for the load generator's tests: the path says how honest it is. Prints its ports as JSON when it listens."""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request, Response

Message = str | bytes
Lie = Callable[[ServerConnection, Message], Awaitable[None]]

# The message with a wrong reply: neither the first nor the last.
AT = 5
FLOOD = b"x" * 65536

# In the order of joining: a client that never reads blocks those after it.
room: dict[ServerConnection, None] = {}
counts: Counter[str] = Counter()


async def right(ws: ServerConnection, message: Message) -> None:
    await ws.send(message)


async def wrong(ws: ServerConnection, message: Message) -> None:
    await ws.send("?" + str(message)[1:])


async def missing(ws: ServerConnection, message: Message) -> None:
    """Do not reply."""


async def doubled(ws: ServerConnection, message: Message) -> None:
    await ws.send(message)
    await ws.send(message)


async def swapped(ws: ServerConnection, message: Message) -> None:
    following = await ws.recv()
    await ws.send(following)
    await ws.send(message)


async def kind(ws: ServerConnection, message: Message) -> None:
    await ws.send(str(message).encode())


async def fragments(ws: ServerConnection, message: Message) -> None:
    await ws.send([str(message)[:3], str(message)[3:]])


async def closes(ws: ServerConnection, message: Message) -> None:
    await ws.close(1011, "enough")


async def drops(ws: ServerConnection, message: Message) -> None:
    ws.transport.abort()


async def garbage(ws: ServerConnection, message: Message) -> None:
    ws.transport.write(b"\x8f\x00")


async def dies(ws: ServerConnection, message: Message) -> None:
    os._exit(1)


async def sleeps(ws: ServerConnection, message: Message) -> None:
    time.sleep(0.3)
    await ws.send(message)


async def pings(ws: ServerConnection, message: Message) -> None:
    """Send a ping after the reply and in the same segment, so that the ping is read last."""
    await ws.send(message)
    await ws.ping()


async def chatters(ws: ServerConnection, message: Message) -> None:
    """Send one reply too many, but only when none is pending."""
    await ws.send(message)
    await asyncio.sleep(0.02)
    await ws.send(message)


LIES: dict[str, Lie] = {
    f"/{lie.__name__}": lie
    for lie in (
        wrong, missing, doubled, swapped, kind, fragments, closes, drops, garbage, dies, sleeps, pings, chatters,
    )
}  # fmt: skip


async def echo(ws: ServerConnection, path: str) -> None:
    number = 0
    async for message in ws:
        number += 1
        counts[path] += 1
        await (LIES.get(path, right) if number == AT else right)(ws, message)


async def answer(ws: ServerConnection, path: str) -> None:
    async for _ in ws:
        counts[path] += 1
        await ws.send("OK?" if path == "/ws-wrong" else "OK!")
        if path == "/ws-drops":
            ws.transport.abort()


async def fanout(ws: ServerConnection, path: str) -> None:
    room[ws] = None
    number = 0
    try:
        if path == "/stall":
            for _ in range(128):
                await ws.send(FLOOD)
        async for message in ws:
            number += not str(message).startswith("?")
            for member in list(room):
                if path == "/fanout-lost" and number == AT and member is not ws:
                    continue
                await member.send(message)
                counts[path] += not str(message).startswith("?")
    finally:
        del room[ws]


async def serve_one(ws: ServerConnection) -> None:
    assert ws.request is not None
    path = ws.request.path
    try:
        if path == "/counts":
            await ws.send(json.dumps(counts))
        elif path == "/never":
            await ws.wait_closed()
        elif path.startswith("/ws"):
            await answer(ws, path)
        elif path.startswith(("/fanout", "/stall")):
            await fanout(ws, path)
        else:
            await echo(ws, path)
    except ConnectionClosed:
        pass


def refuse(ws: ServerConnection, request: Request) -> Response | None:
    return ws.respond(HTTPStatus.FORBIDDEN, "no\n") if request.path == "/refuses" else None


async def main() -> None:
    forgetful = ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_max_window_bits=10)
    async with (
        serve(serve_one, "127.0.0.1", 0, process_request=refuse, compression=None) as plain,
        serve(serve_one, "127.0.0.1", 0) as deflate,
        serve(serve_one, "127.0.0.1", 0, extensions=[forgetful], compression=None) as bounded,
        await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0) as silent,
    ):
        sockets = {
            "plain": plain.sockets, "deflate": deflate.sockets, "bounded": bounded.sockets, "silent": silent.sockets,
        }  # fmt: skip
        ports = {name: next(iter(listening)).getsockname()[1] for name, listening in sockets.items()}
        sys.stdout.write(json.dumps(ports) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
