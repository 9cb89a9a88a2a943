"""A hub against a model: connections that come, join, stall, die and leave, in any order."""

import asyncio
import gc
import logging
import sys
import weakref
from typing import Any, ClassVar, TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from asgi_ws import History, Hub, Membership, OutboxLimits
from asgi_ws.errors import AlreadyJoined, ConnectionClosed, LifecycleError

from ..eager_tasks import eager_task_factory
from .inside import holds_nothing, knows_hubs
from .model import AGE, BYTES, GAP, KEPT, MESSAGES, STEP, Conn, Event, Model, Seat
from .peers import Errors, Narrator, Peer, ScriptedBroker, TickingLoop

POLICIES = ("close", "drop_oldest", "drop_newest", "conflate", "conflate")

names = st.runner().flatmap(lambda machine: st.sampled_from(list(machine.rooms)))
policies = st.sampled_from(POLICIES)
identities = st.sampled_from([None, "ann", "ben"])
# Some fit four times, some twice exactly, some once, and some only alone.
lengths = st.sampled_from([10, 20, 50, 100, 150, 300])
keys = st.sampled_from([None, "x", "y", "x"])
which = st.integers(0, 50)
# Rules that end connections run seldom, so that others find open connections.
seldom = st.sampled_from([False, False, True])
few = st.integers(0, 5)
Load: TypeAlias = tuple[int, int, str | None, bool]
loads = st.tuples(which, lengths, keys, st.booleans())
messages = st.tuples(names, lengths, keys, st.booleans(), st.none() | which)


class Hubs(RuleBasedStateMachine):
    """After each rule the loop runs until it is idle, and the hub has to match the model.

    Attributes:
        rooms: that there may be, and whether a history of them is kept.
        hasty: whether the hub yields to other tasks after each member.
        age: seconds that a message may wait.
    """

    rooms: ClassVar = {"plain": False, "kept": True, "also-kept": True}
    hasty = False
    age = AGE

    def __init__(self) -> None:
        super().__init__()
        # Keep the objects of earlier examples out of the collections of each example: see `_end`.
        gc.freeze()
        self.loop = TickingLoop()
        asyncio.set_event_loop(None)
        self.complaints: list[Any] = []
        self.loop.set_exception_handler(lambda _, context: self.complaints.append(context))
        self.errors = Errors()
        # pytest keeps what is logged, and with its traceback whatever was there.
        self.log = logging.getLogger("asgi_ws")
        self.log.propagate = False
        self.log.addHandler(self.errors)
        self.model = Model(self.rooms, hasty=self.hasty, age=self.age)
        self.broker = ScriptedBroker()
        self.hub: Hub
        self.peers: dict[Conn, Peer] = {}
        self.seats: dict[Seat, Membership] = {}
        self.references: list[weakref.ref[Any]] = []
        self.number = 0

    @initialize(seats=st.lists(st.tuples(which, names, policies), min_size=3, max_size=6))
    def start(self, seats: list[tuple[int, str, str]]) -> None:
        async def enter() -> Hub:
            hub = Hub(
                self.broker,
                outbox=OutboxLimits(max_bytes=BYTES, max_messages=MESSAGES, max_age=self.age),
                history=lambda room: History(messages=KEPT, seconds=None) if self.rooms[room] else None,
                encoder=Narrator(),
            )
            return await hub.__aenter__()

        self.hub = self.loop.run_until_complete(enter())
        for own in (True, False, False):
            self.connect(own=own, can_abort=True)
        for index, room, policy in seats:
            self.join(index, room, policy, None)

    # -- connections

    @rule(own=st.booleans(), can_abort=st.booleans())
    def connect(self, *, own: bool, can_abort: bool) -> None:
        if len(self.peers) >= 5:
            return
        self.number += 1
        conn, peer = Conn(self.number, own), Peer()

        async def connect() -> None:
            if own:
                peer.serve(can_abort=can_abort)
            self.peers[conn] = peer

        self.loop.run_until_complete(connect())
        self.loop.settle()
        self.references += [weakref.ref(peer)] + ([weakref.ref(peer.socket)] if own else [])

    @property
    def open_conns(self) -> list[Conn]:
        return [conn for conn in self.peers if not conn.ended]

    def conn(self, index: int) -> Conn | None:
        """Return one of the connections that are open as far as the application knows."""
        known = self.open_conns
        return known[index % len(known)] if known else None

    @rule(index=which, room=names, policy=policies, identity=identities)
    def join(self, index: int, room: str, policy: str, identity: str | None) -> None:
        conn = self.conn(index)
        if conn is None:
            return
        info = identity or f"#{conn.number}"
        peer = self.peers[conn]

        async def join() -> Membership | None:
            try:
                return self.hub.join(peer.socket, room, overflow=policy, identity=identity, info=info)
            except AlreadyJoined:
                return None

        is_known = room in conn.seats
        membership = self.loop.run_until_complete(join())
        assert (membership is None) is is_known
        if membership is not None:
            state = self.model.rooms[room]
            seat = self.model.join(conn, state, policy, info, info)
            # It may have ended already, during the notices of its first iterations.
            if membership.active:
                position = membership.position
                assert (position.offset if position else None) == (state.last if state.keeps else None)
            self.seats[seat] = membership
            self.rest()

    @rule(index=which, by_hub=st.booleans(), rarely=seldom)
    def leave(self, index: int, by_hub: bool, rarely: bool) -> None:
        seats = [seat for seat in self.seats if seat.active]
        if seats and rarely:
            self._leave(seats[index % len(seats)], by_hub=by_hub)

    def _leave(self, seat: Seat, *, by_hub: bool) -> None:
        self.loop.run_until_complete(self._left(seat, by_hub=by_hub))
        self.model.leave(seat)
        self.rest()

    async def _left(self, seat: Seat, *, by_hub: bool) -> None:
        if by_hub:
            self.hub.leave(self.peers[seat.conn].socket, seat.room.name)
        else:
            self.seats[seat].leave()

    @rule(index=which)
    def enter(self, index: int) -> None:
        """Begin the block of a membership, which may have ended or begun before."""
        seats = list(self.seats)
        if not seats:
            return
        # Rather one of the newest.
        seat = seats[-1 - index % min(len(seats), 8)]
        if seat.active and not seat.entered and not seat.room.known:
            return

        async def enter() -> str:
            try:
                await self.seats[seat].__aenter__()
            except LifecycleError as error:
                # An unknown error of a send is not a client that has left, and ends a membership like that.
                return "CLOSED" if error.state == "FAILED" else error.state
            except ConnectionClosed:
                return "CLOSED"
            return ""

        assert self.loop.run_until_complete(enter()) == self.model.enter(seat)
        self.rest()

    @rule(room=names, rarely=seldom)
    def scatter(self, room: str, rarely: bool) -> None:
        """Leave with all members of a room, one by one and at once; one joins again before any notice is sent."""
        seats = list(self.model.rooms[room].seats)
        if not seats or not rarely:
            return

        async def scatter() -> None:
            for seat in seats:
                self.seats[seat].leave()

        self.loop.run_until_complete(scatter())
        for seat in seats:
            self.model.leave(seat)
        conn = seats[0].conn
        if not conn.ended:
            self.join(self.open_conns.index(conn), room, seats[0].policy, None)
        self.rest()

    @rule(index=which)
    def stall(self, index: int) -> None:
        conn = self.conn(index)
        if conn is not None:
            self.peers[conn].stall()
            conn.stalled = True

    @rule(index=which, wholly=st.booleans())
    def resume(self, index: int, wholly: bool) -> None:
        """Resume a stalled connection, which may be closing."""
        stalled = [conn for conn in self.peers if conn.stalled]
        if stalled:
            self._resume(stalled[index % len(stalled)], wholly=wholly)

    def _resume(self, conn: Conn, *, wholly: bool) -> None:
        if wholly:
            self.peers[conn].resume()
            self.model.resume(conn)
        else:
            self.peers[conn].take_one()
            self.model.take_one(conn)
        self.rest()

    @rule(
        index=which,
        error=st.sampled_from([OSError, RuntimeError, GeneratorExit, asyncio.CancelledError]),
        hangs_up=st.booleans(),
        rarely=seldom,
    )
    def die(self, index: int, error: type[BaseException], hangs_up: bool, rarely: bool) -> None:
        conn = self.conn(index)
        if conn is None or not rarely:
            return
        peer = self.peers[conn]
        if not conn.own:
            peer.error = error
        if conn.own and hangs_up:
            self.loop.call_soon(peer.leave)
            self.model.hang_up(conn)
        else:
            self.loop.call_soon(peer.die)
            self.model.die(conn)
        self.rest()

    @rule(identity=identities, room=st.none() | names, rarely=seldom)
    def disconnect(self, identity: str | None, room: str | None, rarely: bool) -> None:
        if (identity is None and room is None) or not rarely:
            return

        async def disconnect() -> int:
            return self.hub.disconnect(identity=identity, room=room, code=4000, reason="out")

        found = self.loop.run_until_complete(disconnect())
        state = None if room is None else self.model.rooms[room]
        assert found == self.model.expel(identity, state, 4000)
        self.rest()

    # -- messages

    @rule(messages=st.lists(messages, min_size=1, max_size=8), leaving=st.none() | st.none() | which)
    def publish(self, messages: list[tuple[str, int, str | None, bool, int | None]], leaving: int | None) -> None:
        """Publish from several tasks at once, none of which waits for a slow member; one may leave after the first."""
        tasks: list[asyncio.Task[Any]] = []
        seats = [seat for seat in self.seats if seat.active]
        for room, length, key, is_text, exclude in messages:
            self.number += 1
            text = f"{room} {self.number} ".ljust(length, "·" if is_text else ".")
            conn = None if exclude is None else self.conn(exclude)
            publishing = self.hub.publish(
                room,
                text if is_text else text.encode(),
                key=key,
                # The hub does not know a connection without a room, and does not have to.
                exclude=None if conn is None else self.peers[conn].socket,
            )
            tasks.append(self.loop.create_task(publishing))
            self.model.publish(self.model.rooms[room], Event(text, key, None if conn is None else conn.origin))
            if leaving is not None and seats and len(tasks) == 1:
                seat = seats[leaving % len(seats)]
                tasks.append(self.loop.create_task(self._left(seat, by_hub=False), name="leaving"))
                self.model.leave(seat)
        self.rest()
        assert all(task.done() for task in tasks)
        fails = "publish" in self.model.failing
        for task in tasks:
            assert (task.exception() is not None) is (fails and task.get_name() != "leaving")

    @rule(index=which, more=st.lists(loads, min_size=2, max_size=9), later=st.lists(loads, max_size=4), takes=few)
    def overload(self, index: int, more: list[Load], later: list[Load], takes: int) -> None:
        """Publish more than one connection takes, in its own rooms; it takes a little, then publish more."""
        conn = self._stalled_member(index)
        if conn is None:
            return
        own = list(conn.seats)
        self._publish_in(own, more)
        for _ in range(takes):
            self._resume(conn, wholly=False)
        if later:
            self._publish_in(own, later)

    @rule(index=which, more=st.lists(st.tuples(which, st.just(10), keys, st.booleans()), min_size=2, max_size=4))
    def outwait(self, index: int, more: list[Load]) -> None:
        """Queue a little for one connection, and wait for longer than the maximum age."""
        conn = self._stalled_member(index)
        if conn is None:
            return
        own = list(conn.seats)
        for each in more:
            self._publish_in(own, [each])
            self.advance(1)
        self.advance(25)

    def _stalled_member(self, index: int) -> Conn | None:
        """Stall and return one of the connections that are in a room."""
        conns = [conn for conn in self.peers if conn.seats]
        if not conns:
            return None
        conn = conns[index % len(conns)]
        self.peers[conn].stall()
        conn.stalled = True
        return conn

    def _publish_in(self, own: list[str], messages: list[Load]) -> None:
        self.publish([(own[index % len(own)], *message, None) for index, *message in messages], None)

    @precondition(lambda self: not (self.model.losing or self.model.failing or self.hasty or self.model.has_holes))
    @rule(calls=st.sets(st.sampled_from(["subscribe", "unsubscribe", "publish", "read"]), min_size=1))
    def fail(self, calls: set[str]) -> None:
        self.broker.failing = set(calls)
        self.model.failing = frozenset(calls)

    @precondition(lambda self: self.model.failing)
    @rule()
    def mend(self) -> None:
        self.loop.run_until_complete(self.broker.recover())
        self.model.mend()
        self.rest()

    # In a hasty hub the iteration in which a history is read would matter.
    @precondition(lambda self: not self.model.losing and not self.model.failing and not self.hasty)
    @rule()
    def lose(self) -> None:
        self.broker.losing = self.model.losing = True

    @precondition(lambda self: self.model.losing)
    @rule(says_so=st.booleans())
    def recover(self, says_so: bool) -> None:
        self.loop.run_until_complete(self.broker.recover(says_so=says_so))
        self.model.recover(says_so=says_so)
        self.rest()

    # -- time

    @rule(steps=st.integers(1, 30))
    def advance(self, steps: int) -> None:
        self.loop.advance(steps * STEP)
        self.model.advance(steps * STEP)
        # The loop advances its clock by itself, too. The model does not imitate that.
        self.model.now = self.loop.now
        self.rest()

    def rest(self) -> None:
        self.loop.settle()
        self.model.settle()

    # -- what has to be

    @invariant()
    def every_connection_got_what_the_model_says(self) -> None:
        for conn, peer in self.peers.items():
            assert [text for text in peer.taken if not text.startswith(GAP)] == [
                text for text in conn.sent if not text.startswith(GAP)
            ]
            for room in self.rooms:
                found, expected = told(peer.taken, room), told(conn.sent, room)
                if conn.queue or conn.ended:
                    # A notice covers all gaps at its place, however many messages of other rooms lie between.
                    found, expected = without_last_gap(found), without_last_gap(expected)
                assert found == expected
            assert peer.close == conn.frame
            if conn.own and conn.close is not None:
                assert (peer.ws.close_code, peer.ws.close_reason) == conn.close

    @invariant()
    def every_membership_is_what_the_model_says(self) -> None:
        for seat, membership in self.seats.items():
            assert (membership.active, membership.dropped) == (seat.active, seat.dropped)
        for name, room in self.model.rooms.items():
            found = [(member.info, member.connections) for member in self.hub.members(name)]
            assert sorted(found) == sorted(room.present.values())

    @invariant()
    def the_statistics_count_what_the_model_counts(self) -> None:
        if not hasattr(self, "hub"):
            return
        found, model = self.hub.statistics(), self.model
        conns = model.conns
        assert (found.rooms, found.pending_rooms, found.connections, found.members) == (
            len(model.alive),
            sum(not room.known for room in model.alive),
            sum(bool(conn.seats) for conn in conns),
            sum(len(conn.seats) for conn in conns),
        )
        assert (found.published, found.delivered) == (model.published, model.delivered)
        assert (found.dropped, found.closed) == (model.dropped, model.closed)
        assert found.queued_messages == sum(len(conn.messages) for conn in conns)
        assert found.queued_bytes == sum(conn.size for conn in conns)
        assert found.slow_members == sum(conn.flying is not None for conn in conns)

    @invariant()
    def nobody_complains(self) -> None:
        assert not self.complaints
        assert not self.errors.records

    def teardown(self) -> None:
        try:
            # After a failure leftovers are expected.
            if hasattr(self, "hub") and sys.exception() is None:
                self._end()
        finally:
            self.log.removeHandler(self.errors)
            self.log.propagate = True
            for peer in self.peers.values():
                self.loop.call_soon(peer.die)
            self.loop.settle()
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.settle()
            self.loop.close()

    def _end(self) -> None:
        """Resume and leave with every connection, and check that the hub keeps nothing of them."""
        self.mend()
        for conn in list(self.peers):
            self._resume(conn, wholly=True)
        for seat in list(self.seats):
            if seat.active:
                self._leave(seat, by_hub=True)
        self.every_connection_got_what_the_model_says()
        self.the_statistics_count_what_the_model_counts()
        assert holds_nothing(self.hub)
        assert self.broker.rooms == set()
        assert not any(knows_hubs(peer.ws) for conn, peer in self.peers.items() if conn.own)
        self.loop.run_until_complete(self._hang_up())
        self.loop.settle()
        assert all(peer.task is None or peer.task.done() for peer in self.peers.values())
        assert not asyncio.all_tasks(self.loop)
        assert self.loop._next_due() is None
        self.nobody_complains()
        self.peers.clear()
        self.seats.clear()
        for _ in range(3):
            # Objects with a finalizer take another collection.
            if any(reference() is not None for reference in self.references):
                gc.collect()
        assert [reference() for reference in self.references if reference() is not None] == []
        self.loop.run_until_complete(self.hub.__aexit__(None, None, None))

    async def _hang_up(self) -> None:
        for peer in self.peers.values():
            peer.leave()


class EagerHubs(Hubs):
    """A hub in a loop whose tasks begin at once."""

    def __init__(self) -> None:
        super().__init__()
        self.loop.set_task_factory(eager_task_factory)


class HastyHubs(Hubs):
    """Members come and go in the middle of a message, and others wait behind it.

    Only in one room, without expiry: the order of two rooms or connections depends on the iteration.
    """

    rooms: ClassVar = {"kept": True}
    hasty = True
    age = 1e6


def without_last_gap(said: list[Any]) -> list[Any]:
    """Return the messages without a final gap notice, which may have a second part."""
    return said[:-1] if said and isinstance(said[-1], tuple) else said


def told(taken: list[str], room: str) -> list[Any]:
    """Return the messages of a room; adjacent gap notices are merged."""
    said: list[Any] = []
    for text in taken:
        if text.startswith(f"{GAP}{room} "):
            missed = text.removeprefix(f"{GAP}{room} ")
            counted, unknown = said.pop()[1:] if said and isinstance(said[-1], tuple) else (0, 0)
            said.append((GAP, counted, unknown + 1) if missed == "None" else (GAP, counted + int(missed), unknown))
        elif text.startswith((f"{room} ", f"join {room} ", f"leave {room} ")):
            said.append(text)
    return said
