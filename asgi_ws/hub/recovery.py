"""The events of one room in the order of their positions: none twice, and what is missing is fetched or announced."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from .._aio.futures import resolve
from ..brokers.base import HistoryPage, Position, RoomEvent
from .backoff import Trouble, delay_after, failure_of

# Events that are asked for at once when some are missing.
_PAGE: Final = 500


class Recovery:
    """Passes events on as they come, as long as each follows the one before.

    Args:
        name: of the room.
        read: the events since a position.
        pass_on: takes an event; what it returns ends when the event has been brought to the members.
        announce: tells the members that so many events are missing here; None where nobody knows how many.
        trouble: is told of reads that fail.

    Attributes:
        last: the position of the newest event that was passed on, where there is one.
        filling: the task that fetches missing events; None while there is none.
        is_due: whether something may have been missed since it was last asked for.
    """

    __slots__ = (
        "_announce",
        "_failures",
        "_held",
        "_name",
        "_pass_on",
        "_read",
        "_retry",
        "_trouble",
        "filling",
        "is_due",
        "last",
    )

    def __init__(
        self,
        name: str,
        read: Callable[[Position | None, int], Awaitable[HistoryPage]],
        pass_on: Callable[[RoomEvent], Awaitable[None]],
        announce: Callable[[int | None, Position | None], object],
        trouble: Trouble,
    ) -> None:
        self._name = name
        self._trouble = trouble
        self._read = read
        self._pass_on = pass_on
        self._announce = announce
        self.last: Position | None = None
        # What came while older events were fetched, with who waits for it.
        self._held: list[tuple[RoomEvent, asyncio.Future[None]]] = []
        self.filling: asyncio.Task[None] | None = None
        self.is_due = False
        # Reads that failed one after the other, and when it is tried again.
        self._failures = 0
        self._retry: asyncio.TimerHandle | None = None

    def take(self, event: RoomEvent) -> Awaitable[None]:
        """The next event from the broker."""
        if self.filling is None and not self.is_due and self._follows(event):
            return self._pass(event)
        held = asyncio.get_running_loop().create_future()
        self._held.append((event, held))
        if self.filling is None:
            self.catch_up()
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

    def begin_after(self, top: Position | None) -> None:
        """Begin with the events after `top`, and tell the members that nobody knows what they missed before it."""
        self._announce(None, top)
        self.last = top

    def catch_up(self) -> None:
        """Ask for what may have been missed."""
        self.is_due = True
        self._cancel_retry()
        if self.filling is None:
            self.filling = asyncio.create_task(self._fill(), name="asgi_ws hub catch-up")
            self.filling.add_done_callback(self._on_filled)

    async def _fill(self) -> None:
        # An eager task factory runs the first step before `filling` is set.
        await asyncio.sleep(0)
        while self.is_due or self._held:
            if self.is_due:
                self.is_due = False
                if not await self._ask() and not self._held:
                    self.is_due = True
                    self._retry = asyncio.get_running_loop().call_later(delay_after(self._failures), self.catch_up)
                    return
                continue
            event, held = self._held.pop(0)
            try:
                await self._pass_held(event)
            finally:
                resolve(held)

    def _on_filled(self, task: "asyncio.Task[None]") -> None:
        self.filling = None
        if task.cancelled():
            # The next event asks again.
            self.is_due = True
            self._release()
        elif self._held:
            # It came after the last step of the task.
            self.catch_up()

    async def _ask(self) -> bool:
        """Fetch or announce what was missed; return False if it has to be asked for again."""
        if self.last is None:
            # No history: nobody can tell whether something was missed, so it has to be said.
            self._announce(None, None)
            return True
        try:
            await self._fetch(self.last)
        except BaseException as error:  # noqa: BLE001 -- tried again
            self._failures += 1
            self._trouble.begin(self._name, failure_of(error))
            return False
        self._failures = 0
        self._trouble.end(self._name)
        return True

    async def _pass_held(self, event: RoomEvent) -> None:
        if not self._is_known(event):
            if not self._follows(event):
                self._announce(self._missed(event), event.position)
            await self._pass(event)

    async def _fetch(self, since: Position) -> None:
        while True:
            page = await self._read(since, _PAGE)
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
        self._cancel_retry()
        self._trouble.forget(self._name)
        if self.filling is not None:
            self.filling.cancel()
        self._release()

    def _cancel_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _release(self) -> None:
        """Let go of those who publish: losing all members is not a reason to cancel them."""
        for _, held in self._held:
            resolve(held)
        self._held.clear()
