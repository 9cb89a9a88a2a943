"""Hub: rooms over the connections of any framework, which slow clients do not delay."""

import asyncio
import os
import threading
from asyncio import _get_running_loop
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from .._aio.futures import is_running_in
from ..brokers.base import Broker, BrokerState, Envelope, EnvelopeDraft, History, HistoryPage, Position
from ..brokers.memory import MemoryBroker
from ..callables import Kind, kind_of
from ..close_codes import check_close
from ..errors import AlreadyJoined, HubNotRunning, InvalidEndpoint, InvalidMessage, WrongLoop, show
from ..json_codec import STANDARD_JSON, JSONCodec
from .adapters import check_open, socket_of
from .encoder import Encoder, check_encoder, checked_payload
from .joinable import Joinable, candidate_of, key_of
from .membership import Data, Exclude, Membership, Room
from .overflow import OutboxLimits, Overflow, overflow_of
from .presence import Member
from .room import check_room
from .runtime import STOPPING_OR_STOPPED, Runtime, statistics_of
from .state import RUNTIME_TRANSITIONS, RuntimeState
from .statistics import Counters, HubStatistics

_RUNNING: Final = RuntimeState.RUNNING
_BYTES_LIKE: Final = (bytes, bytearray, memoryview)


class Hub:
    """Rooms: members receive every message in the same order. A slow client does not delay the others.

    An async context manager, for `App(lifespan=[hub])` or by itself; without either it starts at its first use. It
    belongs to the event loop that it is used in first, until that is closed. Once stopped it has to be entered again.

    A connection that ends in an orderly way, by `leave`, `close` or the end of its handler, gets what was published
    before that, within the close time-out. A client that is too slow, `disconnect`, an abort and a stop of the hub drop
    what waits.

    Args:
        broker: carries what is published to the hubs of other processes, and keeps histories; by default one for this
            process alone.
        overflow: what happens to a connection that does not keep up, unless `join` says otherwise.
        outbox: what may wait for each connection.
        history: what is kept of each room, or a function from its name to that; nothing, by default.
        encoder: turns what happens into messages.
        json: encodes for `publish_json`.

    Raises:
        InvalidOverflow: for an unknown policy.
        InvalidEndpoint: for a method of `encoder`, or a function as `history`, that would have to be awaited, and for
            an `encoder`, `history` or `outbox` of another type.
    """

    def __init__(
        self,
        broker: Broker | None = None,
        *,
        overflow: Overflow | str = Overflow.CLOSE,
        outbox: OutboxLimits = OutboxLimits(),
        history: History | Callable[[str], History | None] | None = None,
        encoder: Encoder = Encoder(),
        json: JSONCodec = STANDARD_JSON,
    ) -> None:
        self._broker: Broker = MemoryBroker() if broker is None else broker
        self._overflow = overflow_of(overflow)
        if not isinstance(outbox, OutboxLimits):
            raise InvalidEndpoint("outbox", f"{show(outbox)} is not an OutboxLimits object")
        self._limits = outbox
        if callable(history):
            if kind_of(history) in (Kind.AWAITABLE, Kind.GENERATOR):
                raise InvalidEndpoint("history", "would have to be awaited: write a plain def")
        elif not isinstance(history, History | None):
            raise InvalidEndpoint(
                "history", f"{show(history)} is not a History object, nor a function that returns one"
            )
        self._history = history
        check_encoder(encoder)
        self._encoder = encoder
        self._json = json
        self._counters = Counters()
        # The runtime of the loop; None before the first use, and after a stop.
        self._runtime: Runtime | None = None
        # Of the origins of connections: other processes have hubs too.
        self._name = os.urandom(6).hex()

    # -- start and stop

    async def __aenter__(self) -> Self:
        while (before := self._runtime) is not None and before.state in STOPPING_OR_STOPPED:
            if before.loop is asyncio.get_running_loop():
                await before.wait_stopped()
            if self._runtime is before:
                self._runtime = None
        runtime = self._here("async with")
        runtime.entered += 1
        try:
            await runtime.start()
        except BaseException:
            runtime.entered -= 1
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        runtime = self._here("async with")
        runtime.entered -= 1
        if not runtime.entered:
            await runtime.stop()

    def _here(self, call: str) -> Runtime:
        """Return the runtime of this loop.

        Raises:
            HubNotRunning: when the hub has stopped.
            WrongLoop: when the hub runs in another loop.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # No loop at all.
            raise WrongLoop(
                call, "from another thread use publish_from_thread(), or loop.call_soon_threadsafe()"
            ) from None
        runtime = self._runtime
        if runtime is None or runtime.loop.is_closed():
            before = RuntimeState.NEW if runtime is None else RUNTIME_TRANSITIONS[runtime.state]["loop closed"]
            runtime = self._runtime = Runtime(
                loop,
                before,
                broker=self._broker,
                encoder=self._encoder,
                limits=self._limits,
                counters=self._counters,
                name=self._name,
            )
        elif runtime.loop is not loop:
            raise WrongLoop(call, "from another thread use publish_from_thread(), and in each loop a hub of its own")
        elif runtime.state in STOPPING_OR_STOPPED:
            raise HubNotRunning(call, "the hub has stopped: start it again with `async with hub`")
        return runtime

    @property
    def broker_state(self) -> BrokerState:
        """Return the state of the connection to the broker."""
        return self._broker.state

    # -- members

    def join(
        self,
        ws: Joinable,
        room: str,
        *,
        overflow: Overflow | str | None = None,
        identity: str | None = None,
        info: Any = None,
    ) -> Membership:
        """Make a connection a member of a room; at once, and as a context manager for a block.

        Args:
            ws: an accepted WebSocket of this package, FastAPI, Starlette or Litestar; of any other connection its ASGI
                `send`. Several rooms share one outbox for each connection.
            room: its name, text of 1 to 255 bytes of UTF-8. It is made by its first member and gone with its last.
            overflow: what happens when the connection does not keep up; None: what the hub was made with.
            identity: who it belongs to: several connections of one count once in `members`. None: one of its own.
            info: anything, for `members` and the encoder.

        Raises:
            InvalidRoom: for a name that no room can have.
            ConnectionClosed: when the connection has ended.
            LifecycleError: when it is not accepted.
            AlreadyJoined: when it is a member of the room.
            InvalidSocket: for anything else, such as `websocket.send_json`.
            InvalidOverflow: for an unknown policy.
            HubNotRunning: when the hub has stopped.
            WrongLoop: in another event loop than that of the hub.
        """
        name = check_room(room)
        policy = self._overflow if overflow is None else overflow_of(overflow)
        # All checks come before the first change.
        keeps_history = self._history_of(name) is not None
        hash(identity)
        candidate = candidate_of(ws)
        runtime = self._here("join()")
        check_open(candidate)
        connection = runtime.connections.get(candidate.key)
        if connection is not None and name in connection.memberships:
            raise AlreadyJoined(name)
        if connection is None or connection.outbox.is_closed:
            connection = runtime.connect(candidate.key, socket_of(candidate))
        else:
            connection.outbox.join()
        return Membership(
            self,
            runtime.room(name, keeps_history=keeps_history),
            connection,
            overflow=policy,
            identity=connection.origin if identity is None else identity,
            info=info,
        )

    def leave(self, ws: Joinable, room: str) -> None:
        """End a connection's membership of a room; do nothing if it has none.

        Raises:
            InvalidSocket: for what `join` does not take.
            WrongLoop: in another event loop than that of the hub, or in another thread.
        """
        key = key_of(ws)
        connection = None if self._runtime is None else self._runtime.connections.get(key)
        membership = None if connection is None else connection.memberships.get(room)
        if membership is not None:
            membership.leave()

    def members(self, room: str) -> list[Member]:
        """Return the members of a room in this process.

        Raises:
            InvalidRoom: for a name that no room can have.
        """
        name = check_room(room)
        state = None if self._runtime is None else self._runtime.rooms.get(name)
        return [] if state is None else state.presence.members()

    def disconnect(
        self, *, identity: str | None = None, room: str | None = None, code: int = 1008, reason: str = ""
    ) -> int:
        """Close the connections of an identity, or of a room, or of an identity in a room; return how many there were.

        Their memberships have ended in all rooms when this returns, and none of them is notified of the others.
        Their pending messages are dropped, and each close frame is tried for a second. Closing many takes some
        iterations of the event loop.

        Raises:
            TypeError: without either.
            InvalidCloseCode: unless the code may be sent (RFC 6455 section 7.4).
            InvalidCloseReason: when the reason takes more than 123 bytes of UTF-8 (section 5.5).
            HubNotRunning: when the hub has stopped.
            WrongLoop: in another event loop than that of the hub, or in another thread.
        """
        if identity is None and room is None:
            raise TypeError("disconnect(): give identity=, room= or both")
        check_close(code, reason)
        runtime = self._here("disconnect()")
        return runtime.disconnect(identity, room, code, reason)

    # -- messages

    async def publish(
        self,
        room: str,
        data: Data,
        *,
        exclude: Exclude = None,
        key: str | None = None,
    ) -> Position | None:
        """Send a message to everyone in a room: str as text, bytes as binary.

        It returns when each member's server has the message, or its outbox has. For outboxes that have just become full
        it waits a tenth of a second at most, and a hundredth of the time after that, however many they are.
        It yields to the event loop when the hub has worked for ten milliseconds in this iteration of it.

        Args:
            room: its name; a room without members is not an error.
            data: the message.
            exclude: the connection that does not get it, as `join` takes it, or a membership of it.
            key: for members that conflate: of the messages with one key that wait only the newest is sent.

        Returns:
            Where the message stands in the room's history; None without one.

        Raises:
            InvalidRoom: for a name that no room can have.
            InvalidMessage: when `data` is neither bytes nor text that UTF-8 can encode, or `key` is not text.
            InvalidSocket: when `exclude` is anything else.
            HubNotRunning: when the hub has stopped.
            WrongLoop: in another event loop than that of the hub.
        """
        runtime = self._runtime
        # The name of a room that has members has been checked.
        if runtime is None or not isinstance(room, str) or room not in runtime.rooms:
            check_room(room)
        if isinstance(data, str) and data.isascii():
            payload = data.encode()
        else:
            if isinstance(data, _BYTES_LIKE):
                data = bytes(data)
            payload = checked_payload("publish()", data)
        if key is not None and not isinstance(key, str):
            raise InvalidMessage("publish()", "a key that is str", key)
        if runtime is None or runtime.state is not _RUNNING or runtime.loop is not _get_running_loop():
            runtime = self._here("publish()")
            await runtime.start()
        # `Envelope(...)` would take longer; see `EnvelopeDraft`.
        draft: Any = EnvelopeDraft()
        draft.data = data
        draft.key = key
        draft.origin = None if exclude is None else self._origin_of(exclude, runtime)
        draft.payload = payload
        draft.__class__ = Envelope
        envelope: Envelope = draft
        # As `_history_of`, a call of which adds 500 to the 32,200 instructions of a publish.
        history = self._history
        if history is not None and callable(history):
            history = history(room)
        self._counters.published += 1
        position = await self._broker.publish(room, envelope, history)
        if runtime.slice.is_spent():
            # A loop of publishing that waits for nothing else would hold the event loop.
            await asyncio.sleep(0)
        return position

    async def publish_json(
        self, room: str, value: Any, *, exclude: Exclude = None, key: str | None = None
    ) -> Position | None:
        """Send a value as JSON text to everyone in a room, encoded once; see `publish`.

        Raises:
            Exception: what the encoder of JSON raises for a value that it does not know.
        """
        return await self.publish(room, self._json.encode_text(value), exclude=exclude, key=key)

    def publish_from_thread(
        self,
        room: str,
        data: Data,
        *,
        exclude: Exclude = None,
        key: str | None = None,
        timeout: float = 10.0,
    ) -> Position | None:
        """Publish from a thread that runs no event loop, such as that of a synchronous view, and wait; see `publish`.

        Raises:
            HubNotRunning: when the hub has not started, or has stopped.
            WrongLoop: in the thread of the hub's own loop, which would wait for itself: `await publish()` there.
            TimeoutError: when it is not done within `timeout` seconds; then it is not published either, unless the loop
                had begun with it.
        """
        runtime = self._runtime
        if runtime is None or not runtime.loop.is_running():
            raise HubNotRunning("publish_from_thread()", "the hub is not running: start it with App(lifespan=[hub])")
        if is_running_in(runtime.loop):
            raise WrongLoop(
                "publish_from_thread()",
                "called in the hub's own thread, which would wait for itself: use await publish()",
            )
        is_given_up = threading.Event()

        async def publish() -> Position | None:
            # A coroutine that is cancelled before the loop has come to it is begun all the same.
            return None if is_given_up.is_set() else await self.publish(room, data, exclude=exclude, key=key)

        publishing = asyncio.run_coroutine_threadsafe(publish(), runtime.loop)
        try:
            return publishing.result(timeout)
        finally:
            is_given_up.set()
            publishing.cancel()

    async def read(self, room: str, since: Position | None = None, limit: int = 100) -> HistoryPage:
        """Read what is kept of a room: what came after `since`, or the newest, at most `limit`, oldest first.

        Of a room without a history there is nothing, and no `top`. It yields to the event loop as `publish` does.

        Raises:
            InvalidRoom: for a name that no room can have.
            HubNotRunning: when the hub has stopped.
            WrongLoop: in another event loop than that of the hub.
        """
        name = check_room(room)
        runtime = self._here("read()")
        page = HistoryPage((), None)
        if self._history_of(name) is not None:
            if runtime.state is not _RUNNING:
                await runtime.start()
            page = await self._broker.read(name, since, limit)
        if runtime.slice.is_spent():
            await asyncio.sleep(0)
        return page

    def room(self, name: str) -> Room:
        """Return a room by its name, whether it has members or not.

        Raises:
            InvalidRoom: for a name that no room can have.
        """
        return Room(self, name)

    def _history_of(self, room: str) -> History | None:
        history = self._history
        return history(room) if callable(history) else history

    def _origin_of(self, exclude: Joinable | Membership, runtime: Runtime) -> str | None:
        # Of a membership that has ended the connection may be a member again, under another origin.
        key = exclude.connection.key if isinstance(exclude, Membership) else key_of(exclude)
        connection = runtime.connections.get(key)
        return None if connection is None else connection.origin

    # -- numbers

    def statistics(self) -> HubStatistics:
        """Return the counters since the hub was made, and the current numbers."""
        return statistics_of(self._counters, self._runtime)
