"""Handlers for the contract suite: one for each behaviour, each noting what it saw."""

import asyncio
from typing import Any, ClassVar, Final

from asgi_ws import UNSAFE_ANY, ConnectionClosed, Limits, WebSocket, WebSocketEndpoint, websocket_app
from asgi_ws.endpoints import Encoding
from tests.hanging import HANGING

from .journal import Journal, outcome

journal = Journal()

KIB = 1024
# A `send` that takes longer waits for the client.
BLOCKED_SECONDS = 2.0
MIB = 1024 * KIB


# -- the peer's leaving


@websocket_app
async def watch(ws: WebSocket) -> None:
    """Receive to the end, then make every call again."""
    await ws.accept()
    journal.note(ws, "accepted")
    try:
        while True:
            journal.note(ws, "received", repr(await ws.receive()))
    except ConnectionClosed as error:
        journal.note(ws, "closed", error.code, error.reason)
    await _later_calls(ws)


async def _later_calls(ws: WebSocket) -> None:
    for name, call in {
        "receive": ws.receive,
        "receive again": ws.receive,
        "send": lambda: ws.send("too late"),
        "send_json": lambda: ws.send_json({}),
        "close": ws.close,
        "close again": lambda: ws.close(1001),
        "wait_closed": ws.wait_closed,
    }.items():
        journal.note(ws, name, await outcome(call()))
    journal.note(ws, "end", ws.close_code)


class Endpoint(WebSocketEndpoint):
    """Notes each of its three methods, and echoes."""

    async def on_connect(self, ws: WebSocket) -> None:
        journal.note(ws, "on_connect")
        await ws.accept()

    async def on_receive(self, ws: WebSocket, data: Any) -> None:
        journal.note(ws, "on_receive", repr(data))
        await ws.send(data)

    async def on_disconnect(self, ws: WebSocket, close_code: int) -> None:
        journal.note(ws, "on_disconnect", close_code)


@websocket_app
async def sleeper(ws: WebSocket) -> None:
    """Wait without sending or receiving: `until_closed` notices that the peer has left."""
    await ws.accept()
    async with ws.until_closed():
        journal.note(ws, "accepted")
        await asyncio.get_running_loop().create_future()
    journal.note(ws, "end", ws.close_code)


@websocket_app
async def ticker(ws: WebSocket) -> None:
    """Send, and never receive."""
    await ws.accept()
    async with ws.until_closed():
        journal.note(ws, "accepted")
        while True:
            await ws.send("tick")
            await asyncio.sleep(0.01)
    journal.note(ws, "end", ws.close_code)


# -- the handshake


@websocket_app
async def early(ws: WebSocket) -> None:
    """Make every call in the wrong state, before accept and after it."""
    for name, call in {
        "send": lambda: ws.send("too early"),
        "receive": ws.receive,
        "wait_closed": ws.wait_closed,
    }.items():
        journal.note(ws, name, await outcome(call()))
    journal.note(ws, "accept", await outcome(ws.accept(headers=[("x-probe", "one"), ("x-probe", "two")])))
    journal.note(ws, "accept again", await outcome(ws.accept()))
    journal.note(ws, "deny", await outcome(ws.deny()))
    journal.note(ws, "end")


@websocket_app
async def subprotocol(ws: WebSocket) -> None:
    """Accept with the subprotocol `name`."""
    try:
        await ws.accept(ws.query_params["name"])
    finally:
        journal.note(ws, "end", ws.application_state.name)
    await ws.wait_closed()


@websocket_app
async def deny(ws: WebSocket) -> None:
    await ws.deny(401, "who are you?", {"www-authenticate": "Bearer"})
    await _later_calls(ws)


@websocket_app
async def close_early(ws: WebSocket) -> None:
    await ws.close(4001, "not today")
    await _later_calls(ws)


@websocket_app
async def raise_early(ws: WebSocket) -> None:
    raise RuntimeError(ws.query_params["id"])


@websocket_app
async def return_early(ws: WebSocket) -> None:
    journal.note(ws, "end")


@websocket_app(limits=Limits(accept_timeout=0.3))
async def never_accept(ws: WebSocket) -> None:
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        journal.note(ws, "end")


async def work_first(ws: WebSocket) -> None:
    """Work until cancelled, without accepting."""
    journal.note(ws, "works")
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        journal.note(ws, "end", ws.close_code)


@websocket_app
async def answer_late(ws: WebSocket) -> None:
    """Answer the handshake with `call` after the signal of the client, even if it has left."""

    async def answer() -> None:
        journal.note(ws, "works")
        await journal.until(ws.query_params["id"], "go")
        call = {"accept": ws.accept, "deny": lambda: ws.deny(401, "who are you?"), "close": ws.close}
        journal.note(ws, "answer", await outcome(call[ws.query_params["call"]]()))
        journal.note(ws, "send", await outcome(ws.send("late")))
        journal.note(ws, "end")

    # The handler is cancelled if the server reports that the client left.
    answering = asyncio.create_task(answer())
    await asyncio.wait([answering])


@websocket_app(origins=UNSAFE_ANY)
async def any_origin(ws: WebSocket) -> None:
    await ws.accept()
    await ws.wait_closed()


@websocket_app
async def view(ws: WebSocket) -> None:
    """Send the view that the handler has of the connection."""
    await ws.accept()
    assert ws.client is not None
    await ws.send_json(
        {
            "client": list(ws.client),
            "path": ws.url.path,
            "query": dict(ws.query_params),
            "cookies": dict(ws.cookies),
            "subprotocols": ws.subprotocols,
            "state": {name: ws.state[name] for name in ws.state},
        }
    )


# -- our close


@websocket_app
async def close(ws: WebSocket) -> None:
    """Close with the query's `code` and `reason`."""
    await ws.accept()
    code, reason = int(ws.query_params["code"]), ws.query_params.get("reason", "")
    journal.note(ws, "first close", await outcome(ws.close(code, reason)))
    await _later_calls(ws)


@websocket_app
async def bad_close(ws: WebSocket) -> None:
    """Close with codes and reasons that a close frame may not carry, then send a message."""
    await ws.accept()
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000):
        journal.note(ws, f"close {code}", await outcome(ws.close(code)))
    journal.note(ws, "reason of 124 bytes", await outcome(ws.close(1000, "é" * 62)))
    await ws.send("still here")
    await ws.close(1000, "é" * 61)
    journal.note(ws, "end", ws.close_code)


@websocket_app
async def close_while_reading(ws: WebSocket) -> None:
    """Read in one task while another closes."""
    await ws.accept()
    reader = asyncio.create_task(outcome(ws.receive()))
    # The first message proves that the task reads; it starts over for the second.
    journal.note(ws, "first", await reader)
    reader = asyncio.create_task(outcome(ws.receive()))
    await asyncio.sleep(0)
    await ws.close(4002, "done")
    journal.note(ws, "second", await reader)
    journal.note(ws, "end")


@websocket_app
async def return_late(ws: WebSocket) -> None:
    await ws.accept()
    await ws.receive()


@websocket_app
async def raise_late(ws: WebSocket) -> None:
    await ws.accept()
    await ws.receive()
    raise RuntimeError(ws.query_params["id"])


# -- messages


@websocket_app
async def empty(ws: WebSocket) -> None:
    """Send an empty message of each kind, and a message after each."""
    await ws.accept()
    for message in ("", b""):
        await ws.send(message)
        await ws.send("next")
    await ws.wait_closed()


@websocket_app
async def concurrent(ws: WebSocket) -> None:
    """Twenty sends at once."""
    await ws.accept()
    await asyncio.gather(*(ws.send(bytes([number]) * 70_000) for number in range(20)))
    await ws.receive()


@websocket_app
async def two_readers(ws: WebSocket) -> None:
    await ws.accept()
    first = asyncio.create_task(outcome(ws.receive()))
    await asyncio.sleep(0)
    journal.note(ws, "second reader", await outcome(ws.receive()))
    journal.note(ws, "first reader", await first)
    journal.note(ws, "end")


@websocket_app
async def cancelled_reader(ws: WebSocket) -> None:
    """Cancel `receive` repeatedly, until the connection ends."""
    await ws.accept()
    received = []
    try:
        while True:
            try:
                async with asyncio.timeout(0.001):
                    received.append(await ws.receive())
            except TimeoutError:
                continue
    except ConnectionClosed:
        journal.note(ws, "end", received)


@websocket_app
async def flood(ws: WebSocket) -> None:
    """Send to a client that never reads until `send` blocks, or 32 MiB are taken; then close, with a timeout."""
    await ws.accept()
    piece, taken = bytes(MIB), 0
    try:
        while taken < 32 * MIB:
            async with asyncio.timeout(BLOCKED_SECONDS):
                await ws.send(piece)
            taken += len(piece)
        journal.note(ws, "taken", taken)
    except TimeoutError:
        journal.note(ws, "blocked", taken)
    await ws.close(1000, timeout=0.5)
    journal.note(ws, "end")


@websocket_app
async def deaf(ws: WebSocket) -> None:
    """Wait for the query's `seconds`, then receive."""
    await ws.accept()
    journal.note(ws, "accepted")
    await asyncio.sleep(float(ws.query_params["seconds"]))
    journal.note(ws, "end", len([message async for message in ws]))


class JSONEcho(WebSocketEndpoint):
    encoding: ClassVar[Encoding | None] = "json"

    async def on_receive(self, ws: WebSocket, data: Any) -> None:
        await ws.send_json(data)

    async def on_disconnect(self, ws: WebSocket, close_code: int) -> None:
        journal.note(ws, "end", close_code)


class TextEcho(JSONEcho):
    encoding: ClassVar[Encoding | None] = "text"


_LIMITED: Final = {
    "size": Limits(max_message_bytes=KIB),
    "messages": Limits(messages_per_second=0.1),
    "bytes": Limits(bytes_per_second=KIB),
    "idle": Limits(idle_timeout=0.3),
    "connections": Limits(max_connections=1),
    "client": Limits(max_connections_per_client=1),
}

HANDLERS: Final = {
    "watch": watch,
    "endpoint": Endpoint.as_asgi(),
    "sleeper": sleeper,
    "ticker": ticker,
    "early": early,
    "subprotocol": subprotocol,
    "deny": deny,
    "close-early": close_early,
    "raise-early": raise_early,
    "return-early": return_early,
    "never-accept": never_accept,
    "work-first": websocket_app(limits=Limits(accept_timeout=HANGING))(work_first),
    "work-first-briefly": websocket_app(limits=Limits(accept_timeout=1))(work_first),
    "answer-late": answer_late,
    "any-origin": any_origin,
    "view": view,
    "close": close,
    "bad-close": bad_close,
    "close-while-reading": close_while_reading,
    "return-late": return_late,
    "raise-late": raise_late,
    "empty": empty,
    "concurrent": concurrent,
    "two-readers": two_readers,
    "cancelled-reader": cancelled_reader,
    "flood": flood,
    "deaf": deaf,
    "json": JSONEcho.as_asgi(),
    "text": TextEcho.as_asgi(),
    **{f"limited/{name}": Endpoint.as_asgi(limits=limits) for name, limits in _LIMITED.items()},
}
