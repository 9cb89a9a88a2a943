"""Handshakes: connect, upgrade, one message and its reply, close handshake, end of the connection."""

import asyncio
import time
from typing import Final

from picows import WSFrame, WSMsgType, WSTransport

from .accounting import Section, Server
from .alarm import Alarm, Progress
from .clients import Client, Connector, allow
from .jobs import Failure, HandshakeJob, Outcome
from .latency import Recorder
from .payloads import wire_size

QUESTION: Final = b"Hello"
ANSWER: Final = b"OK!"


class HandshakeClient(Client):
    """One connection, from its upgrade to its end."""

    def __init__(self, alarm: Alarm) -> None:
        super().__init__(alarm, deflate=False)
        self._answered = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Ask."""
        super().on_ws_connected(transport)
        transport.send(WSMsgType.TEXT, QUESTION)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Check the reply, then begin the close handshake."""
        if self.understand(frame, WSMsgType.TEXT, None if self._answered else ANSWER) is not None:
            self._answered = True
            self.leave()

    def finished(self) -> bool:
        """Return True if the close handshake was completed."""
        shaken = self.transport.close_handshake
        return self._answered and shaken is not None and shaken.recv is not None


async def run(job: HandshakeJob, alarm: Alarm, server: Server) -> Outcome:
    """Do the job.

    Raises:
        Failure: what kept it from being done.
    """
    before = server.memory()
    allow(job.concurrency)
    recorder = Recorder(wire_size(len(ANSWER)))
    connector = Connector(lambda: HandshakeClient(alarm), job.url, job.patience)
    lanes = 0
    stopping = False

    async def lane() -> None:
        nonlocal lanes
        lanes += 1
        while not stopping:
            began = time.perf_counter()
            await _shake(connector, job)
            recorder.due.append(began)
            recorder.came.append(time.perf_counter())
        lanes -= 1

    for _ in range(job.concurrency):
        alarm.start(lane())
    progress = Progress(lambda: len(recorder), lambda: lanes)
    await alarm.spend(job.warm_up, progress, job.patience)
    section = Section(server, recorder)
    await alarm.spend(job.seconds, progress, job.patience)
    section.end()
    stopping = True
    await alarm.drain(progress, job.patience)
    after = server.memory()
    return Outcome(
        **section.figures(),
        memory=after,
        memory_before=before,
        memory_connected=before,
        memory_peak=server.peak,
        latency=recorder.latency(section.came),
    )


async def _shake(connector: Connector[HandshakeClient], job: HandshakeJob) -> None:
    client = await connector.open()
    try:
        async with asyncio.timeout(job.patience):
            await client.closed
    except TimeoutError as error:
        what = "close the connection after the close handshake" if client.finished() else "answer"
        raise Failure("timeout", f"{job.url} did not {what} within {job.patience:g} s") from error
    finally:
        client.drop()
    if not client.finished():
        # Nobody else will say so when the message was answered, and the close frame was not.
        raise Failure("died", f"{job.url} closed a connection without a close frame")
