"""The application on nothing: one ASGI function, and no more checks than the protocol makes."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .flood import flood

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

room: set[Send] = set()


async def app(scope: Event, receive: Receive, send: Send) -> None:
    """Serve one scope."""
    if scope["type"] == "websocket":
        await serve_websocket(scope["path"], receive, send)
    elif scope["type"] == "http":
        await serve_http(scope["path"], send)
    else:
        await serve_lifespan(receive, send)


async def serve_lifespan(receive: Receive, send: Send) -> None:
    """Answer start and stop at once."""
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def serve_http(path: str, send: Send) -> None:
    """Answer `/hello`, and 404 elsewhere."""
    status, body = (200, b"Hello, World!") if path == "/hello" else (404, b"Not Found")
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def serve_websocket(path: str, receive: Receive, send: Send) -> None:
    """Accept, and serve the path; an unknown one is refused."""
    await receive()
    if path not in ("/ws", "/echo", "/fanout", "/stall"):
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept"})
    if path == "/ws":
        await answer(receive, send)
    elif path == "/echo":
        await echo(receive, send)
    else:
        await take_part(receive, send, flooded=path == "/stall")


async def answer(receive: Receive, send: Send) -> None:
    """Send the same answer to every message."""
    while (await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": "OK!"})


async def echo(receive: Receive, send: Send) -> None:
    """Send every message back."""
    while (event := await receive())["type"] == "websocket.receive":
        await send(sent_back(event))


async def take_part(receive: Receive, send: Send, *, flooded: bool) -> None:
    """Serve a member of the room, which may be sent the flood first."""
    room.add(send)
    try:
        if flooded:
            for message in flood():
                await send({"type": "websocket.send", "bytes": message})
        while (event := await receive())["type"] == "websocket.receive":
            await publish(sent_back(event))
    except OSError:
        # It left in the flood. A send to who is gone raises an OSError (ASGI, "Send - send event").
        return
    finally:
        room.discard(send)


async def publish(event: Event) -> None:
    """Send one event to everyone."""
    for send in tuple(room):
        try:
            await send(event)
        except OSError:
            # It left meanwhile; its own handler takes it out of the room.
            continue


def sent_back(event: Event) -> Event:
    """Return the event that sends a message back. Either key may be absent, and one of them is not None."""
    text = event.get("text")
    if text is not None:
        return {"type": "websocket.send", "text": text}
    return {"type": "websocket.send", "bytes": event["bytes"]}
