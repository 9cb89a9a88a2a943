"""The handlers of the probe application: the last part of a path is the name of one of these functions."""

import asyncio
import hashlib
import json
from typing import Any, Final

from asgi_ws.extensions import ABORT_EXTENSION
from asgi_ws.sizes import MIB

from .call import Call, message_of, shown

# Long enough to see that a send waits.
_WAITING_SECONDS: Final = 0.3


# -- messages


async def echo(call: Call) -> None:
    await call.accept()
    async for message in call.messages():
        await (call.text(message) if isinstance(message, str) else call.data(message))


async def record(call: Call) -> None:
    """Note each message, and the events after the end.

    With `gate` wait for the client before the first message, with `again` after the first disconnect; with `pause`
    sleep for so many seconds after each message.
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
    """Note the number of messages, their length, and a digest; with `gate` wait for the client before the first."""
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
        # The memory of the server is measured, not that of the handler.
        del event, message
    call.note("counted", messages, length, digest.hexdigest())


async def threefold(call: Call) -> None:
    """Answer each message by three."""
    await call.accept()
    async for message in call.messages():
        for part in range(3):
            await call.text(f"{message!s}.{part}")


async def from_another_task(call: Call) -> None:
    """Echo by a task that does not receive."""
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
    """Answer the first message, and receive no other until the client's signal."""
    await call.accept()
    await call.text(shown(message_of(await call.receive())))
    await call.go()
    async for message in call.messages():
        await call.text(shown(message))


async def receive_twice(call: Call) -> None:
    """Receive by two tasks at once, then cancel one."""
    await call.accept()
    both = [asyncio.create_task(call.receive()) for _ in range(2)]
    await call.go()
    call.note("both", *map(message_of, await asyncio.gather(*both)))
    third = asyncio.create_task(call.receive())
    await asyncio.sleep(0)
    third.cancel()
    call.note("third", message_of(await call.receive()))
    assert (await asyncio.gather(third, return_exceptions=True))[0].__class__ is asyncio.CancelledError
    await call.close()


async def crowd(call: Call) -> None:
    """Send 200 messages of `size` bytes by each of four tasks, and close."""
    await call.accept()
    padding = "x" * call.number("size")

    async def speak(speaker: int) -> None:
        for number in range(200):
            await call.text(f"{speaker}:{number}:{padding}")

    await asyncio.gather(*(speak(speaker) for speaker in range(4)))
    await call.close()


async def flood(call: Call) -> None:
    """Send `count` messages of `size` bytes, numbered, and close."""
    await call.accept()
    for number in range(call.number("count", 1 << 30)):
        await call.data(number.to_bytes(4) + bytes(call.number("size", 65536) - 4))
    await call.close()


# -- the beginning


async def pending(call: Call) -> None:
    """Listen without an accept."""
    await call.connect()
    await call.receive()
    await call.receive()


async def pending_and_deaf(call: Call) -> None:
    """Accept at the client's signal, which is too late."""
    await call.connect()
    await call.go()
    await call.tries("accept", {"type": "websocket.accept"})
    await call.receive()


async def scope(call: Call) -> None:
    """Send the scope as JSON, with bytes as latin-1."""
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
    "name that is not a token": {"headers": [(b"x probe", b"a")]},
    "empty name": {"headers": [(b"", b"a")]},
    "header of the handshake": {"headers": [(b"sec-websocket-accept", b"a")]},
    "header of the extensions": {"headers": [(b"sec-websocket-extensions", b"permessage-deflate")]},
    "line break in the subprotocol": {"subprotocol": "a\r\nx-evil: b"},
    "subprotocol that was not offered": {"subprotocol": "c"},
    "limit that is not positive": {"asgi_ws.max_message_bytes": 0},
    "limit that is not a number": {"asgi_ws.max_message_bytes": "1"},
}


async def accept_badly(call: Call) -> None:
    """Accept with an error, and then properly; with `raise` let the error out."""
    await call.connect()
    bad = {"type": "websocket.accept", **BAD_ACCEPTS[call.query["how"]]}
    if "raise" in call.query:
        await call.send(bad)
    await call.tries("bad", bad)
    await call.send({"type": "websocket.accept"})
    await call.text("accepted")
    await call.close()


async def change_the_client(call: Call) -> None:
    """Set a client that is not an address and a port, as a middleware may."""
    call.scope["client"] = ("10.0.0.1",)
    await call.accept()
    await call.close()


async def deny_in_parts(call: Call) -> None:
    """Deny in three parts, the second at the client's signal; `length` is the content-length."""
    await call.connect()
    await call.deny(b"one ", status=401, length=call.query.get("length"))
    await call.go()
    await call.body(b"two ")
    await call.body(b"three", more=False)
    await call.receive()
    await call.receive()


async def deny_at_length(call: Call) -> None:
    """Send more of a denial than any buffer takes and something behind it, then give up."""
    await call.connect()
    await call.deny(bytes(16 * MIB), b"more")
    call.note("sent")


async def fail_in_a_denial(call: Call) -> None:
    """Raise when a part of the denial cannot be sent."""
    await call.connect()
    await call.deny(bytes(16 * MIB))
    call.note("waits")
    try:
        await call.body(b"more")
    except OSError:
        raise RuntimeError("this is not the client's leaving") from None


# -- without a wait: these do not even receive the connect event


async def raise_at_once(_call: Call) -> None:
    raise ArithmeticError


async def return_at_once(_call: Call) -> None:
    pass


async def deny_at_once(call: Call) -> None:
    await call.deny(status=401)
    await call.body(b"no", more=False)


async def close_at_once(call: Call) -> None:
    await call.send({"type": "websocket.accept"})
    await call.close(4000)


async def flood_at_once(call: Call) -> None:
    await call.send({"type": "websocket.accept"})
    await call.data(bytes(8 * MIB))
    call.note("first")
    await call.data(bytes(65536))
    call.note("second")


# -- the end


async def talk(call: Call) -> None:
    """Send again and again, and never receive."""
    await call.accept()
    while True:
        await call.text("tick")
        await asyncio.sleep(0.01)


async def talk_in_a_group(call: Call) -> None:
    """Send by the tasks of a group, whose error is a group of errors."""
    await call.accept()

    async def talk() -> None:
        while True:
            await call.text("tick")
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        group.create_task(talk())
        group.create_task(talk())


async def deaf(call: Call) -> None:
    """Accept, and wait until the task is cancelled."""
    await call.accept()
    await asyncio.Event().wait()


async def clear_up(call: Call) -> None:
    """Take half a second to end."""
    await call.accept()
    try:
        async for _ in call.messages():
            pass
    finally:
        await asyncio.sleep(0.5)
        call.note("cleared up")


async def close(call: Call) -> None:
    """Send `count` messages, close with `code` and `reason`, and go on to call."""
    await call.accept()
    for number in range(call.number("count")):
        await call.text(str(number))
    await call.close(call.number("code", 1000), call.query.get("reason", ""))
    await call.tries("send", {"type": "websocket.send", "text": "late"})
    await call.tries("close", {"type": "websocket.close"})
    await call.receive()
    await call.receive()


async def close_after_go(call: Call) -> None:
    """Let messages wait, close, and receive."""
    await call.accept()
    await call.go()
    await call.close(4001, "done")
    while (await call.receive())["type"] != "websocket.disconnect":
        call.note("received")


async def fail(call: Call) -> None:
    """Raise after a message."""
    await call.accept()
    await call.receive()
    raise RuntimeError(call.query["id"])


async def return_a_value(call: Call) -> object:
    await call.accept()
    return 5


# Calls of `send_for_another` whose client has left.
_ended: Final[list[Call]] = []


async def send_for_another(call: Call) -> None:
    """Send by the `send` of a connection that has ended."""
    await call.accept()
    if _ended:
        await _ended.pop().text("late")
    else:
        await call.receive()
        _ended.append(call)


async def abort(call: Call) -> None:
    """Abort after a message; with `stall` while a send waits."""
    await call.accept()
    await call.receive()
    flooding = asyncio.create_task(call.flood()) if "stall" in call.query else None
    if flooding is not None:
        await asyncio.wait([flooding], timeout=_WAITING_SECONDS)
    await call.send({"type": ABORT_EXTENSION})
    await call.receive()
    await call.receive()
    await call.tries("send", {"type": "websocket.send", "text": "late"})
    if flooding is not None:
        call.note("flood", await flooding)


async def abort_early(call: Call) -> None:
    """Abort before the accept."""
    await call.connect()
    await call.send({"type": ABORT_EXTENSION})
    await call.tries("accept", {"type": "websocket.accept"})
    await call.receive()


async def abort_at_the_end(call: Call) -> None:
    """Abort a connection that has ended."""
    await call.accept()
    await call.receive()
    await call.go()
    await call.send({"type": ABORT_EXTENSION})
    await call.receive()


async def abort_unread(call: Call) -> None:
    """Abort while so much is unread that the transport does not read."""
    await call.accept()
    await call.go()
    await call.send({"type": ABORT_EXTENSION})
    async for message in call.messages():
        call.note("received", len(message))


async def flood_and_listen(call: Call) -> None:
    """Send all the time by one task, and receive by the other."""
    await call.accept()
    flooding = asyncio.create_task(call.flood())
    async for _ in call.messages():
        pass
    call.note("flood", await flooding)
