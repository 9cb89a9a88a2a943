"""An application that sends more than a client reads: one function for each WebSocket, and a large HTTP response."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from asgi_ws import App, Route, http_app
from asgi_ws._asgi import Receive, Scope, Send
from tests.servers.journal import Journal

from .call import Call, failure
from .handlers import echo
from .probe import hello

LARGE: Final = 8 * 1024 * 1024
# In so many iterations of the loop all that can be sent at once has been sent.
_ITERATIONS: Final = 50

journal: Final = Journal()
_http = App(
    [
        Route("/hello", hello),
        Route("/events/{id}", http_app(journal.read)),
        Route("/go/{id}", http_app(journal.go), methods=["POST"]),
    ]
)


async def _rest() -> None:
    for _ in range(_ITERATIONS):
        await asyncio.sleep(0)


def _numbered(call: Call, number: int) -> Awaitable[None]:
    return call.data(number.to_bytes(4) + bytes(call.number("size") - 4))


async def storm(call: Call) -> None:
    """Sends `count` messages of `size` bytes, each by a task of its own, and notes how many were taken at first."""
    await call.accept()
    tasks = [asyncio.ensure_future(_numbered(call, number)) for number in range(call.number("count"))]
    await _rest()
    call.note("taken", sum(task.done() for task in tasks))
    if "give_up" in call.query:
        # Every second one of those that wait, and first of all the one whose turn is next.
        waiting = [task for task in tasks if not task.done()]
        for task in waiting[::2]:
            task.cancel()
        call.note("cancelled", *(tasks.index(task) for task in waiting[::2]))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    call.note("failed", *{failure(error)[0] for error in results if error is not None})
    await call.close(4000)


async def same(call: Call) -> None:
    """Sends one text of `size` characters by `count` tasks, until the client has left."""
    await call.accept()
    message = "x" * call.number("size")
    tasks = [asyncio.ensure_future(call.text(message)) for _ in range(call.number("count"))]
    await _rest()
    call.note("taken", sum(task.done() for task in tasks))
    await asyncio.gather(*tasks, return_exceptions=True)


async def close_last(call: Call) -> None:
    """Two tasks close behind messages that wait; then a message comes too late."""
    await call.accept()
    tasks = [asyncio.ensure_future(_numbered(call, number)) for number in range(call.number("count"))]
    await _rest()
    closes = [asyncio.ensure_future(call.close(code)) for code in (4001, 4002)]
    await _rest()
    late = asyncio.ensure_future(call.text("late"))
    await call.tries("bad", {"type": "websocket.close", "code": 1005})
    call.note("waits", not closes[0].done())
    results = await asyncio.gather(*tasks, *closes, late, return_exceptions=True)
    call.note("results", *(type(result).__name__ for result in results))


async def close_hastily(call: Call) -> None:
    """Gives up a close that waits behind messages."""
    await call.accept()
    tasks = [asyncio.ensure_future(_numbered(call, number)) for number in range(call.number("count"))]
    await _rest()
    close = asyncio.ensure_future(call.close())
    await _rest()
    close.cancel()
    results = await asyncio.gather(*tasks, close, return_exceptions=True)
    call.note("last", type(results[-1]).__name__, type(results[-2]).__name__)
    await call.receive()


async def deny_in_pieces(call: Call) -> None:
    """Denies with a body that no buffer takes, in pieces, and notes how many were taken at first."""
    await call.connect()
    await call.send({"type": "websocket.http.response.start", "status": 403, "headers": []})
    sent = 0

    async def send() -> None:
        nonlocal sent
        for _ in range(call.number("count")):
            piece = bytes(call.number("size"))
            await call.send({"type": "websocket.http.response.body", "body": piece, "more_body": True})
            sent += 1
        await call.send({"type": "websocket.http.response.body"})

    sending = asyncio.ensure_future(send())
    await _rest()
    call.note("taken", sent)
    await sending


_ALL: Final[tuple[Callable[[Call], Awaitable[None]], ...]] = (
    echo,
    storm,
    same,
    close_last,
    close_hastily,
    deny_in_pieces,
)
_BY_NAME: Final = {function.__name__: function for function in _ALL}


async def _large(scope: Scope, send: Send) -> None:
    length = b"%d" % LARGE
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": bytes(LARGE)})
    journal.note(scope["query_string"].decode(), "responded")


async def _slow(receive: Receive, send: Send, name: str) -> None:
    """Responds when the client's word comes, unless the client leaves before; notes how it ended."""
    await receive()
    journal.note(name, "asked")
    go = asyncio.ensure_future(journal.until(name, "go"))
    leaving = asyncio.ensure_future(receive())
    await asyncio.wait([go, leaving], return_when=asyncio.FIRST_COMPLETED)
    if leaving.done():
        go.cancel()
        journal.note(name, "end", leaving.result()["type"])
        return
    leaving.cancel()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"slow"})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`/ws/<name>?id=<name of the notes>`; by HTTP `/large` and `/slow`, each with `?<name of the notes>`."""
    if scope["type"] == "websocket":
        call = Call(journal, scope, receive, send)
        await _BY_NAME[scope["path"].rpartition("/")[2]](call)
        call.note("end", "returned")
    elif scope["path"] == "/large":
        await _large(scope, send)
    elif scope["path"] == "/slow":
        await _slow(receive, send, scope["query_string"].decode())
    else:
        await _http(scope, receive, send)
