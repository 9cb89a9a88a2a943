"""Runtime: the rooms, connections and tasks of a hub in one event loop."""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Final, cast

from .._aio.eager import Starter
from .._aio.time_slice import TimeSlice
from ..brokers.base import Broker
from ..websocket.channel import FORCED_CLOSE_TIMEOUT
from .adapters import Socket
from .connection import Ending, HubConnection, JoinedMember, end_all
from .encoder import Encoder
from .fanout import Fanout, Recipient
from .joinable import Key
from .overflow import OutboxLimits
from .room import ActiveRoom, Identities, Rooms
from .state import RUNTIME_TRANSITIONS, RuntimeState
from .statistics import Counters, HubStatistics
from .subscription import BrokerAccess

logger = logging.getLogger("asgi_ws")

# Connections that `disconnect` closes in one iteration of the loop: each is work for two tasks in those that follow.
_CLOSES_PER_ITERATION: Final = 64
_NOT_RUNNING: Final = (RuntimeState.NEW, RuntimeState.LEFT, RuntimeState.STARTING)
STOPPING_OR_STOPPED: Final = (RuntimeState.STOPPING, RuntimeState.STOPPED)


class Runtime:
    """The rooms and connections of a hub, and the tasks that serve them.

    Attributes:
        loop: that all of it belongs to.
        state: see `state`.
        rooms: by their names; those that have members, or had until now.
        connections: by what joined.
        identities: the members of all rooms by their identities.
        slice: the hub's time in each iteration of the loop.
        entered: how many `async with` there are.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        state: RuntimeState,
        *,
        broker: Broker,
        encoder: Encoder,
        limits: OutboxLimits,
        counters: Counters,
        name: str,
    ) -> None:
        self.loop = loop
        self.state = state
        # Done when STARTING or STOPPING has ended; None in other states.
        self._settled: asyncio.Future[None] | None = None
        self.rooms = Rooms()
        self.connections: dict[Key, HubConnection] = {}
        self._broker = broker
        self._limits = limits
        self._counters = counters
        self._name = name
        self._numbers = itertools.count(1)
        self._starter = Starter(loop, "asgi_ws hub")
        self.slice = TimeSlice(loop)
        self._access = BrokerAccess(loop, broker, self._starter, self.start)
        self._encoder = encoder
        self.identities: Identities = {}
        self._has_warned = False
        self.entered = 0

    def _on(self, event: str) -> None:
        self.state = RUNTIME_TRANSITIONS[self.state][event]

    async def start(self) -> None:
        """Start the broker, once. Does nothing after a stop.

        Raises:
            Exception: what the broker raised; the next call tries again.
        """
        while self.state in _NOT_RUNNING:
            if self._settled is None:
                await self._start_broker()
            else:
                # The task that starts it may be cancelled; then the next one tries again.
                starting = self._settled
                await asyncio.wait([starting])
                if not starting.cancelled():
                    starting.result()

    async def _start_broker(self) -> None:
        is_left = self.state is RuntimeState.LEFT
        self._on("start")
        starting = self._settled = self.loop.create_future()
        try:
            if is_left:
                await self._stop_left()
            await self._broker.start(self.rooms.on_event, self._on_interrupted)
        except BaseException as error:
            self._on("failed")
            if isinstance(error, Exception):
                starting.set_exception(error)
                # The other tasks that wait look at it; there may be none.
                starting.exception()
            else:
                starting.cancel()
            raise
        else:
            self._on("started")
            starting.set_result(None)
        finally:
            self._settled = None

    async def _stop_left(self) -> None:
        try:
            await self._broker.stop()
        except Exception:
            # Its resources in the other loop have gone with that.
            logger.debug("a broker could not be stopped in another loop", exc_info=True)

    async def stop(self) -> None:
        """End all memberships and tasks, and stop the broker."""
        self._on("stop")
        stopping = self._settled = self.loop.create_future()
        try:
            await self._end_all()
            for task in self._starter.tasks:
                task.cancel()
            if self._starter.tasks:
                _, left = await asyncio.wait(self._starter.tasks, timeout=FORCED_CLOSE_TIMEOUT)
                if left:
                    logger.warning("hub stopped, but %d cancelled sends still run", len(left))
        finally:
            try:
                await self._broker.stop()
            finally:
                self._on("stopped")
                self._settled = None
                stopping.set_result(None)

    async def wait_stopped(self) -> None:
        """Wait until a stop that has begun is done."""
        if self._settled is not None:
            await asyncio.wait([self._settled])

    async def _end_all(self) -> None:
        """End all memberships, a time slice in each iteration of the loop. No member is notified of the others."""
        rooms, connections = tuple(self.rooms.values()), tuple(self.connections.values())
        endings: Iterator[Callable[[], None]] = chain(
            (room.stop for room in rooms), (partial(each.on_gone, Ending.STOPPED) for each in connections)
        )
        slice_ = self.slice
        try:
            for end in endings:
                slice_.begin()
                end()
                if slice_.is_over:
                    await asyncio.sleep(0)
        finally:
            # Also those that a cancelled stop has not come to.
            for end in endings:
                end()

    def disconnect(self, identity: str | None, room: str | None, code: int, reason: str) -> int:
        """End the memberships of all connections of an identity, or in a room, or both, and begin to close these.

        All memberships have ended when this returns. The connections are closed in the next iterations of the loop,
        where they are many: each is some work for its handler, too.
        """
        found = {membership.connection: None for membership in self._memberships(identity, room)}
        ended = [(connection, connection.pop_memberships()) for connection in found]
        end_all([membership for _, memberships in ended for membership in memberships], Ending.CLOSED)
        closing = deque(ended)
        slice_ = self.slice

        def close_some() -> bool:
            for _ in range(min(len(closing), _CLOSES_PER_ITERATION)):
                connection, memberships = closing.popleft()
                connection.close(memberships, code, reason)
                if slice_.is_over:
                    break
            return not closing

        slice_.begin()
        if not close_some():
            slice_.go_on(close_some)
        return len(found)

    def _memberships(self, identity: str | None, room: str | None) -> Iterable[JoinedMember]:
        recipients: Iterable[Recipient] = ()
        if identity is not None:
            recipients = self.identities.get(identity, ())
        elif room is not None and room in self.rooms:
            recipients = self.rooms[room].fanout
        # A room knows less of them.
        memberships = cast("Iterable[JoinedMember]", recipients)
        return memberships if room is None else [each for each in memberships if each.room == room]

    # -- rooms and connections

    def room(self, name: str, *, keeps_history: bool) -> ActiveRoom:
        """Return a room that is about to get a member; make it if it does not exist."""
        room = self.rooms.get(name)
        if room is None:
            room = self.rooms[name] = ActiveRoom(
                name,
                Fanout(self.loop, self._starter, self.slice),
                self._access,
                self._encoder,
                self.identities,
                keeps_history=keeps_history,
                on_empty=self._on_empty,
            )
        return room

    def _on_empty(self, room: ActiveRoom) -> None:
        del self.rooms[room.name]

    def connect(self, key: Key, socket: Socket) -> HubConnection:
        """Add a connection that is about to become a member."""
        if socket.never_waits and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "the server accepts messages faster than clients read them, and keeps them in memory: limited each "
                "connection to %d bytes a second (OutboxLimits.unpaced_bytes_per_second)",
                self._limits.unpaced_bytes_per_second,
            )

        origin = f"{self._name}:{next(self._numbers)}"
        connection = HubConnection(
            socket,
            key=key,
            origin=origin,
            starter=self._starter,
            limits=self._limits,
            counters=self._counters,
            on_done=self._on_done,
        )
        self.connections[key] = connection
        return connection

    def _on_done(self, connection: HubConnection) -> None:
        outbox = connection.outbox
        self._counters.delivered += outbox.delivered
        outbox.delivered = 0
        # It may have joined again, with an outbox of its own.
        if self.connections.get(connection.key) is connection:
            del self.connections[connection.key]

    # -- the broker

    async def _on_interrupted(self) -> None:
        """Let all rooms look for what they missed, a time slice in each iteration of the loop."""
        for room in tuple(self.rooms.values()):
            # A broker may notice the end of its own connections when it is stopped.
            if self.state is not RuntimeState.RUNNING:
                return
            self.slice.begin()
            room.subscription.on_interrupted()
            if self.slice.is_over:
                await asyncio.sleep(0)


def statistics_of(counters: Counters, runtime: Runtime | None) -> HubStatistics:
    """Return the numbers of a hub, whether it runs or not."""
    connections = members = messages = size = slow = 0
    delivered = counters.delivered
    # Once through them, since they may be many.
    for connection in () if runtime is None else runtime.connections.values():
        outbox = connection.outbox
        delivered += outbox.delivered
        if connection.memberships:
            connections += 1
            members += len(connection.memberships)
        if outbox.is_sending:
            slow += 1
            messages += outbox.messages
            size += outbox.size
    return HubStatistics(
        rooms=0 if runtime is None else sum(bool(room.fanout) for room in runtime.rooms.values()),
        pending_rooms=0 if runtime is None else sum(room.subscription.is_pending for room in runtime.rooms.values()),
        connections=connections,
        members=members,
        published=counters.published,
        delivered=delivered,
        dropped=counters.dropped,
        closed=counters.closed,
        queued_messages=messages,
        queued_bytes=size,
        slow_members=slow,
    )
