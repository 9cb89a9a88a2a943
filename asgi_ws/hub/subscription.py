"""The broker's subscription to one room, and the tries to get it."""

import asyncio
from collections.abc import Awaitable, Callable, Sized
from dataclasses import dataclass, field
from typing import Final

from .._aio.eager import Starter
from .._aio.futures import resolve
from ..brokers.base import Broker
from ..errors import HubNotRunning
from .backoff import MOST_SECONDS, Backoff, FailureLog, FailureLogs, failure_of
from .recovery import Recovery
from .state import ROOM_TRANSITIONS, RoomState

# How long a block waits for a broker that fails, in seconds. No delay between two tries is longer.
_ENTER_SECONDS: Final = MOST_SECONDS
# After this number of failures, about ten seconds, `unsubscribe` is not tried again.
_UNSUBSCRIBE_TRIES: Final = 8
_CALLING: Final = (RoomState.SUBSCRIBING, RoomState.UNSUBSCRIBING)
_FAILED: Final = (RoomState.SUBSCRIBE_FAILED, RoomState.UNSUBSCRIBE_FAILED)


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """The broker as the rooms of a hub use it."""

    loop: asyncio.AbstractEventLoop
    broker: Broker
    starter: Starter
    start: Callable[[], Awaitable[None]]
    """Starts the broker, unless it is started."""
    failure_logs: FailureLogs = field(default_factory=FailureLogs)


class Subscription:
    """Keeps the broker subscribed to a room while that has members.

    A call that fails is tried again with back-off: `subscribe` while there are members, `unsubscribe` some times.

    Args:
        name: of the room.
        members: of the room.
        keeps_history: whether the broker keeps some of what is published.
        new_recovery: makes the recovery of a subscription; the next one begins anew.
        on_end: called when there are no members, and the broker knows.

    Attributes:
        recovery: of the events that come.
    """

    __slots__ = (
        "_access",
        "_backoff",
        "_has_missed",
        "_keeps_history",
        "_members",
        "_name",
        "_new_recovery",
        "_on_end",
        "_state",
        "_waiters",
        "recovery",
    )

    def __init__(
        self,
        name: str,
        access: BrokerAccess,
        *,
        members: Sized,
        keeps_history: bool,
        new_recovery: Callable[[], Recovery],
        on_end: Callable[[], None],
    ) -> None:
        self._name = name
        self._access = access
        self._members = members
        self._keeps_history = keeps_history
        self._new_recovery = new_recovery
        self._on_end = on_end
        self.recovery = new_recovery()
        self._state = RoomState.UNSUBSCRIBED
        self._backoff = Backoff(access.loop)
        # Whether members were there while the broker was not subscribed.
        self._has_missed = False
        # The blocks that wait for the broker to know of their members, and until when.
        self._waiters: list[tuple[asyncio.Future[None], float]] = []

    def _on(self, event: str) -> None:
        self._state = ROOM_TRANSITIONS[self._state][event]

    @property
    def is_pending(self) -> bool:
        """Return True if there are members that the broker does not know of."""
        return len(self._members) > 0 and self._state is not RoomState.SUBSCRIBED

    def known(self) -> "asyncio.Future[None] | None":
        """Return a future that is done when the broker knows of the members; None if it does.

        It may be resolved by a member that ends. It has HubNotRunning when the hub stops, and what the broker raised
        when no try within five seconds has succeeded.
        """
        if self._state is RoomState.SUBSCRIBED:
            return None
        loop = self._access.loop
        waiter = loop.create_future()
        self._waiters.append((waiter, loop.time() + _ENTER_SECONDS))
        return waiter

    def settle(self) -> None:
        """Subscribe if there are members, unsubscribe if there are none; where a call is under way, after that."""
        if self._follow() and self._state in _CALLING:
            self._start_calls()

    def _follow(self) -> bool:
        """Make the transition that the members require; return False if there is none."""
        event = "occupied" if self._members else "empty"
        if event not in ROOM_TRANSITIONS[self._state]:
            return False
        self._on(event)
        self._backoff.reset()
        if self._state is RoomState.ENDED:
            self._end()
            self._on_end()
        return True

    def on_interrupted(self) -> None:
        """Repeat at once a call that has failed; where the broker is subscribed, look for events that were missed."""
        if self._state in _FAILED:
            self._retry()
        elif self._state is RoomState.SUBSCRIBED:
            self.recovery.catch_up()

    def _retry(self) -> None:
        self._backoff.cancel()
        # A call that was cancelled has not looked at the members.
        if not self._follow():
            self._on("retry")
        self._start_calls()

    def _start_calls(self) -> None:
        self._access.starter.start(iter([self._call()]))

    async def _call(self) -> None:
        """Call the broker until it knows of the members, or that there are none, or a call has failed."""
        while (calling := self._state) in _CALLING:
            try:
                await (self._subscribe() if calling is RoomState.SUBSCRIBING else self._unsubscribe())
            except BaseException as error:  # noqa: BLE001 -- tried again, and raised for those who wait
                self._on_failure(calling, error)
                return
            if self._state is RoomState.ENDED:
                return
            self._on("done")
            self._backoff.reset()
            self._log_of(calling).succeeded(self._name)
            self._follow()
        self._release()

    def _log_of(self, calling: RoomState) -> FailureLog:
        logs = self._access.failure_logs
        return logs.subscribing if calling is RoomState.SUBSCRIBING else logs.unsubscribing

    def _on_failure(self, calling: RoomState, error: BaseException) -> None:
        is_over = self._state is RoomState.ENDED
        if not is_over:
            self._on("failed")
        try:
            failure = failure_of(error)
        except asyncio.CancelledError:
            # Not by the hub, unless it has stopped.
            if not is_over:
                self._backoff.plan(self._retry)
            raise
        if is_over:
            return
        self._log_of(calling).failed(self._name, failure)
        delay = self._backoff.plan(self._retry)
        if calling is RoomState.UNSUBSCRIBING and self._backoff.failures >= _UNSUBSCRIBE_TRIES:
            self._on("too often")
        else:
            self._raise_for_waiters(failure, delay)
        # Members may have come or gone meanwhile.
        self.settle()

    def _raise_for_waiters(self, error: Exception, delay: float) -> None:
        """Raise an error in the blocks that would have to wait for too long."""
        loop = self._access.loop
        waiters, self._waiters = self._waiters, []
        for waiter, until in waiters:
            if until < loop.time() + delay:
                resolve(waiter, error)
            elif not waiter.done():
                self._waiters.append((waiter, until))

    async def _subscribe(self) -> None:
        broker, recovery = self._access.broker, self.recovery
        try:
            await self._access.start()
            if self._has_missed and self._keeps_history and recovery.last is None:
                # Before the first event of the subscription, so that the notice stands where the hole is.
                recovery.begin_after((await broker.read(self._name, None, 1)).top)
            await broker.subscribe(self._name)
        except BaseException:
            self._has_missed = True
            raise
        if self._has_missed:
            self._has_missed = False
            recovery.catch_up()
        elif self._keeps_history and recovery.last is None:
            page = await broker.read(self._name, None, 1)
            # Events may have come meanwhile.
            recovery.last = recovery.last or page.top

    async def _unsubscribe(self) -> None:
        self.recovery.stop()
        self.recovery = self._new_recovery()
        self._has_missed = False
        await self._access.broker.unsubscribe(self._name)

    def stop(self) -> None:
        """Stop calling the broker."""
        self._on("stop")
        self._end()
        self._release(HubNotRunning("join()", "the hub stops"))

    def _end(self) -> None:
        # The next member of the name makes another room.
        self._backoff.cancel()
        self.recovery.stop()
        self._access.failure_logs.subscribing.discard(self._name)
        self._access.failure_logs.unsubscribing.discard(self._name)

    def _release(self, error: Exception | None = None) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter, _ in waiters:
            resolve(waiter, error)
