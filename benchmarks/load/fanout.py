"""Fan-out: one member of a room publishes, and every member must get everything in order."""

import time
from array import array
from collections.abc import Sequence
from typing import Any, Final

from picows import WSFrame, WSTransport

from .accounting import Section, Server
from .alarm import Alarm, Progress
from .clients import Client, Connector, leave_all, undisturbed, write
from .jobs import Failure, FanoutJob, Outcome
from .latency import Pacer, Recorder
from .payloads import LENGTH, Ring, payloads_of, wire_size
from .stalled import Stalled

# A server may answer the handshake before the member is in its room: members first wait for a message of the room.
_HERE: Final = b"?here"
_ALL_HERE: Final = b"?all here"


class Room:
    """The messages published to all, and their deliveries so far.

    Attributes:
        members: whom it has; the first one publishes.
        dues: when each message was due, by its number.
        published: how many messages.
        recorder: of the deliveries.
        joining: members that are not known to be in the room, until `_HERE` reaches them.
        ready: members that have been told that all are there.
        closed_loop: whether the next publish follows when all have got the last one.
    """

    def __init__(self, job: FanoutJob, alarm: Alarm) -> None:
        self.members: Sequence[Member] = ()
        self.ring = Ring.of(payloads_of(job.size, "json"), binary=job.binary)
        self.dues = array("d")
        self.published = 0
        self.recorder = Recorder(wire_size(job.size))
        self.joining: set[Member] = set()
        self.ready = 0
        self.closed_loop = False
        self._job = job
        self._alarm = alarm
        self._behind = 0  # members that have not got the last message

    async def join(self) -> None:
        """Wait until every member gets what is published.

        Raises:
            Failure: where one does not.
        """
        members = await Connector(lambda: Member(self, self._alarm), self._job.url, self._job.patience).open_all(
            self._job.members, self._alarm
        )
        self.members = members
        self.joining = set(members)
        publisher = members[0].transport
        arrived = Progress(lambda: len(members) - len(self.joining), lambda: len(self.joining))
        end = time.monotonic() + self._job.patience
        while self.joining:
            publisher.send(self.ring.kind, _HERE)
            await self._alarm.sleep(0.05)
            if time.monotonic() > end:
                raise Failure(
                    "timeout", f"members get nothing of what is published: {arrived.problem(self._job.patience)}"
                )
        publisher.send(self.ring.kind, _ALL_HERE)
        await self._alarm.drain(Progress(lambda: self.ready, lambda: len(members) - self.ready), self._job.patience)

    def publish(self, due: float) -> None:
        """Publish one burst."""
        burst = self._job.burst
        self.dues.extend([due] * burst)
        first, self.published = self.published, self.published + burst
        self._behind = len(self.members)
        write(self.members[0], self.ring, first, burst)

    def caught_up(self, now: float) -> None:
        """Note that a member has received everything."""
        self._behind -= 1
        if not self._behind and self.closed_loop:
            self.publish(now)

    def missing(self) -> int:
        """Return the number of deliveries that have not arrived."""
        return self.published * len(self.members) - len(self.recorder)

    def progress(self) -> Progress:
        """Return a future to wait for."""
        return Progress(lambda: len(self.recorder), self.missing)


class Member(Client):
    """One connection."""

    def __init__(self, room: Room, alarm: Alarm) -> None:
        super().__init__(alarm, deflate=False)
        self._room = room
        self._got = 0
        self._payloads = room.ring.payloads
        self._kind = room.ring.kind
        self._ready = False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Check a delivery."""
        room, got = self._room, self._got
        expected = self._payloads[got % LENGTH] if got < room.published else None
        if (
            frame.get_payload_as_bytes() != expected
            or frame.msg_type is not self._kind
            or not frame.fin
            or frame.rsv1
            or not self._ready
        ) and not self._unusual(frame, expected):
            return
        now = time.perf_counter()
        room.recorder.due.append(room.dues[got])
        room.recorder.came.append(now)
        self._got = got = got + 1
        if got == room.published:
            room.caught_up(now)

    def _unusual(self, frame: WSFrame, expected: bytes | None) -> bool:
        data = frame.get_payload_as_bytes()
        if not self._ready and data == _HERE:
            self._room.joining.discard(self)
            return False
        if not self._ready and data == _ALL_HERE:
            self._ready = True
            self._room.ready += 1
            return False
        return self.understand(frame, self._kind, expected) is not None


class Run:
    """A run, in its steps.

    Attributes:
        server: under load.
        room: that is filled.
        late: of the open loop.
    """

    def __init__(self, job: FanoutJob, alarm: Alarm, server: Server) -> None:
        self.server = server
        self.room = Room(job, alarm)
        self.late: dict[str, float | None] | None = None
        self._job = job
        self._alarm = alarm

    async def do(self) -> Outcome:
        """Run the workload.

        Raises:
            Failure: the workload could not be done.
        """
        job, room = self._job, self.room
        before = self.server.memory()
        await room.join()
        connected = self.server.memory()
        with undisturbed():
            if job.warm_up:
                await self._publish(job.warm_up)
            stalled = Stalled(job.stall_url or job.url, job.patience)
            try:
                await stalled.join(job.stalled, self._alarm)
                figures = await self._measure()
                after = self.server.memory()
            finally:
                stalled.close()
        await leave_all(room.members, self._alarm, job.patience)
        return Outcome(
            **figures, memory=after, memory_before=before, memory_connected=connected, memory_peak=self.server.peak
        )

    async def _measure(self) -> dict[str, Any]:
        job, room = self._job, self.room
        published, delivered = room.published, len(room.recorder)
        section = Section(self.server, room.recorder)
        try:
            await self._publish(job.seconds, section)
        except Failure as failure:
            # This is what members that do not read do to some servers: how much came nevertheless is the finding.
            if failure.kind != "timeout" or not job.stalled:
                raise
            section.end()
        undelivered = room.missing()
        due = (room.published - published) * job.members
        last = room.recorder.came[-1] if len(room.recorder) > delivered else section.began
        return {
            **section.figures(),
            "latency": room.recorder.latency_of_due(section)
            if job.rate is not None
            else room.recorder.latency(section.came),
            "late": self.late,
            "delivered": 1 - undelivered / due if due else 1.0,
            "undelivered": undelivered,
            "waited": time.perf_counter() - last if undelivered else 0.0,
        }

    async def _publish(self, seconds: float, section: Section | None = None) -> None:
        """Publish that long, then wait for the rest."""
        job, room, progress = self._job, self.room, self.room.progress()
        pacer = None if job.rate is None else Pacer(job.rate, room.publish)
        if pacer is not None:
            pacer.start(time.perf_counter())
        else:
            room.closed_loop = True
            room.publish(time.perf_counter())
        try:
            await self._alarm.spend(seconds, progress, job.patience)
            if section is not None and pacer is not None:
                section.stop()
        finally:
            room.closed_loop = False
            if pacer is not None:
                pacer.stop()
                self.late = pacer.lateness()
        # In the closed loop the section holds whole publishes: what is on its way was paid for in part.
        await self._alarm.drain(progress, job.patience)
        if section is not None:
            section.end()


async def run(job: FanoutJob, alarm: Alarm, server: Server) -> Outcome:
    """Do the job.

    Raises:
        Failure: the workload could not be done.
    """
    return await Run(job, alarm, server).do()
