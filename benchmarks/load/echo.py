"""Echo: each connection numbers what it sends, and reply n must be message n."""

import functools
import itertools
import time
from collections import deque
from collections.abc import Sequence

from picows import WSFrame, WSTransport

from .accounting import Section, Server
from .alarm import Alarm, Progress
from .clients import Client, Connector, leave_all, undisturbed, write
from .jobs import EchoJob, Outcome
from .latency import Pacer, Recorder
from .payloads import LENGTH, Ring, payloads_of, wire_size


class EchoClient(Client):
    """One connection.

    Attributes:
        sent: how many messages.
        answered: how many of them.
        dues: of what is unanswered, from when its latency counts.
        closed_loop: whether a reply calls for the next message.
    """

    def __init__(self, alarm: Alarm, recorder: Recorder, *, deflate: bool, closed_loop: bool) -> None:
        super().__init__(alarm, deflate=deflate)
        self.sent = 0
        self.answered = 0
        self.dues: deque[float] = deque()
        self.closed_loop = closed_loop
        self._recorder = recorder
        self._fresh = 0  # replies since the last write

    def use(self, ring: Ring) -> None:
        """Keep the payloads to send."""
        self._ring = ring
        self._payloads = ring.payloads
        self._kind = ring.kind

    def send(self, number: int, due: float) -> None:
        """Send the next messages in one write."""
        self.dues.extend([due] * number)
        write(self, self._ring, self.sent, number)
        self.sent += number

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Check a reply, and send the next messages after the last one of what was read at once."""
        expected = self._payloads[self.answered % LENGTH] if self.dues else None
        right = True
        if frame.get_payload_as_bytes() != expected or frame.msg_type is not self._kind or not frame.fin or frame.rsv1:
            wire = self.understand(frame, self._kind, expected)
            right = wire is not None
            self._recorder.extra += wire - self._ring.wire if wire is not None else 0
        now = time.perf_counter()
        if right:
            self.answered += 1
            self._fresh += 1
            self._recorder.due.append(self.dues.popleft())
            self._recorder.came.append(now)
        if frame.last_in_buffer and self._fresh:
            if self.closed_loop:
                self.send(self._fresh, now)
            self._fresh = 0


async def run(job: EchoJob, alarm: Alarm, server: Server) -> Outcome:
    """Do the job.

    Raises:
        Failure: what kept it from being done.
    """
    before = server.memory()
    payloads = payloads_of(job.size, job.content)
    recorder = Recorder(wire_size(job.size))
    clients = await Connector(
        lambda: EchoClient(alarm, recorder, deflate=job.deflate, closed_loop=job.rate is None),
        job.url,
        job.patience,
        deflate=job.deflate,
    ).open_all(job.connections, alarm)
    connected = server.memory()
    rings = functools.cache(lambda bits: Ring.of(payloads, binary=job.binary, window_bits=bits))
    for client in clients:
        client.use(rings(client.agreed and client.agreed.window_bits))

    section, pacer = await _load(job, alarm, server, clients, recorder)
    after = server.memory()
    await leave_all(clients, alarm, job.patience)
    return Outcome(
        **section.figures(),
        memory=after,
        memory_before=before,
        memory_connected=connected,
        memory_peak=server.peak,
        latency=recorder.latency_of_due(section) if pacer else recorder.latency(section.came),
        late=pacer.lateness() if pacer else None,
    )


async def _load(
    job: EchoJob, alarm: Alarm, server: Server, clients: Sequence[EchoClient], recorder: Recorder
) -> tuple[Section, Pacer | None]:
    progress = Progress(lambda: len(recorder), lambda: sum(len(client.dues) for client in clients))
    turn = itertools.cycle(clients)
    pacer = None if job.rate is None else Pacer(job.rate, lambda due: next(turn).send(1, due))
    with undisturbed():
        if pacer is not None:
            pacer.start(time.perf_counter())
        else:
            for client in clients:
                client.send(job.in_flight, time.perf_counter())
        try:
            await alarm.spend(job.warm_up, progress, job.patience)
            section = Section(server, recorder)
            await alarm.spend(job.seconds, progress, job.patience)
            section.stop()
        finally:
            if pacer is not None:
                pacer.stop()
            for client in clients:
                client.closed_loop = False
        if pacer is None:
            section.end()
        await alarm.drain(progress, job.patience)
        if pacer is not None:
            section.end()
    return section, pacer
