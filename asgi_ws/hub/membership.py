"""Membership of a connection in a room, and what all memberships of one connection share."""

import asyncio
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

from .._aio.eager import Starter
from .._aio.futures import is_running_in, resolve
from .._aio.scopes import Block
from .._asgi import Broadcast
from ..brokers.base import HistoryPage, Position
from ..errors import ConnectionClosed, HubNotRunning, LifecycleError, WrongLoop, show
from ..websocket.channel import CLOSE_TIMEOUT
from .adapters import ForeignSocket, Socket, is_disconnect, log_failure
from .joinable import Joinable, Key
from .outbox import Outbox, Pace
from .overflow import OutboxLimits, Overflow
from .presence import Member
from .room import ActiveRoom, check_room
from .statistics import Counters

Data: TypeAlias = str | bytes | bytearray | memoryview
Exclude: TypeAlias = "Joinable | Membership | None"
"""Whose connection is not to get a message: one that has joined, or a membership of it."""


class Publisher(Protocol):
    """What a membership asks of its hub."""

    async def publish(
        self, room: str, data: Data, *, exclude: Exclude = None, key: str | None = None
    ) -> Position | None: ...

    async def publish_json(
        self, room: str, value: Any, *, exclude: Exclude = None, key: str | None = None
    ) -> Position | None: ...

    def members(self, room: str) -> list[Member]: ...

    async def read(self, room: str, since: Position | None = None, limit: int = 100) -> HistoryPage: ...


class Ending(Enum):
    """Why a membership is not active any more."""

    LEFT = "join() again"
    CLOSED = "its connection has ended"
    FAILED = "its send raised, see the log; join() again"
    STOPPED = "the hub has stopped"


class HubConnection:
    """One connection in a hub, with one outbox for all of its rooms.

    Attributes:
        key: of the connection in the hub.
        memberships: by the names of their rooms.
        origin: its name among all connections of all processes.
    """

    __slots__ = ("_counters", "_forget", "_socket", "key", "memberships", "origin", "outbox")

    def __init__(
        self,
        socket: Socket,
        *,
        key: Key,
        origin: str,
        starter: Starter,
        limits: OutboxLimits,
        counters: Counters,
        forget: "Callable[[HubConnection], None]",
    ) -> None:
        self._socket = socket
        self._counters = counters
        self._forget = forget
        self.key = key
        self.origin = origin
        self.memberships: dict[str, Membership] = {}
        self.outbox = Outbox(
            socket.send,
            starter,
            limits,
            on_overflow=self._on_overflow,
            on_failure=self._on_failure,
            on_rest=self._on_rest,
            push=socket.push,
            push_in_turn=socket.push_in_turn,
            pace=Pace(limits.unpaced_bytes_per_second) if socket.never_waits else None,
        )
        socket.attach(self)

    def remove(self, membership: "Membership") -> None:
        """Let a membership go that has ended. Once all have, what waits is sent, and that is all."""
        del self.memberships[membership.room]
        if not self.memberships:
            self.outbox.retire()

    def _on_rest(self) -> None:
        self._socket.detach(self)
        self._forget(self)

    def closed_error(self) -> ConnectionClosed:
        """Return the error of a call that needs the connection, which has ended."""
        return self._socket.closed_error()

    def withdraw(self) -> "list[Membership]":
        """Take no more messages; return the memberships, for `end_all`."""
        self.outbox.shut()
        memberships, self.memberships = self.memberships, {}
        return list(memberships.values())

    def on_end(self) -> None:
        """The connection has ended, or is about to: so do its memberships. Pending messages are still sent."""
        self._end(Ending.CLOSED)

    def _end(self, ending: Ending) -> "list[Membership]":
        memberships = self.withdraw()
        end_all(memberships, ending)
        if memberships:
            self.outbox.retire()
        return memberships

    async def flush(self) -> None:
        """Wait until what waits is sent, or dropped."""
        await self.outbox.flush()

    async def finish(self) -> None:
        """Wait until what waits is sent, where a handler that ends would have its server close before that.

        Messages not sent within the close time-out are dropped. A WebSocket of this package does that when it closes.
        """
        if self.memberships or not isinstance(self._socket, ForeignSocket):
            return
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.outbox.flush()
        except TimeoutError:
            self.outbox.abandon()

    def on_gone(self, ending: Ending = Ending.CLOSED) -> None:
        """Nothing can be sent any more."""
        self.outbox.abandon()
        self._end(ending)

    def expel(self, memberships: "list[Membership]", code: int, reason: str) -> None:
        """Close the connection, whose memberships these were. Pending messages are dropped."""
        self._abandon(memberships)
        self.outbox.retire()
        self._socket.close(code, reason)

    def _on_overflow(self) -> None:
        self._counters.closed += 1
        self._abandon(self._end(Ending.CLOSED))
        self._socket.close_slow()

    def _abandon(self, memberships: "list[Membership]") -> None:
        # A stuck send would hold the close frame too.
        self.outbox.abandon()
        if isinstance(self._socket, ForeignSocket):
            # It does not hear of our close in `receive`.
            for membership in memberships:
                membership.end_block()

    def _on_failure(self, error: BaseException) -> None:
        self._end(Ending.CLOSED if log_failure(error) else Ending.FAILED)


class Membership:
    """A connection's place in a room, from `Hub.join` until `leave`, the end of its block, or that of the connection.

    It works at once. As a context manager (`async with`) it leaves at the end of the block; the block begins when the
    broker knows of it, so that nothing that anyone publishes after that is missed. It has one block: entering it twice,
    and entering it after `leave()`, raises LifecycleError. Entering it after its connection has ended raises
    ConnectionClosed, after a stop of the hub HubNotRunning.

    The end of the block on a connection of another framework, whose server closes it when the handler returns, waits
    until everything is sent, at most ten seconds, if the connection has no other membership and its client is there.

    Attributes:
        room: its name.
        identity: who the connection belongs to, as it was given or made.
        info: what was given with it.
        overflow: what happens when the connection does not keep up.
        active: whether it is one still.
        dropped: messages of the room that the connection was too slow for.
        position: that of the newest message when it joined; None in a room without a history.
    """

    __slots__ = (
        "_block",
        "_counters",
        "_ending",
        "_hub",
        "_is_over",
        "_known",
        "active",
        "announces",
        "connection",
        "dropped",
        "identity",
        "info",
        "origin",
        "outbox",
        "overflow",
        "position",
        "room",
        "state",
    )

    def __init__(
        self,
        hub: Publisher,
        state: ActiveRoom,
        connection: HubConnection,
        counters: Counters,
        *,
        overflow: Overflow,
        identity: str,
        info: Any,
    ) -> None:
        self._hub = hub
        self.state = state
        self.connection = connection
        self._counters = counters
        # From the moment it is entered until the block ends.
        self._block: Block | None = None
        # The future that the block waits for before it begins.
        self._known: asyncio.Future[None] | None = None
        # None while it is active.
        self._ending: Ending | None = None
        # Whether the block is to end.
        self._is_over = False
        self.room = state.name
        self.identity = identity
        self.info = info
        self.overflow = overflow
        self.active = True
        self.dropped = 0
        self.outbox = connection.outbox
        self.origin = connection.origin
        # What a message needs to know of its way, see `backlog.Source` and `delivery.Recipient`.
        self.announces = state.keeps_history
        self.position: Position | None = None
        connection.memberships[self.room] = self
        state.add(self, identity, info)
        self.position = state.subscription.recovery.last

    def __repr__(self) -> str:
        return f"<Membership of {show(self.identity)} in {show(self.room)}{'' if self.active else ', ended'}>"

    async def publish(self, data: Data, *, exclude: Exclude = None, key: str | None = None) -> Position | None:
        """Publish to the room; see `Hub.publish`."""
        return await self._hub.publish(self.room, data, exclude=exclude, key=key)

    async def publish_json(self, value: Any, *, exclude: Exclude = None, key: str | None = None) -> Position | None:
        """Publish a value as JSON to the room; see `Hub.publish_json`."""
        return await self._hub.publish_json(self.room, value, exclude=exclude, key=key)

    def members(self) -> list[Member]:
        """Who is in the room, on this process."""
        return self._hub.members(self.room)

    def leave(self) -> None:
        """Get no more of the room. Idempotent.

        Messages published before this are still sent, also if the connection is closed after it. On a connection of
        another framework it is sent as long as the handler runs: the end of an `async with` block waits for that.

        Raises:
            WrongLoop: in another event loop than that of the hub, or in another thread.
        """
        if not self.active:
            return
        loop = self.outbox.loop
        if loop.is_closed():
            # Its room is gone with it.
            self.end(Ending.LEFT)
            return
        if not is_running_in(loop):
            raise WrongLoop("leave()", "from another thread use loop.call_soon_threadsafe(membership.leave)")
        self.connection.remove(self)
        end_all([self], Ending.LEFT)

    def end(self, ending: Ending) -> None:
        """Make it inactive; see `end_all`."""
        self.active = False
        self._ending = ending
        if self._known is not None:
            resolve(self._known)

    async def __aenter__(self) -> Self:
        self._check_active()
        if self._block is not None:
            raise LifecycleError("async with membership", "ENTERED", "a membership has one block")
        self._block = Block()
        try:
            self._known = self.state.subscription.known()
            if self._known is not None:
                await self._known
        except BaseException:
            self.leave()
            raise
        if not self._is_over:
            self._check_active()
        if self.position is None:
            self.position = self.state.subscription.recovery.last
        await self._block.__aenter__()
        if self._is_over:
            self._block.end()
        return self

    def _check_active(self) -> None:
        ending = self._ending
        if ending is None:
            return
        if ending is Ending.CLOSED:
            raise self.connection.closed_error()
        if ending is Ending.STOPPED:
            raise HubNotRunning("async with membership", ending.value)
        raise LifecycleError("async with membership", ending.name, ending.value)

    def end_block(self) -> None:
        """Cancel the block, which ends quietly then; also if it has not begun."""
        self._is_over = True
        if self._block is not None:
            self._block.end()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self.leave()
        block, self._block = self._block, None
        is_quiet = block is not None and await block.__aexit__(kind, error, traceback)
        # A cancellation, or a client that has left, waits for nothing. An OSError may be its own TimeoutError.
        if error is None or (isinstance(error, Exception) and not is_disconnect(error)):
            await self.connection.finish()
        return is_quiet

    def on_drop(self) -> None:
        """A message was dropped."""
        self.dropped += 1
        self._counters.dropped += 1

    def notice(self, missed: int) -> Broadcast | None:
        """Return the notice to send in the place of so many messages, if any."""
        return self.state.notice(missed)


def end_all(memberships: list[Membership], ending: Ending) -> None:
    """End memberships, all of them before anybody is told: who leaves together does not hear of each other."""
    left = []
    for membership in memberships:
        membership.end(ending)
        left.append((membership, membership.state.take_out(membership, membership.identity)))
    for membership, member in left:
        if member is not None:
            membership.state.announce_leave(member, membership.origin)
    for state in dict.fromkeys(membership.state for membership in memberships):
        state.subscription.settle()


class Room:
    """A room of a hub by its name, for who publishes and is no member; made by `Hub.room`."""

    __slots__ = ("_hub", "name")

    def __init__(self, hub: Publisher, name: str) -> None:
        self._hub = hub
        self.name = check_room(name)

    async def publish(self, data: Data, *, exclude: Exclude = None, key: str | None = None) -> Position | None:
        """Publish to the room; see `Hub.publish`."""
        return await self._hub.publish(self.name, data, exclude=exclude, key=key)

    async def publish_json(self, value: Any, *, exclude: Exclude = None, key: str | None = None) -> Position | None:
        """Publish a value as JSON to the room; see `Hub.publish_json`."""
        return await self._hub.publish_json(self.name, value, exclude=exclude, key=key)

    def members(self) -> list[Member]:
        """Who is in the room; see `Hub.members`."""
        return self._hub.members(self.name)

    async def read(self, since: Position | None = None, limit: int = 100) -> HistoryPage:
        """Read the room's history; see `Hub.read`."""
        return await self._hub.read(self.name, since, limit)
