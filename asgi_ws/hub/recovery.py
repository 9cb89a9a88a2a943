"""Recovery: the events of one room in the order of their positions, without a hole that is not announced."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from .._aio.futures import resolve
from ..brokers.base import HistoryPage, Position, RoomEvent
from .backoff import Backoff, FailureLog, failure_of
from .state import RECOVERY_TRANSITIONS, RecoveryState

# Events that are asked for at once when some are missing.
_PAGE: Final = 500
_FOLLOWING: Final = RecoveryState.FOLLOWING
_UNDER_WAY: Final = (RecoveryState.DUE, RecoveryState.READING, RecoveryState.REPLAYING)


class Recovery:
    """Passes events on as they come, as long as each follows the one before.

    Args:
        name: of the room.
        read: the events since a position.
        pass_on: takes an event; what it returns ends when the event has been brought to the members.
        announce: announces the number of events that are missing here; None if unknown.
        log: of reads that fail.
        loop: in which a failed read is tried again.

    Attributes:
        last: the position of the newest event that was passed on, where there is one.
        state: see `state`.
    """

    __slots__ = (
        "_announce",
        "_backoff",
        "_held",
        "_log",
        "_name",
        "_pass_on",
        "_read",
        "_task",
        "last",
        "state",
    )

    def __init__(
        self,
        name: str,
        *,
        read: Callable[[Position | None, int], Awaitable[HistoryPage]],
        pass_on: Callable[[RoomEvent], Awaitable[None]],
        announce: Callable[[int | None, Position | None], object],
        log: FailureLog,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._name = name
        self._log = log
        self._read = read
        self._pass_on = pass_on
        self._announce = announce
        self.last: Position | None = None
        self.state = _FOLLOWING
        self._backoff = Backoff(loop)
        # Events that came while older ones are missing, with what their publishers wait for.
        self._held: deque[tuple[RoomEvent, asyncio.Future[None]]] = deque()
        # Reads the history and passes events on in DUE, READING and REPLAYING; None in the other states.
        self._task: asyncio.Task[None] | None = None

    def _on(self, event: str) -> None:
        self.state = RECOVERY_TRANSITIONS[self.state][event]

    def take(self, event: RoomEvent) -> Awaitable[None]:
        """Pass on the next event from the broker, at once or after those that are missing before it."""
        state = self.state
        if (state is _FOLLOWING and self._follows(event)) or state is RecoveryState.STOPPED:
            return self._pass(event)
        held = asyncio.get_running_loop().create_future()
        self._held.append((event, held))
        if self._task is None:
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
        """Begin with the events after `top`, and announce that an unknown number is missing before it."""
        self._announce(None, top)
        self.last = top

    def catch_up(self) -> None:
        """Fetch the events that may be missing. Does nothing after a stop."""
        self._backoff.cancel()
        self._on("gap")
        if self.state is RecoveryState.DUE and self._task is None:
            self._task = asyncio.create_task(self._run(), name="asgi_ws hub catch-up")
            self._task.add_done_callback(self._on_done)

    async def _run(self) -> None:
        # An eager task factory runs the first step before `_task` is set.
        await asyncio.sleep(0)
        while self.state in _UNDER_WAY:
            if self.state is RecoveryState.DUE:
                self._on("read")
                if not await self._ask() and not self._held:
                    self._on("failed")
                    self._backoff.plan(self.catch_up)
                else:
                    self._on("answered")
            elif self._held:
                event, held = self._held.popleft()
                try:
                    await self._pass_held(event)
                finally:
                    resolve(held)
            else:
                self._on("drained")
        self._task = None

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        if self._task is task:
            # It was cancelled, perhaps before its first step. The next event asks again.
            self._task = None
            self._on("failed")
            self._release()

    async def _ask(self) -> bool:
        """Fetch or announce what was missed; return False if it has to be asked for again."""
        if self.last is None:
            # Without a history it is unknown whether something was missed, so a gap is announced.
            self._announce(None, None)
            return True
        try:
            await self._fetch(self.last)
        except BaseException as error:  # noqa: BLE001 -- tried again
            self._log.failed(self._name, failure_of(error))
            return False
        self._backoff.reset()
        self._log.succeeded(self._name)
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
        """Return the number of events that are missing before this one; None if unknown."""
        last, position = self.last, event.position
        if last is None or position is None or last.epoch != position.epoch:
            return None
        return position.offset - last.offset - 1

    def stop(self) -> None:
        """Stop reading the history."""
        self._on("stop")
        self._backoff.cancel()
        self._log.discard(self._name)
        if self._task is not None:
            self._task.cancel()
        self._release()

    def _release(self) -> None:
        """Release waiting publishers. Losing all members is not a reason to cancel them."""
        for _, held in self._held:
            resolve(held)
        self._held.clear()
