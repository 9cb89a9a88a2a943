"""Membership of a connection in a room, and a room by its name: the two objects through which a user publishes."""

import asyncio
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

from .._aio.futures import is_running_in, resolve
from .._aio.scopes import Block
from .._asgi import Broadcast
from ..brokers.base import HistoryPage, Position
from ..errors import HubNotRunning, LifecycleError, WrongLoop, show
from .connection import Ending, HubConnection
from .joinable import Joinable
from .overflow import Overflow
from .presence import Member
from .room import ActiveRoom, check_room

Data: TypeAlias = str | bytes | bytearray | memoryview
Exclude: TypeAlias = "Joinable | Membership | None"
"""The connection that does not get a message: one that has joined, or a membership of it."""


class Publisher(Protocol):
    """The methods of a hub that a membership calls."""

    async def publish(
        self, room: str, data: Data, *, exclude: Exclude = None, key: str | None = None
    ) -> Position | None: ...

    async def publish_json(
        self, room: str, value: Any, *, exclude: Exclude = None, key: str | None = None
    ) -> Position | None: ...

    def members(self, room: str) -> list[Member]: ...

    async def read(self, room: str, since: Position | None = None, limit: int = 100) -> HistoryPage: ...


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
        dropped: messages of the room that the connection was too slow for.
        position: that of the newest message when it joined; None in a room without a history.
    """

    __slots__ = (
        "_active_room",
        "_block",
        "_hub",
        "_is_over",
        "_known",
        "announces",
        "connection",
        "dropped",
        "ending",
        "identity",
        "info",
        "origin",
        "outbox",
        "overflow",
        "position",
        "room",
    )

    def __init__(
        self,
        hub: Publisher,
        room: ActiveRoom,
        connection: HubConnection,
        *,
        overflow: Overflow,
        identity: str,
        info: Any,
    ) -> None:
        self._hub = hub
        self._active_room = room
        self.connection = connection
        # From the moment it is entered until the block ends.
        self._block: Block | None = None
        # The future that the block waits for before it begins.
        self._known: asyncio.Future[None] | None = None
        # Why it is not active any more; None while it is.
        self.ending: Ending | None = None
        # Whether the block is to end.
        self._is_over = False
        self.room = room.name
        self.identity = identity
        self.info = info
        self.overflow = overflow
        self.dropped = 0
        self.outbox = connection.outbox
        self.origin = connection.origin
        self.announces = room.keeps_history
        self.position: Position | None = None
        connection.memberships[self.room] = self
        room.add(self, identity, info)
        self.position = room.position

    @property
    def active(self) -> bool:
        """Return True if the membership has not ended."""
        return self.ending is None

    def __repr__(self) -> str:
        return f"<Membership of {show(self.identity)} in {show(self.room)}{'' if self.active else ', ended'}>"

    async def publish(self, data: Data, *, exclude: Exclude = None, key: str | None = None) -> Position | None:
        """Publish to the room; see `Hub.publish`."""
        return await self._hub.publish(self.room, data, exclude=exclude, key=key)

    async def publish_json(self, value: Any, *, exclude: Exclude = None, key: str | None = None) -> Position | None:
        """Publish a value as JSON to the room; see `Hub.publish_json`."""
        return await self._hub.publish_json(self.room, value, exclude=exclude, key=key)

    def members(self) -> list[Member]:
        """Return the members of the room in this process."""
        return self._hub.members(self.room)

    def leave(self) -> None:
        """Leave the room. Idempotent.

        Messages published before this are still sent, also if the connection is closed after it. On a connection of
        another framework it is sent as long as the handler runs: the end of an `async with` block waits for that.

        Raises:
            WrongLoop: in another event loop than that of the hub, or in another thread.
        """
        if not self.active:
            return
        loop = self.outbox.loop
        if loop.is_closed():
            # The room has gone with the loop.
            self.ending = Ending.LEFT
        elif is_running_in(loop):
            self.connection.leave(self)
        else:
            raise WrongLoop("leave()", "from another thread use loop.call_soon_threadsafe(membership.leave)")

    def end(self, ending: Ending) -> Member | None:
        """Leave the room unannounced; return the member if its identity has left the room. See `end_all`."""
        self.ending = ending
        if self._known is not None:
            resolve(self._known)
        return self._active_room.remove(self, self.identity)

    def announce_leave(self, left: Member) -> None:
        """Announce to the other members that an identity has left the room."""
        self._active_room.announce_leave(left, self.origin)

    def settle_room(self) -> None:
        """Unsubscribe the room if it has no members."""
        self._active_room.subscription.settle()

    async def __aenter__(self) -> Self:
        self._check_active()
        if self._block is not None:
            raise LifecycleError("async with membership", "ENTERED", "already entered: a membership has one block")
        self._block = Block()
        try:
            self._known = self._active_room.subscription.known()
            if self._known is not None:
                await self._known
        except BaseException:
            self.leave()
            raise
        if not self._is_over:
            self._check_active()
        if self.position is None:
            self.position = self._active_room.position
        await self._block.__aenter__()
        if self._is_over:
            self._block.end()
        return self

    def _check_active(self) -> None:
        ending = self.ending
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
        await self.connection.drain(error)
        return is_quiet

    def on_drop(self) -> None:
        """Count a message that was dropped."""
        self.dropped += 1
        self.connection.on_drop()

    def notice(self, missed: int) -> Broadcast | None:
        """Return the notice to send in the place of missed messages, if any."""
        return self._active_room.notice(missed)


class Room:
    """A room of a hub by its name, for publishers that are not members; made by `Hub.room`."""

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
        """Return the members of the room; see `Hub.members`."""
        return self._hub.members(self.name)

    async def read(self, since: Position | None = None, limit: int = 100) -> HistoryPage:
        """Read the room's history; see `Hub.read`."""
        return await self._hub.read(self.name, since, limit)
