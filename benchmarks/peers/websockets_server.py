"""The peer on the `websockets` package: its asyncio server, and its `broadcast` for the room."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from ..apps.flood import flood
from .options import BACKLOG, Options, parse_options

room: set[ServerConnection] = set()


async def answer(connection: ServerConnection) -> None:
    """Send the same answer to every message."""
    async for _ in connection:
        await connection.send("OK!")


async def echo(connection: ServerConnection) -> None:
    """Send every message back."""
    async for message in connection:
        await connection.send(message)


async def fanout(connection: ServerConnection) -> None:
    """Serve a member of the room."""
    room.add(connection)
    try:
        async for message in connection:
            broadcast(room, message)
    finally:
        room.discard(connection)


async def stall(connection: ServerConnection) -> None:
    """Serve a member of the room, which has to read the flood first."""
    room.add(connection)
    try:
        for message in flood():
            await connection.send(message)
        await fanout(connection)
    finally:
        room.discard(connection)


HANDLERS: Final[dict[str, Callable[[ServerConnection], Awaitable[None]]]] = {
    "/ws": answer,
    "/echo": echo,
    "/fanout": fanout,
    "/stall": stall,
}


def process_request(connection: ServerConnection, request: Request) -> Response | None:
    """Answer requests other than our WebSockets."""
    if request.path in HANDLERS:
        return None
    if request.path == "/hello":
        return connection.respond(HTTPStatus.OK, "Hello, World!")
    return connection.respond(HTTPStatus.NOT_FOUND, "Not Found")


async def handle(connection: ServerConnection) -> None:
    """Serve one connection, to its end."""
    if connection.request is None:
        raise RuntimeError("a handler is called after the handshake")
    try:
        await HANDLERS[connection.request.path](connection)
    except ConnectionClosed:
        # Also where it left without the closing handshake, or in the flood.
        return


async def main(options: Options) -> None:
    """Serve until the process is ended."""
    server = await serve(
        handle,
        sock=options.listen(),
        backlog=BACKLOG,
        compression="deflate" if options.deflate else None,
        ping_interval=options.ping_interval,
        process_request=process_request,
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(parse_options("websockets_server")))
