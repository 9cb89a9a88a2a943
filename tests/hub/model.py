"""A hub as one would write it without a thought for its cost: lists, and a time that is moved by hand."""

import math
from dataclasses import dataclass, field

GAP = "gap "
BYTES = 200
MESSAGES = 4
# No sum of the steps that the time is moved by comes near to it.
AGE = 3 * math.pi
STEP = 0.37
KEPT = 5
CLOSING = 1.0


@dataclass(eq=False)
class Seat:
    """A membership."""

    conn: "Conn"
    room: "Room"
    policy: str
    identity: str
    active: bool = True
    dropped: int = 0
    # Why it has ended, by the name of the state in the error; and whether its block has begun.
    ending: str = ""
    entered: bool = False


@dataclass(eq=False)
class Item:
    """A message that waits; without a text, the place of `missed` ones that were dropped."""

    seat: Seat
    text: str | None
    key: str | None
    since: tuple[float, int]
    missed: int = 0

    @property
    def size(self) -> int:
        return len((self.text or "").encode())


@dataclass(eq=False)
class Conn:
    """A connection.

    Attributes:
        origin: what messages that exclude it name; another one each time it joins its first room.
        flying: what the server has not taken yet.
        queue: what waits behind it.
        sent: what the server has taken.
        ended: no more messages are for it.
        close: with what it was closed from here, and when.
    """

    number: int
    own: bool
    origin: object = None
    seats: dict[str, Seat] = field(default_factory=dict)
    queue: list[Item] = field(default_factory=list)
    flying: str | None = None
    sent: list[str] = field(default_factory=list)
    stalled: bool = False
    dead: bool = False
    ended: bool = False
    close: tuple[int, str] | None = None
    closed_at: float = 0.0
    frame: tuple[int, str] | None = None

    @property
    def messages(self) -> list[Item]:
        return [item for item in self.queue if item.text is not None]

    @property
    def size(self) -> int:
        return sum(item.size for item in self.queue)


@dataclass(frozen=True)
class Event:
    text: str
    key: str | None
    exclude: object


@dataclass(eq=False)
class Room:
    """A room, whether it has members or not.

    Attributes:
        events: all that were published, where a history is kept.
        last: how many of them the members know of; None where the hub knows no position.
        reached: whether the broker brings its messages.
        known: whether the hub knows that; if not, it has to be asked again.
        missed: whether there were members while the broker did not bring messages.
        coming: what is on its way to the members that there were when it came.
    """

    name: str
    keeps: bool
    seats: list[Seat] = field(default_factory=list)
    present: dict[str, tuple[str, int]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    last: int | None = 0
    reached: bool = False
    known: bool = False
    missed: bool = False
    coming: list[tuple[Event, list[Seat]]] = field(default_factory=list)
    busy: bool = False


class Model:
    """Model of a hub, without its optimizations.

    Attributes:
        conns: those that are in rooms, or have something on its way, in the order in which they came.
        held: the rooms that the hub has, oldest first: a room that the broker failed to release keeps its place.
        behind: those of them that have to look for what they missed.
        losing: whether the broker loses events.
        failing: the calls that the broker raises in.
        hasty: whether the hub yields to other tasks after each member.
        age: seconds that a message may wait.
    """

    def __init__(self, rooms: dict[str, bool], *, hasty: bool = False, age: float = AGE) -> None:
        self.hasty = hasty
        self.age = age
        self.rooms = {name: Room(name, keeps) for name, keeps in rooms.items()}
        self.conns: dict[Conn, None] = {}
        # All that there ever were, in their order.
        self.seats: list[Seat] = []
        self.held: dict[Room, None] = {}
        self.behind: dict[Room, None] = {}
        # Those whose close frame the server has not taken, for a second at most.
        self.closing: dict[Conn, None] = {}
        self.losing = False
        self.failing: frozenset[str] = frozenset()
        self.now = 0.0
        self.serial = 0
        self.published = self.delivered = self.dropped = self.closed = 0

    @property
    def alive(self) -> list[Room]:
        """The rooms that have members."""
        return [room for room in self.held if room.seats]

    # -- members

    def join(self, conn: Conn, room: Room, policy: str, identity: str, info: str) -> Seat:
        seat = Seat(conn, room, policy, identity)
        self.seats.append(seat)
        if conn not in self.conns:
            self.conns[conn], conn.origin = None, object()
        conn.seats[room.name] = seat
        if not room.seats:
            self._subscribe(room)
            self.held.setdefault(room)
        room.seats.append(seat)
        count = room.present.get(identity, ("", 0))[1]
        room.present[identity] = info, count + 1
        if not count:
            self.bring(room, Event(f"join {room.name} {info}", None, conn.origin))
        return seat

    def _subscribe(self, room: Room) -> None:
        fails = "subscribe" in self.failing
        # The broker may go on to deliver events while the room has no members; those count too.
        last = room.last if room.reached else None
        room.missed = fails
        room.reached = room.reached or not fails
        room.known = not fails and not (room.keeps and last is None and "read" in self.failing)
        room.last = len(room.events) if room.known else last

    def leave(self, seat: Seat) -> None:
        if seat.active:
            seat.ending = "LEFT"
            self._tell_of(seat, self._take_out(seat))

    def enter(self, seat: Seat) -> str:
        """Enter the block of a membership; return an empty string, or the state that the error names."""
        if seat.ending or seat.entered:
            return seat.ending or "ENTERED"
        seat.entered = True
        return ""

    def _take_out(self, seat: Seat) -> str | None:
        """Remove a membership; return its leave notice if it was the last of its identity."""
        seat.active = False
        seat.ending = seat.ending or "CLOSED"
        room, conn = seat.room, seat.conn
        del conn.seats[room.name]
        self._rest(conn)
        room.seats.remove(seat)
        info, count = room.present.pop(seat.identity)
        if count > 1:
            room.present[seat.identity] = info, count - 1
            return None
        return f"leave {room.name} {info}"

    def _tell_of(self, seat: Seat, word: str | None) -> None:
        room = seat.room
        if word is not None:
            self.bring(room, Event(word, None, seat.conn.origin))
        if not room.seats:
            if "unsubscribe" not in self.failing:
                self.held.pop(room, None)
            self.behind.pop(room, None)
            room.reached = room.reached and "unsubscribe" in self.failing
            room.last = None

    def _rest(self, conn: Conn) -> None:
        if not conn.seats and conn.flying is None:
            self.conns.pop(conn, None)

    # -- messages

    def publish(self, room: Room, event: Event) -> None:
        """Publish; what is missing before it is looked for later, see `settle`."""
        self.published += 1
        if "publish" in self.failing:
            return
        if room.keeps:
            room.events.append(event)
        if self.losing or not room.reached or room in self.behind:
            return
        if not room.seats:
            room.last = len(room.events) if room.keeps else None
            return
        if not room.keeps:
            self.bring(room, event)
        elif room.last in (None, len(room.events) - 1):
            room.last = len(room.events)
            self.bring(room, event)
        else:
            self.behind[room] = None

    def recover(self, *, says_so: bool) -> None:
        self.losing = False
        if says_so:
            self.behind.update(dict.fromkeys(self.alive))

    @property
    def has_holes(self) -> bool:
        """Whether a room has missed something and does not know."""
        return any(room.keeps and room.known and room.last != len(room.events) for room in self.alive)

    def mend(self) -> None:
        """Let the broker recover and report it."""
        self.failing = frozenset()
        self.held = dict.fromkeys(self.alive)
        for room in self.rooms.values():
            room.reached = room in self.held
        for room in self.alive:
            if room.known or (room.missed and not room.keeps):
                self.behind[room] = None
            elif room.last is None:
                room.last = len(room.events)
                if room.missed:
                    self.bring(room, Event(f"{GAP}{room.name} None", None, None))
            room.known, room.missed = True, False

    def settle(self) -> None:
        """Bring what is on its way, and look for what rooms have missed."""
        for room in self.rooms.values():
            while room.busy:
                self._go_on(room)
        while self.behind:
            room = next(iter(self.behind))
            if room.last is not None and room.keeps:
                first = max(room.last, len(room.events) - KEPT)
                if first > room.last:
                    self.bring(room, Event(f"{GAP}{room.name} {first - room.last}", None, None))
                for event in room.events[first:]:
                    self.bring(room, event)
                room.last = len(room.events)
            else:
                self.bring(room, Event(f"{GAP}{room.name} None", None, None))
            self.behind.pop(room, None)

    def bring(self, room: Room, event: Event) -> None:
        """Deliver messages one after the other, each to the members at its arrival."""
        room.coming.append((event, list(room.seats)))
        if room.busy:
            return
        room.busy = True
        self._go_on(room)

    def _go_on(self, room: Room) -> None:
        while room.coming:
            event, seats = room.coming[0]
            while seats:
                seat = seats.pop(0)
                if seat.active and seat.conn.origin is not event.exclude:
                    self._offer(seat, event)
                if self.hasty:
                    return
            room.coming.pop(0)
        room.busy = False

    def _offer(self, seat: Seat, event: Event) -> None:
        conn = seat.conn
        if conn.ended:
            return
        if conn.flying is not None:
            self._put(seat, event)
        elif conn.dead:
            self.end([conn])
        elif conn.stalled and not event.text.startswith(GAP):
            conn.flying = event.text
        else:
            conn.sent.append(event.text)
            self.delivered += 1

    # -- what waits

    def _put(self, seat: Seat, event: Event) -> None:
        conn = seat.conn
        self.serial += 1
        key = event.key if seat.policy == "conflate" else None
        item = Item(seat, event.text, key, (self.now, self.serial))
        if key is not None:
            for other in conn.messages:
                if other.seat is seat and other.key == key:
                    conn.queue.remove(other)
                    self._count(other)
        while conn.messages and (len(conn.messages) >= MESSAGES or conn.size + item.size > BYTES):
            droppable = [other for other in conn.messages if other.seat.policy in ("drop_oldest", "conflate")]
            if droppable and seat.policy != "drop_newest":
                self._drop(droppable[0])
            elif seat.policy == "close":
                self._overflow(conn)
                return
            else:
                self._count(item)
                if seat.room.keeps:
                    conn.queue.append(Item(seat, None, None, item.since, 1))
                return
        conn.queue.append(item)

    def _count(self, item: Item) -> None:
        item.seat.dropped += 1
        self.dropped += 1

    def _drop(self, item: Item) -> None:
        """Drop an item. In a room with a history its place stays, for the gap notice."""
        self._count(item)
        if item.seat.room.keeps:
            item.text, item.key, item.missed = None, None, 1
        else:
            item.seat.conn.queue.remove(item)

    def _overflow(self, conn: Conn) -> None:
        self.closed += 1
        self.end([conn])
        self._close(conn, 1013, "too slow")

    def expel(self, identity: str | None, room: Room | None, code: int) -> int:
        seats = [seat for seat in self.seats if identity in (None, seat.identity) and room in (None, seat.room)]
        found = list({seat.conn: None for seat in seats if seat.active})
        # None of them is notified of the others: all are out of their rooms before the first notice.
        self.end(found)
        for conn in found:
            self._close(conn, code, "out")
        return len(found)

    def _close(self, conn: Conn, code: int, reason: str) -> None:
        conn.close, conn.closed_at = (code, reason), self.now
        # A stuck message would hold up the close frame too.
        self._give_up(conn)
        if conn.stalled and not conn.dead:
            self.closing[conn] = None
        elif not conn.dead:
            conn.frame = conn.close

    def _give_up(self, conn: Conn) -> None:
        conn.flying = None
        self._rest(conn)

    def end(self, conns: list[Conn]) -> None:
        seats: list[Seat] = []
        for conn in conns:
            conn.ended = True
            for item in conn.messages:
                self._count(item)
            conn.queue.clear()
            seats += conn.seats.values()
        left = [(seat, self._take_out(seat)) for seat in seats]
        for seat, word in left:
            self._tell_of(seat, word)

    # -- what happens to connections

    def take_one(self, conn: Conn) -> None:
        """Take the pending message, then send the next, which waits unless it is a notice."""
        if conn.flying is None:
            self._take_close(conn)
            return
        conn.sent.append(conn.flying)
        conn.flying = None
        self.delivered += 1
        while conn.queue and conn.flying is None:
            item = conn.queue.pop(0)
            if item.text is None:
                conn.sent.append(f"{GAP}{item.seat.room.name} {item.missed}")
            elif conn.stalled and not item.text.startswith(GAP):
                conn.flying = item.text
            else:
                conn.sent.append(item.text)
                self.delivered += 1
        self._rest(conn)

    def _take_close(self, conn: Conn) -> None:
        if conn in self.closing:
            del self.closing[conn]
            conn.frame = conn.close

    def resume(self, conn: Conn) -> None:
        conn.stalled = False
        self.take_one(conn)
        self._take_close(conn)

    def die(self, conn: Conn) -> None:
        conn.dead = True
        self.closing.pop(conn, None)
        if conn.flying is not None:
            self.end([conn])
            self._give_up(conn)

    def hang_up(self, conn: Conn) -> None:
        """Hang up, and let the application know."""
        conn.dead = True
        self.end([conn])
        self._give_up(conn)

    def advance(self, seconds: float) -> None:
        """Let time pass, to which each message in a queue and each close frame has a bound."""
        end = self.now + seconds
        while due := [
            *((conn.closed_at + CLOSING, 0, conn) for conn in self.closing),
            *(
                (conn.messages[0].since[0] + self.age, conn.messages[0].since[1], conn)
                for conn in self.conns
                if conn.messages
            ),
        ]:
            when, serial, conn = min(due, key=lambda each: each[:2])
            if when > end:
                break
            self.now = when
            if not serial:
                del self.closing[conn]
            elif conn.messages[0].seat.policy == "close":
                self._overflow(conn)
            else:
                self._drop(conn.messages[0])
        self.now = end
