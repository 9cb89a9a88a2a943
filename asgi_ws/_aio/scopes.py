"""A block of code that ends when something else does."""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any


class Block:
    """An async context manager whose block can be ended from without: then it is cancelled, and ends quietly.

    A cancellation from elsewhere goes through.
    """

    def __init__(self) -> None:
        # The standard library's cancel scope: it knows our cancellation from any other.
        self._scope = asyncio.timeout(None)
        self._inside = False

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()
        self._inside = True

    def end(self) -> None:
        """End the block, if it has not ended by itself."""
        if self._inside:
            self._scope.reschedule(0)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._inside = False
        try:
            await self._scope.__aexit__(kind, error, traceback)
        except TimeoutError:
            return True
        return False


class EndingWith:
    """An async context manager whose block runs until `watched()` ends: then it is cancelled, and ends quietly.

    `watched()` runs in a task called `name`, which this block owns: it is cancelled and awaited on the way out. Its
    exception is raised here. An exception of the block for which `is_quiet` holds ends it quietly too. A cancellation
    from elsewhere goes through.
    """

    def __init__(
        self,
        watched: Callable[[], Coroutine[Any, Any, object]],
        *,
        name: str,
        is_quiet: Callable[[BaseException], bool] = lambda _: False,
    ) -> None:
        self._watched = watched
        self._name = name
        self._is_quiet = is_quiet
        self._block = Block()

    async def __aenter__(self) -> None:
        await self._block.__aenter__()
        self._watcher = asyncio.create_task(self._watched(), name=self._name)
        self._watcher.add_done_callback(self._end)

    def _end(self, _: object) -> None:
        self._block.end()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            ended = await self._block.__aexit__(kind, error, traceback)
            ended = ended or (error is not None and self._is_quiet(error))
        finally:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
        if not self._watcher.cancelled():
            self._watcher.result()
        return ended
