"""Handlers that send more than a client reads."""

import asyncio
from collections.abc import Awaitable
from typing import Final

from .call import Call, failure

# Loop iterations after which all that can be sent at once has been sent.
_ITERATIONS: Final = 50


async def _rest() -> None:
    for _ in range(_ITERATIONS):
        await asyncio.sleep(0)


def _numbered(call: Call, number: int) -> Awaitable[None]:
    return call.data(number.to_bytes(4) + bytes(call.number("size") - 4))


def _all_at_once(call: Call) -> list[asyncio.Future[None]]:
    """Send `count` messages of `size` bytes, each by a task of its own."""
    return [asyncio.ensure_future(_numbered(call, number)) for number in range(call.number("count"))]


async def storm(call: Call) -> None:
    """Note how many of `count` messages are taken at once; with `give_up` cancel every second one that waits."""
    await call.accept()
    tasks = _all_at_once(call)
    await _rest()
    call.note("taken", sum(task.done() for task in tasks))
    if "give_up" in call.query:
        # The first to be cancelled is the next to be sent.
        waiting = [task for task in tasks if not task.done()]
        for task in waiting[::2]:
            task.cancel()
        call.note("cancelled", *(tasks.index(task) for task in waiting[::2]))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    call.note("failed", *{failure(error)[0] for error in results if error is not None})
    await call.close(4000)


async def same(call: Call) -> None:
    """Send one text of `size` characters by `count` tasks, until the client has left."""
    await call.accept()
    message = "x" * call.number("size")
    tasks = [asyncio.ensure_future(call.text(message)) for _ in range(call.number("count"))]
    await _rest()
    call.note("taken", sum(task.done() for task in tasks))
    await asyncio.gather(*tasks, return_exceptions=True)


async def close_last(call: Call) -> None:
    """Close by two tasks behind messages that wait, and send a message too late."""
    await call.accept()
    tasks = _all_at_once(call)
    await _rest()
    closes = [asyncio.ensure_future(call.close(code)) for code in (4001, 4002)]
    await _rest()
    late = asyncio.ensure_future(call.text("late"))
    await call.tries("bad", {"type": "websocket.close", "code": 1005})
    call.note("waits", not closes[0].done())
    results = await asyncio.gather(*tasks, *closes, late, return_exceptions=True)
    call.note("results", *(type(result).__name__ for result in results))


async def close_hastily(call: Call) -> None:
    """Cancel a close that waits behind messages."""
    await call.accept()
    tasks = _all_at_once(call)
    await _rest()
    close = asyncio.ensure_future(call.close())
    await _rest()
    close.cancel()
    results = await asyncio.gather(*tasks, close, return_exceptions=True)
    call.note("last", type(results[-1]).__name__, type(results[-2]).__name__)
    await call.receive()


async def deny_in_pieces(call: Call) -> None:
    """Deny in `count` pieces of `size` bytes, and note how many are taken at once."""
    await call.connect()
    await call.deny()
    sent = 0

    async def send() -> None:
        nonlocal sent
        for _ in range(call.number("count")):
            await call.body(bytes(call.number("size")))
            sent += 1
        await call.body(b"", more=False)

    sending = asyncio.ensure_future(send())
    await _rest()
    call.note("taken", sent)
    await sending
