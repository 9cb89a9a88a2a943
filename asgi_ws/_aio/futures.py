"""Futures: wake a waiter, outlive a cancelled caller, know the running loop."""

import asyncio
from typing import TypeVar

_T = TypeVar("_T")


def resolve(waiter: "asyncio.Future[None]", error: Exception | None = None) -> None:
    """Let go on who waits, or raise `error` there, unless he has given up."""
    if waiter.done():
        return
    if error is None:
        waiter.set_result(None)
    else:
        waiter.set_exception(error)


async def outlived(future: "asyncio.Future[_T]") -> _T:
    """Wait for a future that goes on when the caller is cancelled, and return its result.

    As asyncio.shield(), which from Python 3.14 on reports the exception of a future whose caller was cancelled.
    """
    if not future.done():
        await asyncio.wait([future])
    return future.result()


def is_running_in(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this is called by the loop, in its thread."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
