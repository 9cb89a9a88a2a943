"""The broker's subscription to one room, and the tries to get it."""

import asyncio
from collections.abc import Awaitable, Callable, Sized
from dataclasses import dataclass, field
from typing import Final

from .._aio.eager import Starter
from .._aio.futures import resolve
from .._aio.time_slice import TimeSlice
from ..brokers.base import Broker
from ..errors import HubNotRunning
from .backoff import MOST_SECONDS, Troubles, delay_after, failure_of
from .encoder import Encoder
from .fanout import Recipient
from .recovery import Recovery

# How long a block waits for a broker that fails, in seconds. No delay between two tries is longer.
_ENTER_SECONDS: Final = MOST_SECONDS
# After so many failures, some ten seconds, a broker is not asked any more to forget a room.
_UNSUBSCRIBE_TRIES: Final = 8


@dataclass(frozen=True, slots=True)
class Services:
    """The objects that the rooms of a hub share."""

    loop: asyncio.AbstractEventLoop
    broker: Broker
    encoder: Encoder
    starter: Starter
    slice: TimeSlice
    start: Callable[[], Awaitable[None]]
    """Starts the broker, if nobody has."""
    troubles: Troubles = field(default_factory=Troubles)
    identities: dict[str, dict[Recipient, None]] = field(default_factory=dict)
    """The members of all rooms by their identities."""


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
        "_asked_for",
        "_failures",
        "_has_missed",
        "_is_asking",
        "_is_known",
        "_is_over",
        "_keeps_history",
        "_members",
        "_name",
        "_new_recovery",
        "_on_end",
        "_retry",
        "_services",
        "_waiters",
        "recovery",
    )

    def __init__(
        self,
        name: str,
        services: Services,
        *,
        members: Sized,
        keeps_history: bool,
        new_recovery: Callable[[], Recovery],
        on_end: Callable[[], None],
    ) -> None:
        self._name = name
        self._services = services
        self._members = members
        self._keeps_history = keeps_history
        self._new_recovery = new_recovery
        self._on_end = on_end
        self.recovery = new_recovery()
        # Whether the broker is subscribed; None where a call has failed, or is under way.
        self._is_known: bool | None = False
        self._is_asking = False
        # Whether members were there while the broker was not subscribed.
        self._has_missed = False
        # Since the last success, and for what: True to subscribe, False to unsubscribe.
        self._failures = 0
        self._asked_for = True
        # The next try; None while none is due.
        self._retry: asyncio.TimerHandle | None = None
        # Those who wait for the broker to know of the members, and until when.
        self._waiters: list[tuple[asyncio.Future[None], float]] = []
        # Whether the hub has stopped, or the last member has gone and the broker knows.
        self._is_over = False

    @property
    def is_pending(self) -> bool:
        """Return True if there are members that the broker does not know of."""
        return len(self._members) > 0 and self._is_known is not True

    def known(self) -> "asyncio.Future[None] | None":
        """Return a future that is done when the broker knows of the members; None if it does.

        It may be resolved by a member that ends. It has HubNotRunning when the hub stops, and what the broker raised
        when no try within five seconds has gone well.
        """
        if self._is_known and not self._is_asking:
            return None
        loop = self._services.loop
        waiter = loop.create_future()
        self._waiters.append((waiter, loop.time() + _ENTER_SECONDS))
        return waiter

    def settle(self) -> None:
        """Tell the broker whether there are members, if it does not know."""
        if self._is_asking or self._is_over:
            return
        wish = len(self._members) > 0
        if self._retry is not None and wish is self._asked_for:
            return
        if wish is not self._is_known:
            self._failures = 0
            self.ask()
        elif not wish:
            self._end()

    @property
    def is_due(self) -> bool:
        """Return True if the broker has to be asked again, or for the first time."""
        return self._retry is not None or self.is_pending

    def ask(self) -> None:
        """Ask now, not at the time of the next try."""
        self._cancel_retry()
        if not self._is_asking:
            self._is_asking = True
            self._services.starter.start(iter([self._ask()]))

    async def _ask(self) -> None:
        error: Exception | None = None
        try:
            while error is None and not self._is_over and self._is_known is not (len(self._members) > 0):
                error = await self._try()
        except asyncio.CancelledError:
            # Not by the hub, unless it has stopped.
            if not self._is_over:
                self._retry = self._services.loop.call_later(delay_after(1), self.ask)
            raise
        finally:
            self._is_asking = False
        self._on_asked(error)

    def _on_asked(self, error: Exception | None) -> None:
        if self._is_over:
            return
        if error is not None:
            self._plan_retry(error)
            return
        self._release()
        if not self._members:
            self._end()

    async def _try(self) -> Exception | None:
        """Make the broker know of the members, or that there are none; return what it raised."""
        self._asked_for = wish = len(self._members) > 0
        troubles = self._services.troubles
        trouble = troubles.subscribing if wish else troubles.unsubscribing
        try:
            if wish:
                await self._subscribe()
            else:
                await self._unsubscribe()
        except BaseException as error:  # noqa: BLE001 -- tried again, and told to those who wait
            failure = failure_of(error)
            self._failures += 1
            if not self._is_over:
                trouble.begin(self._name, failure)
            return failure
        self._is_known = wish
        self._failures = 0
        trouble.end(self._name)
        return None

    async def _subscribe(self) -> None:
        broker, recovery = self._services.broker, self.recovery
        try:
            await self._services.start()
            self._is_known = None
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
        self._is_known = None
        self.recovery.stop()
        self.recovery = self._new_recovery()
        self._has_missed = False
        await self._services.broker.unsubscribe(self._name)

    def _plan_retry(self, error: Exception) -> None:
        if not self._asked_for and self._failures >= _UNSUBSCRIBE_TRIES:
            self._is_known = False
            self.settle()
            return
        loop = self._services.loop
        delay = delay_after(self._failures)
        self._retry = loop.call_later(delay, self.ask)
        waiters, self._waiters = self._waiters, []
        for waiter, until in waiters:
            if until < loop.time() + delay:
                resolve(waiter, error)
            elif not waiter.done():
                self._waiters.append((waiter, until))
        # Members may have come or gone while the broker was asked.
        self.settle()

    def _end(self) -> None:
        # Nobody joins this room any more: the next member of the name makes another one, perhaps within `_on_end`.
        self._is_over = True
        self._cancel_retry()
        self.recovery.stop()
        self._services.troubles.subscribing.forget(self._name)
        self._services.troubles.unsubscribing.forget(self._name)
        self._on_end()

    def _release(self, error: Exception | None = None) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter, _ in waiters:
            resolve(waiter, error)

    def _cancel_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def stop(self) -> None:
        """Ask for nothing more."""
        self._is_over = True
        self._cancel_retry()
        self.recovery.stop()
        self._release(HubNotRunning("join()", "the hub stops"))
