"""What the probe application does on a WebSocket: one function for each behaviour."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from asgi_ws.extensions import ABORT_EXTENSION

from .call import Call, failure, message_of, shown

# Long enough to see that a send waits.
_WAITING_SECONDS: Final = 0.3


# -- messages


async def echo(call: Call) -> None:
    await call.accept()
    async for message in call.messages():
        await (call.text(message) if isinstance(message, str) else call.data(message))


async def record(call: Call) -> None:
    """Notes each message, and what comes after the end.

    With `gate` it waits for the client's word before it reads, with `again` after it was told of the end, with `pause`
    for so many seconds after each message.
    """
    await call.accept()
    if "gate" in call.query:
        await call.go()
    async for message in call.messages():
        call.note("received", shown(message))
        await asyncio.sleep(float(call.query.get("pause", "0")))
    if "again" in call.query:
        await call.go()
    await call.receive()
    await call.receive()


async def count(call: Call) -> None:
    """Notes how many messages came, how many characters or bytes they have, and a digest of all."""
    await call.accept()
    if "gate" in call.query:
        await call.go()
    messages = length = 0
    digest = hashlib.sha256()
    while (event := await call.receive())["type"] == "websocket.receive":
        message = message_of(event)
        messages += 1
        length += len(message)
        digest.update(message.encode() if isinstance(message, str) else message)
        # What the server holds is to be measured, and not what a handler does.
        del event, message
    call.note("counted", messages, length, digest.hexdigest())


async def threefold(call: Call) -> None:
    """Answers each message by three."""
    await call.accept()
    async for message in call.messages():
        for part in range(3):
            await call.text(f"{message!s}.{part}")


async def from_another_task(call: Call) -> None:
    """Echoes by a task that does not receive."""
    await call.accept()
    queue: asyncio.Queue[str | bytes] = asyncio.Queue()

    async def answer() -> None:
        while True:
            await call.text(str(await queue.get()))

    task = asyncio.create_task(answer())
    try:
        async for message in call.messages():
            queue.put_nowait(message)
    finally:
        task.cancel()


async def answer_one(call: Call) -> None:
    """Answers the first message, and does not receive the others that came with it until it is told to."""
    await call.accept()
    await call.text(shown(message_of(await call.receive())))
    await call.go()
    async for message in call.messages():
        await call.text(shown(message))


async def greet(call: Call) -> None:
    """Sends one message, and neither sends nor receives from then on."""
    await call.accept()
    await call.text("hello")
    await asyncio.Event().wait()


async def crowd(call: Call) -> None:
    """Four tasks send 200 messages each, of `size` bytes, and the connection is closed."""
    await call.accept()
    padding = "x" * call.number("size")

    async def speak(speaker: int) -> None:
        for number in range(200):
            await call.text(f"{speaker}:{number}:{padding}")

    await asyncio.gather(*(speak(speaker) for speaker in range(4)))
    await call.close()


async def flood(call: Call) -> None:
    """Sends `count` messages of `size` bytes, numbered, and closes; notes how many were taken when that fails."""
    await call.accept()
    taken = 0
    try:
        while taken < call.number("count", 1 << 30):
            await call.data(taken.to_bytes(4) + bytes(call.number("size", 65536) - 4))
            taken += 1
    finally:
        call.note("sent", taken)
    await call.close()


# -- the beginning


async def pending(call: Call) -> None:
    """Never accepts, and listens."""
    await call.connect()
    await call.receive()
    await call.receive()


async def pending_and_deaf(call: Call) -> None:
    """Never accepts, and does not listen; a word of the client lets it accept, too late."""
    await call.connect()
    await call.go()
    await call.tries("accept", {"type": "websocket.accept"})
    await call.receive()


async def scope(call: Call) -> None:
    """Sends its scope as JSON, with bytes as latin-1."""
    await call.accept()

    def known(value: Any) -> Any:
        return value.decode("latin-1") if isinstance(value, bytes) else repr(value)

    await call.text(json.dumps(call.scope, default=known))
    await call.receive()


BAD_ACCEPTS: Final[dict[str, dict[str, Any]]] = {
    "line break in a value": {"headers": [(b"x-probe", b"a\r\nx-evil: b")]},
    "line feed in a value": {"headers": [(b"x-probe", b"a\nx-evil: b")]},
    "NUL in a value": {"headers": [(b"x-probe", b"a\0b")]},
    "line break in a name": {"headers": [(b"x-evil: b\r\nx-probe", b"a")]},
    "name that is no token": {"headers": [(b"x probe", b"a")]},
    "empty name": {"headers": [(b"", b"a")]},
    "header of the handshake": {"headers": [(b"sec-websocket-accept", b"a")]},
    "header of the extensions": {"headers": [(b"sec-websocket-extensions", b"permessage-deflate")]},
    "line break in the subprotocol": {"subprotocol": "a\r\nx-evil: b"},
    "subprotocol that was not offered": {"subprotocol": "c"},
    "limit that is not positive": {"asgi_ws.max_message_bytes": 0},
    "limit that is not a number": {"asgi_ws.max_message_bytes": "1"},
}


async def accept_badly(call: Call) -> None:
    """Accepts with something bad, which fails, and then as it ought to; with `raise` the failure is its own."""
    await call.connect()
    bad = {"type": "websocket.accept", **BAD_ACCEPTS[call.query["how"]]}
    if "raise" in call.query:
        await call.send(bad)
    await call.tries("bad", bad)
    await call.send({"type": "websocket.accept"})
    await call.text("accepted")
    await call.close()


async def deny_in_parts(call: Call) -> None:
    """A denial whose second part waits for the client's word; `length` is the content-length that it says it has."""
    await call.connect()
    length = call.query.get("length")
    headers = [(b"content-type", b"text/plain"), *([(b"content-length", length.encode())] if length else [])]
    await call.send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
    await call.send({"type": "websocket.http.response.body", "body": b"one ", "more_body": True})
    await call.go()
    await call.send({"type": "websocket.http.response.body", "body": b"two ", "more_body": True})
    await call.send({"type": "websocket.http.response.body", "body": b"three"})
    await call.receive()
    await call.receive()


# -- the end


async def talk(call: Call) -> None:
    """Sends again and again, and never receives."""
    await call.accept()
    while True:
        await call.text("tick")
        await asyncio.sleep(0.01)


async def talk_in_a_group(call: Call) -> None:
    """The same by the tasks of a group, whose error is a group of errors."""
    await call.accept()

    async def talk() -> None:
        while True:
            await call.text("tick")
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        group.create_task(talk())
        group.create_task(talk())


async def deaf(call: Call) -> None:
    """Neither sends nor receives, until it is cancelled; then it takes `seconds` to clear up."""
    await call.accept()
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(float(call.query.get("seconds", "0")))
        call.note("cleared up")


async def clear_up(call: Call) -> None:
    """Takes its time to end after it was told."""
    await call.accept()
    try:
        async for _ in call.messages():
            pass
    finally:
        await asyncio.sleep(0.5)
        call.note("cleared up")


async def close(call: Call) -> None:
    """Sends `count` messages, closes with `code` and `reason`, and goes on to call."""
    await call.accept()
    for number in range(call.number("count")):
        await call.text(str(number))
    await call.close(call.number("code", 1000), call.query.get("reason", ""))
    await call.tries("send", {"type": "websocket.send", "text": "late"})
    await call.tries("close", {"type": "websocket.close"})
    await call.receive()
    await call.receive()


async def close_behind_a_flood(call: Call) -> None:
    """Closes while another task's send waits."""
    await call.accept()
    flooding = asyncio.create_task(_flood_until_it_fails(call))
    await asyncio.wait([flooding], timeout=_WAITING_SECONDS)
    call.note("waits", not flooding.done())
    await call.tries("close", {"type": "websocket.close", "code": 4001})
    await call.receive()
    call.note("flood", await flooding)


async def close_after_go(call: Call) -> None:
    """Lets messages wait, closes, and receives."""
    await call.accept()
    await call.go()
    await call.close(4001, "done")
    while (await call.receive())["type"] != "websocket.disconnect":
        call.note("received")


async def call_after_the_end(call: Call) -> None:
    """Waits for the peer's leaving, and goes on to call."""
    await call.accept()
    async for _ in call.messages():
        pass
    await call.tries("send", {"type": "websocket.send", "text": "late"})
    await call.tries("send again", {"type": "websocket.send", "bytes": b"late"})
    await call.tries("close", {"type": "websocket.close"})
    await call.receive()


async def fail(call: Call) -> None:
    """Raises after a message."""
    await call.accept()
    await call.receive()
    raise RuntimeError(call.query["id"])


async def abort(call: Call) -> None:
    """Asks for the end without a closing handshake after a message; with `stall` while a send waits."""
    await call.accept()
    call.note("extensions", sorted(call.scope["extensions"]))
    await call.receive()
    flooding = asyncio.create_task(_flood_until_it_fails(call)) if "stall" in call.query else None
    if flooding is not None:
        await asyncio.wait([flooding], timeout=_WAITING_SECONDS)
    await call.send({"type": ABORT_EXTENSION})
    await call.receive()
    await call.receive()
    await call.tries("send", {"type": "websocket.send", "text": "late"})
    if flooding is not None:
        call.note("flood", await flooding)


async def abort_early(call: Call) -> None:
    """The same before it has accepted."""
    await call.connect()
    await call.send({"type": ABORT_EXTENSION})
    await call.tries("accept", {"type": "websocket.accept"})
    await call.receive()


async def _flood_until_it_fails(call: Call) -> str:
    try:
        while True:
            await call.data(bytes(65536))
    except Exception as error:  # noqa: BLE001 -- what is raised here is what is to be known
        return failure(error)[0]


async def flood_and_listen(call: Call) -> None:
    """One task sends all the time, the other receives."""
    await call.accept()
    flooding = asyncio.create_task(_flood_until_it_fails(call))
    async for _ in call.messages():
        pass
    call.note("flood", await flooding)


_ALL: Final[tuple[Callable[[Call], Awaitable[None]], ...]] = (
    echo,
    record,
    count,
    threefold,
    from_another_task,
    answer_one,
    greet,
    crowd,
    flood,
    pending,
    pending_and_deaf,
    scope,
    accept_badly,
    deny_in_parts,
    talk,
    talk_in_a_group,
    deaf,
    clear_up,
    close,
    close_after_go,
    close_behind_a_flood,
    call_after_the_end,
    fail,
    abort,
    abort_early,
    flood_and_listen,
)
HANDLERS: Final = {handler.__name__: handler for handler in _ALL}
