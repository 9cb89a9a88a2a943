"""A block of code that ends when something else does."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def ending_with(watched: Coroutine[Any, Any, object], *, name: str) -> AsyncIterator[None]:
    """Run a block until `watched` ends: then the block is cancelled, and ends without an exception.

    `watched` runs in a task called `name`, which this block owns: it is cancelled and awaited on the way out. What it
    raises is raised here. A cancellation from elsewhere goes through.
    """
    watcher = asyncio.create_task(watched, name=name)
    # asyncio.timeout is the standard library's cancel scope: it knows our cancellation from any other.
    scope = asyncio.timeout(None)
    try:
        async with scope:
            inside = True

            def end(_: object) -> None:
                # The call may be on its way already when the block ends by itself.
                if inside:
                    scope.reschedule(0)

            watcher.add_done_callback(end)
            try:
                yield
            finally:
                inside = False
    except TimeoutError:
        if not scope.expired():
            raise
    finally:
        watcher.cancel()
        await asyncio.wait([watcher])
        if not watcher.cancelled():
            watcher.result()
