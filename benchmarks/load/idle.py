"""Idle connections: the memory they take, and the CPU they use while nothing happens."""

import asyncio
import time
from urllib.parse import urlsplit

from picows import WSFrame, WSMsgType, WSTransport

from .accounting import Section, Server
from .alarm import Alarm, Progress
from .clients import LANES, Client, Connector, leave_all, write
from .handshake import ANSWER
from .jobs import IdleJob, Outcome
from .latency import Recorder
from .payloads import Ring, payloads_of, wire_size


class IdleClient(Client):
    """One connection.

    Attributes:
        replied: done when the one reply has come.
    """

    def __init__(self, alarm: Alarm, recorder: Recorder, *, deflate: bool) -> None:
        super().__init__(alarm, deflate=deflate)
        self.replied: asyncio.Future[None] | None = None  # None while nothing was sent
        self._recorder = recorder
        self._expected: bytes | None = None  # None when no reply is due
        self._due = 0.0

    def ask(self, ring: Ring, expected: bytes) -> asyncio.Future[None]:
        """Send one message. Return a future that its reply completes."""
        self.replied = asyncio.get_running_loop().create_future()
        self._expected = expected
        self._due = time.perf_counter()
        write(self, ring, 0, 1)
        return self.replied

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Check the reply."""
        wire = self.understand(frame, WSMsgType.TEXT, self._expected)
        if wire is not None and self.replied is not None:
            self._expected = None
            self._recorder.due.append(self._due)
            self._recorder.came.append(time.perf_counter())
            self._recorder.extra += wire - self._recorder.wire
            self.replied.set_result(None)


async def run(job: IdleJob, alarm: Alarm, server: Server) -> Outcome:
    """Do the job.

    Raises:
        Failure: what kept it from being done.
    """
    before = server.memory()
    payloads = payloads_of(job.size, "json")
    expected = payloads[0] if urlsplit(job.url).path.endswith("/echo") else ANSWER
    recorder = Recorder(wire_size(len(expected)))
    clients = await Connector(
        lambda: IdleClient(alarm, recorder, deflate=job.deflate), job.url, job.patience, deflate=job.deflate
    ).open_all(job.connections, alarm)
    connected = server.memory()
    if job.exchange:
        await _exchange(job, alarm, clients, payloads, expected)
    section = Section(server, recorder)
    await alarm.sleep(job.seconds)
    section.end()
    after = server.memory()
    await leave_all(clients, alarm, job.patience)
    return Outcome(
        **{
            **section.figures(),
            "messages": job.connections,
            "received": recorder.received(len(recorder), recorder.extra),
        },
        memory=after,
        memory_before=before,
        memory_connected=connected,
        memory_peak=server.peak,
        latency=recorder.latency(slice(None)),
    )


async def _exchange(
    job: IdleJob, alarm: Alarm, clients: list[IdleClient], payloads: tuple[bytes, ...], expected: bytes
) -> None:
    rings: dict[int | None, Ring] = {}
    waiting = iter(clients)
    replies = 0

    async def lane() -> None:
        nonlocal replies
        for client in waiting:
            bits = client.agreed.window_bits if client.agreed else None
            if bits not in rings:
                rings[bits] = Ring.of(payloads, window_bits=bits)
            await client.ask(rings[bits], expected)
            replies += 1

    for _ in range(min(LANES, len(clients))):
        alarm.start(lane())
    await alarm.drain(Progress(lambda: replies, lambda: len(clients) - replies), job.patience)
