"""One connection in a hub: its memberships, and the outbox that they share."""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from .._aio.eager import Starter
from ..errors import ConnectionClosed
from ..token_bucket import TokenBucket
from ..websocket.channel import CLOSE_TIMEOUT
from .adapters import ForeignSocket, Socket, is_disconnect, log_failure
from .joinable import Key
from .outbox import Outbox
from .overflow import OutboxLimits
from .presence import Member
from .statistics import Counters


class Ending(Enum):
    """Why a membership is not active any more."""

    LEFT = "join() again"
    CLOSED = "its connection has ended"
    FAILED = "its send raised, see the log; join() again"
    STOPPED = "the hub has stopped"


class JoinedMember(Protocol):
    """A membership, as its connection sees it."""

    room: str
    connection: "HubConnection"

    def leave(self) -> None:
        """Leave the room."""

    def end(self, ending: Ending) -> Member | None:
        """Leave the room unannounced; return the member if its identity has left the room."""
        ...

    def announce_leave(self, left: Member) -> None:
        """Announce to the other members that an identity has left the room."""

    def settle_room(self) -> None:
        """Unsubscribe the room if it has no members."""

    def end_block(self) -> None:
        """Cancel the block of an `async with`."""


def end_all(members: list[JoinedMember], ending: Ending) -> None:
    """End memberships, and then announce them, so that members that leave together are not notified of each other."""
    for member, left in [(member, member.end(ending)) for member in members]:
        if left is not None:
            member.announce_leave(left)
    for member in {member.room: member for member in members}.values():
        member.settle_room()


class HubConnection:
    """One connection in a hub, with one outbox for all of its rooms.

    Attributes:
        key: of the connection in the hub.
        memberships: by the names of their rooms.
        origin: its name among all connections of all processes.
    """

    __slots__ = ("_counters", "_on_done", "_socket", "key", "memberships", "origin", "outbox")

    def __init__(
        self,
        socket: Socket,
        *,
        key: Key,
        origin: str,
        starter: Starter,
        limits: OutboxLimits,
        counters: Counters,
        on_done: "Callable[[HubConnection], None]",
    ) -> None:
        self._socket = socket
        self._counters = counters
        self._on_done = on_done
        self.key = key
        self.origin = origin
        self.memberships: dict[str, JoinedMember] = {}
        rate = limits.unpaced_bytes_per_second
        self.outbox = Outbox(
            socket.send,
            starter,
            limits,
            on_overflow=self._on_overflow,
            on_failure=self._on_failure,
            on_closed=self._on_closed,
            push=socket.push,
            push_in_turn=socket.push_in_turn,
            pace=TokenBucket(rate, capacity=rate) if socket.never_waits else None,
        )
        socket.attach(self)

    def leave(self, membership: JoinedMember) -> None:
        """Leave a room. After the last one the pending messages are sent, and nothing more."""
        del self.memberships[membership.room]
        if not self.memberships:
            self.outbox.leave()
        end_all([membership], Ending.LEFT)

    def _on_closed(self) -> None:
        self._socket.detach(self)
        self._on_done(self)

    def closed_error(self) -> ConnectionClosed:
        """Return the error of a call that needs the connection, which has ended."""
        return self._socket.closed_error()

    def pop_memberships(self) -> list[JoinedMember]:
        """Take no more messages; return the memberships, which are the caller's to end."""
        self.outbox.close()
        memberships, self.memberships = self.memberships, {}
        return list(memberships.values())

    def on_end(self) -> None:
        """End the memberships: the connection has ended or is about to. Pending messages are still sent."""
        self._end(Ending.CLOSED)

    def _end(self, ending: Ending) -> list[JoinedMember]:
        memberships = self.pop_memberships()
        end_all(memberships, ending)
        return memberships

    async def flush(self) -> None:
        """Wait until pending messages are sent or dropped."""
        await self.outbox.flush()

    async def drain(self, error: BaseException | None) -> None:
        """Wait for the pending messages if the server would close before they are sent, as the handler ends.

        Messages that are not sent within the close time-out are dropped. A WebSocket of this package waits when it
        closes. A cancelled handler waits for nothing, nor does one whose client has left.

        Args:
            error: raised by the handler, if any.
        """
        if self.memberships or not isinstance(self._socket, ForeignSocket):
            return
        # An OSError does not count: it may be the handler's own TimeoutError.
        if error is not None and (not isinstance(error, Exception) or is_disconnect(error)):
            return
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.outbox.flush()
        except TimeoutError:
            self.outbox.abort()

    def on_gone(self, ending: Ending = Ending.CLOSED) -> None:
        """End the memberships and drop pending messages: nothing can be sent."""
        self.outbox.abort()
        self._end(ending)

    def close(self, memberships: list[JoinedMember], code: int, reason: str) -> None:
        """Close the connection, whose memberships these were. Pending messages are dropped."""
        self._abort_sends(memberships)
        self._socket.close(code, reason)

    def on_drop(self) -> None:
        """Count a message of a membership that was dropped."""
        self._counters.dropped += 1

    def _on_overflow(self) -> None:
        self._counters.closed += 1
        self._abort_sends(self._end(Ending.CLOSED))
        self._socket.close_slow()

    def _abort_sends(self, memberships: list[JoinedMember]) -> None:
        # A stuck send would hold the close frame too.
        self.outbox.abort()
        if isinstance(self._socket, ForeignSocket):
            # Its `receive` does not return because of our close.
            for membership in memberships:
                membership.end_block()

    def _on_failure(self, error: BaseException) -> None:
        self._end(Ending.CLOSED if log_failure(error) else Ending.FAILED)
