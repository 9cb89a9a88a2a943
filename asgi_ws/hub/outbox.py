"""Outbox: sends on one connection, in order; what its server does not take at once waits, within bounds."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from .._aio.eager import Starter
from .._aio.futures import is_running_in
from .._asgi import Broadcast, Event, Push, PushInTurn
from ..errors import end_of_program
from .overflow import Backlog, OutboxLimits, Source


class Pace:
    """Bytes for each second, for a server that takes whatever it is given: one second's worth may go at once."""

    __slots__ = ("_full_at", "_rate")

    def __init__(self, bytes_per_second: int) -> None:
        self._rate = bytes_per_second
        # When so many may go at once again.
        self._full_at = 0.0

    async def wait(self, size: int) -> None:
        """Wait until so many bytes more may go."""
        now = asyncio.get_running_loop().time()
        self._full_at = max(self._full_at, now) + size / self._rate
        excess = self._full_at - now - 1.0
        if excess > 0:
            await asyncio.sleep(excess)


class Outbox:
    """The way of all messages to one connection.

    Attributes:
        loop: that it belongs to.
        writer: the task that is sending now, or would if it had to wait; None where `write` may be begun.
        delivered: messages that the server has taken.
        is_closed: whether it takes no more. Messages that it holds may still be sent, see `shut`.
        is_stuck: whether a room has waited for it in vain since it last sent something of its backlog.
        push: sends a message at once, or tells that it has to be written; None where the server has no such thing. It
            is called while there is no writer, by who counts it as delivered.

    Args:
        send: gives the connection's server an ASGI event; it suspends while the server wants no more.
        starter: begins what `write` gives.
        on_overflow: called once, when the connection is to be closed for being slow. The outbox is closed then.
        on_failure: called once, with what `send` raised. The outbox is closed then.
        on_rest: called when nothing is sent or waits any more, after `retire`.
        push: sends without a coroutine, where the server has that.
        push_in_turn: sends a message that is chosen when it can go, where the server has that.
        pace: bytes for each second, where `send` never suspends.
    """

    __slots__ = (
        "_backlog",
        "_is_retired",
        "_limits",
        "_on_failure",
        "_on_overflow",
        "_on_rest",
        "_pace",
        "_push_in_turn",
        "_send",
        "_starter",
        "_timer",
        "_watchers",
        "delivered",
        "is_closed",
        "is_stuck",
        "loop",
        "push",
        "writer",
    )

    def __init__(
        self,
        send: Callable[[Event], Awaitable[None]],
        starter: Starter,
        limits: OutboxLimits,
        *,
        on_overflow: Callable[[], None],
        on_failure: Callable[[BaseException], None],
        on_rest: Callable[[], None],
        push: Push | None = None,
        push_in_turn: PushInTurn | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._send = send
        self.push = push
        self._push_in_turn = push_in_turn
        self._starter = starter
        self._limits = limits
        self._on_overflow = on_overflow
        self._on_failure = on_failure
        self._on_rest = on_rest
        self._pace = pace
        self.loop = asyncio.get_running_loop()
        self.writer: asyncio.Task[None] | None = None
        self.delivered = 0
        # Made when something has to wait, for most connections never have anything.
        self._backlog: Backlog | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_retired = False
        self.is_closed = False
        self.is_stuck = False
        # Called when something of the backlog is about to be sent, or all of it dropped; None while nobody asks.
        self._watchers: list[Callable[[Outbox], None]] | None = None

    @property
    def messages(self) -> int:
        """How many wait, besides the one that is being sent."""
        return 0 if self._backlog is None else self._backlog.messages

    @property
    def size(self) -> int:
        """The bytes that wait, besides what is being sent."""
        return 0 if self._backlog is None else self._backlog.size

    def write_refused(self, source: Source, broadcast: Broadcast, key: str | None) -> Coroutine[Any, Any, None]:
        """Return what sends a message that `push` has just refused; see `write`.

        Where the server can send it from there it waits within the outbox's bounds: a send that was begun would hold
        one message beside them.
        """
        if self._push_in_turn is None:
            return self.write(broadcast)
        self.put(source, broadcast, key)
        return self.write(None)

    async def write(self, broadcast: Broadcast | None) -> None:
        """Send a message, and then whatever has come to wait. To be begun by the starter, while there is no writer."""
        self.writer = self._starter.current
        try:
            if broadcast is not None:
                if self._pace is not None:
                    await self._pace.wait(broadcast.size)
                await self._send(broadcast.event)
                self.delivered += 1
            if self._backlog is not None:
                await self._drain()
        except BaseException as error:
            if not is_running_in(self.loop):
                # Python closes what a loop left behind: no send has failed.
                raise
            self.fail(error)
            if self._is_cancelled(error):
                raise
        finally:
            self.writer = None
            if self._is_retired:
                self._on_rest()

    def fail(self, error: BaseException) -> None:
        """Close the outbox after a send raised; raise KeyboardInterrupt and SystemExit again, and nothing else."""
        was_closed = self.is_closed
        self.close()
        if not was_closed:
            self._on_failure(error)
        end = end_of_program(error)
        if end is not None:
            raise end

    def _is_cancelled(self, error: BaseException) -> bool:
        """Return True if the writer's task was cancelled, and is not one in whose name other sends are begun."""
        writer = self.writer
        return isinstance(error, asyncio.CancelledError) and writer in self._starter.tasks and writer.cancelling() > 0

    async def _drain(self) -> None:
        while self._backlog is not None:
            if self._backlog.is_empty:
                self._forget_backlog()
            elif self._push_in_turn is not None:
                await self._push_in_turn(self._take)
            else:
                await self._send_next(self._backlog)

    def _take(self) -> Broadcast | None:
        """Return the next message, which is about to be sent; None if there is nothing to send."""
        if self._backlog is None:
            return None
        waiting = self._backlog.take()
        self._tell_progress()
        if waiting.broadcast is None:
            return waiting.source.notice(waiting.missed)
        self.delivered += 1
        return waiting.broadcast

    async def _send_next(self, backlog: Backlog) -> None:
        waiting = backlog.take()
        self._tell_progress()
        broadcast = waiting.broadcast
        if broadcast is None:
            notice = waiting.source.notice(waiting.missed)
            if notice is not None:
                await self._send(notice.event)
            return
        if self._pace is not None:
            await self._pace.wait(waiting.size)
        await self._send(broadcast.event)
        self.delivered += 1

    def put(self, source: Source, broadcast: Broadcast, key: str | None) -> None:
        """Let a message wait for those before it; while there is a writer."""
        now = self.loop.time()
        backlog = self._backlog
        if backlog is None:
            backlog = self._backlog = Backlog(self._limits)
            self._timer = self.loop.call_at(now + self._limits.max_age, self._expire, backlog)
        if not backlog.put(source, broadcast, key, now):
            self._overflow()

    def is_full(self, size: int) -> bool:
        """Return True if so many bytes more would be past a bound."""
        return self._backlog is not None and self._backlog.is_full(size)

    def is_crowded(self, size: int) -> bool:
        """Return True if it is full for so many bytes, but may not be for long: a room may `watch` it."""
        return self._backlog is not None and self._backlog.is_full(size) and not self.is_stuck

    def watch(self, on_progress: "Callable[[Outbox], None]") -> None:
        """Call `on_progress` whenever something leaves the backlog, until `unwatch`."""
        self._watchers = [*(self._watchers or ()), on_progress]

    def unwatch(self, on_progress: "Callable[[Outbox], None]") -> None:
        """Call it no more."""
        self._watchers = [other for other in self._watchers or () if other != on_progress] or None

    def _tell_progress(self) -> None:
        self.is_stuck = False
        for on_progress in self._watchers or ():
            on_progress(self)

    def _expire(self, backlog: Backlog) -> None:
        age = self._limits.max_age
        if not backlog.expire(self.loop.time()):
            self._overflow()
            return
        oldest = backlog.oldest
        since = self.loop.time() if oldest is None else oldest
        self._timer = self.loop.call_at(since + age, self._expire, backlog)

    def _overflow(self) -> None:
        was_closed = self.is_closed
        self.close()
        if not was_closed:
            self._on_overflow()

    def _forget_backlog(self) -> None:
        self._backlog = None
        self._tell_progress()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def shut(self) -> None:
        """Take no more. Messages that it holds are sent: see `flush`."""
        self.is_closed = True

    async def flush(self) -> None:
        """Wait until all that it holds is sent, or dropped. Cancelling this cancels nothing else."""
        if self.writer is not None:
            await asyncio.wait([self.writer])

    def close(self) -> None:
        """Drop what waits, and take no more. What is being sent goes on; see `abandon`."""
        self.is_closed = True
        if self._backlog is not None:
            self._backlog.clear()
        self._forget_backlog()

    def abandon(self) -> None:
        """Close, and give up what is being sent."""
        self.close()
        # Not a task in whose name others are begun, nor itself, whose send has just failed.
        writer = self.writer
        if writer in self._starter.tasks and writer is not asyncio.current_task(self.loop):
            writer.cancel()

    def retire(self) -> None:
        """Nothing more is to come: call `on_rest` when all is sent, which may be now."""
        self._is_retired = True
        if self.writer is None:
            self._on_rest()

    def revive(self) -> None:
        """Something more is to come after all."""
        self._is_retired = False
