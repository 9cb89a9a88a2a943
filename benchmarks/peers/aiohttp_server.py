"""The peer on aiohttp: `web.WebSocketResponse`, and for the room the loop of its documentation."""

from typing import Final

import uvloop
from aiohttp import WSMessage, WSMsgType, web

from ..apps.flood import flood
from .options import BACKLOG, Options, parse_options

OPTIONS: Final = web.AppKey("options", Options)
ROOM: Final = web.AppKey("room", set[web.WebSocketResponse])


async def hello(_request: web.Request) -> web.Response:
    """Answer a request."""
    return web.Response(text="Hello, World!")


async def accept(request: web.Request) -> web.WebSocketResponse:
    """Answer the handshake."""
    options = request.app[OPTIONS]
    ws = web.WebSocketResponse(compress=options.deflate, heartbeat=options.ping_interval)
    await ws.prepare(request)
    return ws


async def answer(request: web.Request) -> web.WebSocketResponse:
    """Send the same answer to every message."""
    ws = await accept(request)
    async for _ in ws:
        await ws.send_str("OK!")
    return ws


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Send every message back."""
    ws = await accept(request)
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await ws.send_bytes(message.data)
    return ws


async def fanout(request: web.Request) -> web.WebSocketResponse:
    """Serve a member of the room."""
    return await take_part(request, flooded=False)


async def stall(request: web.Request) -> web.WebSocketResponse:
    """Serve a member of the room, which has to read the flood first."""
    return await take_part(request, flooded=True)


async def take_part(request: web.Request, *, flooded: bool) -> web.WebSocketResponse:
    """Serve one member of the room; one who is flooded gets that first."""
    ws = await accept(request)
    room = request.app[ROOM]
    room.add(ws)
    try:
        if flooded:
            for data in flood():
                await ws.send_bytes(data)
        async for message in ws:
            await publish(room, message)
    except ConnectionResetError:
        # It left in the flood.
        return ws
    finally:
        room.discard(ws)
    return ws


async def publish(room: set[web.WebSocketResponse], message: WSMessage) -> None:
    """Send one message to everyone."""
    for member in tuple(room):
        try:
            if message.type is WSMsgType.TEXT:
                await member.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await member.send_bytes(message.data)
        except ConnectionResetError:
            # It left meanwhile; its own handler takes it out of the room.
            continue


def make_app(options: Options) -> web.Application:
    """Return the application."""
    app = web.Application()
    app[OPTIONS] = options
    app[ROOM] = set()
    app.router.add_get("/hello", hello)
    app.router.add_get("/ws", answer)
    app.router.add_get("/echo", echo)
    app.router.add_get("/fanout", fanout)
    app.router.add_get("/stall", stall)
    return app


def main(options: Options) -> None:
    """Serve until the process is ended."""
    web.run_app(
        make_app(options),
        sock=options.listen(),
        backlog=BACKLOG,
        loop=uvloop.new_event_loop(),
        access_log=None,
        print=None,
        # A member that does not read would hold up an orderly end.
        handle_signals=False,
    )


if __name__ == "__main__":
    main(parse_options("aiohttp_server"))
