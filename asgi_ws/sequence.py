"""The events of one room in the order of their positions: none twice, and what is missing is fetched or announced."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from .brokers.base import HistoryPage, Position, RoomEvent
from .queues import resolve

logger = logging.getLogger("asgi_ws")

# Events that are asked for at once when some are missing.
_PAGE: Final = 500


class Sequence:
    """Passes events on as they come, as long as each follows the one before.

    Args:
        read: the events since a position.
        pass_on: takes an event; what it returns ends when the event has been brought to the members.
        announce: tells the members that so many events are missing here; None where nobody knows how many.

    Attributes:
        last: the position of the newest event that was passed on, where there is one.
    """

    __slots__ = ("_announce", "_filling", "_held", "_is_due", "_pass_on", "_read", "last")

    def __init__(
        self,
        read: Callable[[Position | None, int], Awaitable[HistoryPage]],
        pass_on: Callable[[RoomEvent], Awaitable[None]],
        announce: Callable[[int | None, Position | None], object],
    ) -> None:
        self._read = read
        self._pass_on = pass_on
        self._announce = announce
        self.last: Position | None = None
        # What came while older events were fetched, with who waits for it.
        self._held: list[tuple[RoomEvent, asyncio.Future[None]]] = []
        self._filling: asyncio.Task[None] | None = None
        # Whether something may have been missed since it was last asked for.
        self._is_due = False

    def take(self, event: RoomEvent) -> Awaitable[None]:
        """The next event from the broker."""
        if self._filling is None and self._follows(event):
            return self._pass(event)
        held = asyncio.get_running_loop().create_future()
        self._held.append((event, held))
        self._begin()
        return held

    def _follows(self, event: RoomEvent) -> bool:
        return event.position is None or self.last is None or event.previous == self.last

    def _pass(self, event: RoomEvent) -> Awaitable[None]:
        if event.position is not None:
            self.last = event.position
        return self._pass_on(event)

    def _is_known(self, event: RoomEvent) -> bool:
        last, position = self.last, event.position
        return (
            last is not None
            and position is not None
            and position.epoch == last.epoch
            and position.offset <= last.offset
        )

    def catch_up(self) -> None:
        """Ask for what may have been missed."""
        self._is_due = True
        self._begin()

    def _begin(self) -> None:
        if self._filling is None:
            self._is_due = True
            self._filling = asyncio.create_task(self._fill(), name="asgi_ws hub catch-up")

    async def _fill(self) -> None:
        try:
            while self._is_due or self._held:
                if self._is_due:
                    self._is_due = False
                    await self._ask()
                    continue
                event, held = self._held.pop(0)
                try:
                    await self._pass_held(event)
                finally:
                    resolve(held)
        finally:
            self._filling = None

    async def _ask(self) -> None:
        if self.last is None:
            # No history: nobody can tell whether something was missed, so it has to be said.
            self._announce(None, None)
        else:
            await self._fetch(self.last)

    async def _pass_held(self, event: RoomEvent) -> None:
        if not self._is_known(event):
            if not self._follows(event):
                self._announce(self._missed(event), event.position)
            await self._pass(event)

    async def _fetch(self, since: Position) -> None:
        while True:
            try:
                page = await self._read(since, _PAGE)
            except Exception:
                logger.exception("the history of a room could not be read")
                return
            if not page.follows(since):
                top = page.events[-1].position if page.events else page.top
                self._announce(None if not page.events else self._missed(page.events[0]), top)
                if not page.events:
                    self.last = page.top
            for event in page.events:
                await self._pass(event)
            if not page.events or page.top is None or self.last == page.top:
                return
            since = self.last or since

    def _missed(self, event: RoomEvent) -> int | None:
        """How many events are missing before this one, where that can be told."""
        last, position = self.last, event.position
        if last is None or position is None or last.epoch != position.epoch:
            return None
        return position.offset - last.offset - 1

    def stop(self) -> None:
        """Ask for nothing more."""
        if self._filling is not None:
            self._filling.cancel()
        # That the members are gone is no reason to cancel who publishes.
        for _, held in self._held:
            resolve(held)
        self._held.clear()
