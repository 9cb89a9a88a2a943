"""Outbox: sends on one connection, in order. Messages that its server does not take at once wait, within bounds."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from .._aio.eager import Starter
from .._aio.futures import is_running_in
from .._asgi import Broadcast, Event, Push, PushInTurn
from ..errors import end_of_program
from ..token_bucket import TokenBucket
from .overflow import Backlog, OutboxLimits, Source
from .state import OUTBOX_OPEN, OUTBOX_TRANSITIONS, OutboxState

# The two usual transitions of the table are written out in `write`: looked up, they add 1,000 to the 8,800 instructions
# of a send to a plain server (`python -m benchmarks instructions`).
_CLOSED: Final = OutboxState.CLOSED
_IDLE: Final = OutboxState.IDLE
_SENDING: Final = OutboxState.SENDING


class Outbox:
    """The queue and the sends of one connection; see `OutboxState`.

    Attributes:
        loop: that it belongs to.
        state: changed by this object alone.
        delivered: messages that the server has taken.
        push: sends a message at once, or returns False if it has to be written; None where the server has no such
            method. It is called in the state IDLE, and its caller counts the message as delivered.

    Args:
        send: gives the connection's server an ASGI event; it suspends while the server wants no more.
        starter: begins what `write` returns.
        on_overflow: called once, when the connection is to be closed for being slow; it aborts the outbox.
        on_failure: called once, with what `send` raised. The outbox is aborted then.
        on_closed: called once, when nothing is being sent and nothing more will be.
        push: sends without a coroutine, where the server has that.
        push_in_turn: sends a message that is chosen when it can go, where the server has that.
        pace: bytes for each second, where `send` never suspends.
    """

    __slots__ = (
        "_backlog",
        "_limits",
        "_on_closed",
        "_on_failure",
        "_on_overflow",
        "_pace",
        "_push_in_turn",
        "_send",
        "_starter",
        "_timer",
        "_watchers",
        "_writer",
        "delivered",
        "loop",
        "push",
        "state",
    )

    def __init__(
        self,
        send: Callable[[Event], Awaitable[None]],
        starter: Starter,
        limits: OutboxLimits,
        *,
        on_overflow: Callable[[], None],
        on_failure: Callable[[BaseException], None],
        on_closed: Callable[[], None],
        push: Push | None = None,
        push_in_turn: PushInTurn | None = None,
        pace: TokenBucket | None = None,
    ) -> None:
        self._send = send
        self.push = push
        self._push_in_turn = push_in_turn
        self._starter = starter
        self._limits = limits
        self._on_overflow = on_overflow
        self._on_failure = on_failure
        self._on_closed = on_closed
        self._pace = pace
        self.loop = asyncio.get_running_loop()
        self.state = _IDLE
        # The task that is sending, or would if it had to wait; None in the states IDLE and CLOSED.
        self._writer: asyncio.Task[None] | None = None
        self.delivered = 0
        # The messages that wait, and the timer of the oldest; None while none does, as on most connections.
        self._backlog: Backlog | None = None
        self._timer: asyncio.TimerHandle | None = None
        # Called when something of the backlog is about to be sent, or all of it dropped; None while there are none.
        self._watchers: list[Callable[[Outbox], None]] | None = None

    def _on(self, event: str) -> None:
        before = self.state
        self.state = after = OUTBOX_TRANSITIONS[before][event]
        if after is _CLOSED and before is not _CLOSED:
            self._on_closed()

    @property
    def is_closed(self) -> bool:
        """Return True if it takes no more messages. Those that it holds may still be sent."""
        return self.state not in OUTBOX_OPEN

    @property
    def is_sending(self) -> bool:
        """Return True if the server has not taken everything that it was given."""
        return self._writer is not None

    @property
    def messages(self) -> int:
        """Return the number of pending messages, without the one that is being sent."""
        return 0 if self._backlog is None else self._backlog.messages

    @property
    def size(self) -> int:
        """Return the bytes of pending messages, without the one that is being sent."""
        return 0 if self._backlog is None else self._backlog.size

    def write_refused(self, source: Source, broadcast: Broadcast, key: str | None) -> Coroutine[Any, Any, None]:
        """Return the coroutine that sends a message that `push` has just refused; see `write`.

        Where the server can send it from there it waits within the outbox's bounds: a send that was begun would hold
        one message beside them.
        """
        if self._push_in_turn is None:
            return self.write(broadcast)
        self.put(source, broadcast, key)
        return self.write(None)

    async def write(self, broadcast: Broadcast | None) -> None:
        """Send a message, and then those that have come to wait. To be begun by the starter, in the state IDLE."""
        self.state = _SENDING if self.state is _IDLE else OUTBOX_TRANSITIONS[self.state]["send"]
        self._writer = self._starter.current
        try:
            if broadcast is not None:
                if self._pace is not None:
                    await self._wait_for_pace(self._pace, broadcast.size)
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
            self._writer = None
            if self.state is _SENDING:
                self.state = _IDLE
            else:
                self._on("sent")

    def fail(self, error: BaseException) -> None:
        """Abort after a send raised; raise KeyboardInterrupt and SystemExit again, and nothing else."""
        was_closed = self.is_closed
        self.abort()
        if not was_closed:
            self._on_failure(error)
        end = end_of_program(error)
        if end is not None:
            raise end

    def _is_cancelled(self, error: BaseException) -> bool:
        """Return True if the writer's task was cancelled, and is not one in whose name other sends are begun."""
        writer = self._writer
        return isinstance(error, asyncio.CancelledError) and writer in self._starter.tasks and writer.cancelling() > 0

    async def _wait_for_pace(self, pace: TokenBucket, size: int) -> None:
        seconds = pace.spend(self.loop.time(), size)
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def _drain(self) -> None:
        while self._backlog is not None:
            if self._backlog.is_empty:
                self._end_backlog()
            elif self._push_in_turn is not None:
                await self._push_in_turn(self._take)
            else:
                await self._send_next(self._backlog)

    def _take(self) -> Broadcast | None:
        """Return the next message, which is about to be sent; None if there is nothing to send."""
        if self._backlog is None:
            return None
        waiting = self._backlog.take()
        self._on_progress()
        if waiting.broadcast is None:
            return waiting.source.notice(waiting.missed)
        self.delivered += 1
        return waiting.broadcast

    async def _send_next(self, backlog: Backlog) -> None:
        waiting = backlog.take()
        self._on_progress()
        broadcast = waiting.broadcast
        if broadcast is None:
            notice = waiting.source.notice(waiting.missed)
            if notice is not None:
                await self._send(notice.event)
            return
        if self._pace is not None:
            await self._wait_for_pace(self._pace, waiting.size)
        await self._send(broadcast.event)
        self.delivered += 1

    # -- messages that wait

    def put(self, source: Source, broadcast: Broadcast, key: str | None) -> None:
        """Queue a message behind those before it."""
        now = self.loop.time()
        backlog = self._backlog
        if backlog is None:
            backlog = self._backlog = Backlog(self._limits)
            self._timer = self.loop.call_at(now + self._limits.max_age, self._on_age, backlog)
        if not backlog.put(source, broadcast, key, now):
            self._overflow()

    def is_full(self, size: int) -> bool:
        """Return True if a message of this size would exceed a bound."""
        return self._backlog is not None and self._backlog.is_full(size)

    def is_crowded(self, size: int) -> bool:
        """Return True if it is full for this size, but may not be for long: a room may `watch` it."""
        return self._backlog is not None and self._backlog.is_full(size) and not self._backlog.is_stuck

    def watch(self, on_progress: "Callable[[Outbox], None]") -> None:
        """Call `on_progress` whenever something leaves the backlog, until `unwatch`."""
        self._watchers = [*(self._watchers or ()), on_progress]

    def unwatch(self, on_progress: "Callable[[Outbox], None]", *, in_vain: bool) -> None:
        """Stop calling `on_progress`; `in_vain` marks a full outbox as stuck until it sends something."""
        self._watchers = [other for other in self._watchers or () if other != on_progress] or None
        if in_vain and self._backlog is not None:
            self._backlog.is_stuck = True

    def _on_progress(self) -> None:
        if self._backlog is not None:
            self._backlog.is_stuck = False
        for on_progress in self._watchers or ():
            on_progress(self)

    def _on_age(self, backlog: Backlog) -> None:
        """Drop the messages that have waited for too long."""
        if not backlog.drop_aged(self.loop.time()):
            self._overflow()
            return
        oldest = backlog.oldest
        since = self.loop.time() if oldest is None else oldest
        self._timer = self.loop.call_at(since + self._limits.max_age, self._on_age, backlog)

    def _overflow(self) -> None:
        self._drop()
        if not self.is_closed:
            self._on_overflow()

    def _drop(self) -> None:
        """Drop the pending messages."""
        if self._backlog is not None:
            self._backlog.clear()
        self._end_backlog()

    def _end_backlog(self) -> None:
        self._backlog = None
        self._on_progress()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- the end

    def join(self) -> None:
        """Continue: the connection has joined a room, perhaps after it left its last one."""
        self._on("join")

    def leave(self) -> None:
        """Send pending messages, and then close: the connection has left its last room."""
        self._on("leave")

    def close(self) -> None:
        """Accept no more messages; send the pending ones, see `flush`."""
        self._on("close")

    async def flush(self) -> None:
        """Wait until all messages are sent, or dropped. Cancelling this cancels nothing else."""
        if self._writer is not None:
            await asyncio.wait([self._writer])

    def abort(self) -> None:
        """Accept no more messages, drop the pending ones, and cancel the send that is under way."""
        self._drop()
        # Not a task in whose name others are begun, nor itself, whose send has just failed.
        writer = self._writer
        if writer in self._starter.tasks and writer is not asyncio.current_task(self.loop):
            writer.cancel()
        self._on("abort")
