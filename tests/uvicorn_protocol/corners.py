"""Applications that do what few do: one function for each, under `/ws/<name>`, with the probe's notes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from asgi_ws import App, Route, http_app
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.extensions import ABORT_EXTENSION
from tests.servers.journal import Journal

from .call import Call, message_of
from .probe import hello

_MIB: Final = 1024 * 1024

journal: Final = Journal()
_http = App(
    [
        Route("/hello", hello),
        Route("/events/{id}", http_app(journal.read)),
        Route("/go/{id}", http_app(journal.go), methods=["POST"]),
    ]
)

# Calls of `send_for_another` whose client has left.
_ended: Final[list[Call]] = []


async def return_a_value(call: Call) -> object:
    await call.accept()
    return 5


async def change_the_client(call: Call) -> None:
    """What a middleware may do to the scope; a client is two things, and this is one."""
    call.scope["client"] = ("10.0.0.1",)
    await call.accept()
    await call.close()


async def receive_twice(call: Call) -> None:
    """Two tasks receive at once, then one of them is given up."""
    await call.accept()
    # Both wait by the time at which the client sends.
    both = [asyncio.create_task(call.receive()) for _ in range(2)]
    await call.go()
    call.note("both", *map(message_of, await asyncio.gather(*both)))
    third = asyncio.create_task(call.receive())
    await asyncio.sleep(0)
    third.cancel()
    call.note("third", message_of(await call.receive()))
    assert (await asyncio.gather(third, return_exceptions=True))[0].__class__ is asyncio.CancelledError
    await call.close()


async def abort_at_the_end(call: Call) -> None:
    """Aborts what is gone already."""
    await call.accept()
    await call.receive()
    await call.go()
    await call.send({"type": ABORT_EXTENSION})
    await call.receive()


async def abort_unread(call: Call) -> None:
    """Aborts while so much is unread that the transport does not read."""
    await call.accept()
    await call.go()
    await call.send({"type": ABORT_EXTENSION})
    async for message in call.messages():
        call.note("received", len(message))


async def deny_at_length(call: Call) -> None:
    """A part of a denial that no buffer takes, and one behind it; then it gives up."""
    await call.connect()
    await call.send({"type": "websocket.http.response.start", "status": 403, "headers": []})
    await call.send({"type": "websocket.http.response.body", "body": bytes(16 * _MIB), "more_body": True})
    await call.send({"type": "websocket.http.response.body", "body": b"more", "more_body": True})
    call.note("sent")


async def fail_in_a_denial(call: Call) -> None:
    """Fails when a part of its denial cannot be sent."""
    await call.connect()
    await call.send({"type": "websocket.http.response.start", "status": 403, "headers": []})
    await call.send({"type": "websocket.http.response.body", "body": bytes(16 * _MIB), "more_body": True})
    call.note("waits")
    try:
        await call.send({"type": "websocket.http.response.body", "body": b"more", "more_body": True})
    except OSError:
        raise RuntimeError("this is not the client's leaving") from None


async def send_for_another(call: Call) -> None:
    """Sends to a connection that has ended, by the `send` of that one."""
    await call.accept()
    ended = _ended.pop() if _ended else None
    if ended is None:
        await call.receive()
        _ended.append(call)
    else:
        await ended.text("late")


_ALL: Final[tuple[Callable[[Call], Awaitable[object]], ...]] = (
    return_a_value,
    change_the_client,
    receive_twice,
    abort_at_the_end,
    abort_unread,
    deny_at_length,
    fail_in_a_denial,
    send_for_another,
)
_BY_NAME: Final = {function.__name__: function for function in _ALL}


async def app(scope: Scope, receive: Receive, send: Send) -> object:
    if scope["type"] != "websocket":
        await _http(scope, receive, send)
        return None
    call = Call(journal, scope, receive, send)
    result = await _BY_NAME[scope["path"].rpartition("/")[2]](call)
    call.note("end", "returned")
    return result
