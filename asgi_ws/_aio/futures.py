"""Futures and tasks: wake a waiter, wait for an end, outlive a cancelled caller, know the running loop."""

import asyncio
import math
from typing import Any, TypeVar

_T = TypeVar("_T")


def resolve(waiter: "asyncio.Future[None]", error: Exception | None = None) -> None:
    """Wake a waiter, or raise `error` there, unless it was cancelled."""
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


async def ended(task: "asyncio.Task[None]") -> None:
    """Wait until a task has ended, however it does.

    `asyncio.wait` does the same, and adds 16 of 73 µs to a handshake whose handler waits before it accepts.
    """
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task.add_done_callback(lambda _: resolve(waiter))
    await waiter


async def ended_within(task: "asyncio.Task[None]", seconds: float | None, grace: float) -> None:
    """Wait until a task has ended, but at most for `seconds`; None waits without a limit.

    A cancellation leaves it `grace` seconds, and is raised after that. More of them change nothing: anyio, for one,
    cancels a task again in each iteration of the event loop.
    """
    loop = asyncio.get_running_loop()
    until = math.inf if seconds is None else loop.time() + seconds
    cancelled: asyncio.CancelledError | None = None
    while not task.done() and (left := until - loop.time()) > 0:
        try:
            await asyncio.wait([task], timeout=None if left == math.inf else left)
        except asyncio.CancelledError as error:
            if cancelled is None:
                until = min(until, loop.time() + grace)
            cancelled = error
    if cancelled is not None:
        try:
            raise cancelled
        finally:
            # An exception that this frame keeps would keep this frame.
            del cancelled


def retrieve_exception(task: "asyncio.Task[Any]") -> None:
    """Retrieve the exception of a task whose caller may be gone: asyncio logs exceptions that are never retrieved."""
    if not task.cancelled():
        task.exception()


def is_running_in(loop: asyncio.AbstractEventLoop) -> bool:
    """Return True if the caller runs in this loop, in its thread."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
