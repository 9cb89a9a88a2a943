"""The keep-alive by itself, and the kernel's answers about the peer's last sign of life."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any, cast

import pytest

from asgi_ws.testing import VirtualClock
from asgi_ws.uvicorn_protocol import keepalive
from asgi_ws.uvicorn_protocol.acknowledged import acknowledged_bytes, seconds_since_acknowledgement
from tests.servers.client import SECONDS

pytestmark = pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="Linux alone has it")


class Transport:
    """A transport on this socket."""

    def __init__(self, sock: socket.socket | None) -> None:
        self._sock = sock

    def get_extra_info(self, name: str) -> Any:
        assert name == "socket"
        return self._sock


def seconds(sock: socket.socket | None) -> float | None:
    return seconds_since_acknowledgement(cast("asyncio.BaseTransport", Transport(sock)))


def test_a_peer_acknowledges_what_it_gets_though_its_process_does_not_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"ping")
            since = seconds(client)
    assert since is not None
    assert 0 <= since < 10


def test_what_a_peer_has_taken_is_counted_though_its_process_does_not_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        transport = cast("asyncio.BaseTransport", Transport(client))
        accepted, _ = server.accept()
        before = acknowledged_bytes(transport)
        assert before is not None
        with accepted:
            client.sendall(b"x" * 1000)
            # The peer's answer comes after its acknowledgement.
            accepted.recv(1000, socket.MSG_WAITALL)
            accepted.sendall(b".")
            client.recv(1)
        assert acknowledged_bytes(transport) == before + 1000


def test_an_older_kernel_does_not_count_what_a_peer_has_taken() -> None:
    class Old(socket.socket):
        def getsockopt(self, level: int, option: int, size: int = 0) -> Any:
            return super().getsockopt(level, option, size)[:104]

    with Old() as sock:
        assert seconds(sock) is not None
        assert acknowledged_bytes(cast("asyncio.BaseTransport", Transport(sock))) is None


def test_nothing_is_known_of_a_unix_socket_or_of_none() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert seconds(one) is None
    assert seconds(None) is None


class Behind:
    """A writer, and a receive buffer whose transport waits for the application."""

    is_full = False
    is_behind = True
    resumed_at = 0.0
    resumes = 0
    transport = property(lambda self: self)

    def get_extra_info(self, name: str) -> None:
        pass

    def write(self, data: bytes) -> None:
        pass


@pytest.mark.parametrize(
    ("answers", "ending"),
    [
        pytest.param([0.0] * 3, "pinged", id="a peer that acknowledges stays"),
        pytest.param([1e9], "silent", id="a peer that does not is gone"),
        pytest.param([None, None, 1e9], "silent", id="where nothing is known the time stands still"),
    ],
)
async def test_while_nothing_is_read_the_kernel_is_asked_whether_the_peer_is_there(
    monkeypatch: pytest.MonkeyPatch, answers: list[float | None], ending: str
) -> None:
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    left = [*answers]

    def ask(_transport: object) -> float | None:
        if len(left) == 1 and ending == "pinged" and not ended.done():
            ended.set_result("pinged")
        return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(keepalive, "seconds_since_acknowledgement", ask)
    both = cast("Any", Behind())
    loop = asyncio.get_running_loop()
    pings = keepalive.KeepAlive(
        both,
        both,
        loop,
        interval=0.001,
        timeout=0.001,
        on_silence=lambda: ended.set_result("silent"),
        on_ping=lambda: None,
    )
    async with asyncio.timeout(SECONDS):
        assert await ended == ending
    pings.cancel()


class Filling(Behind):
    """A writer whose transport fills up, and a receive buffer that is not behind."""

    is_behind = False

    def get_write_buffer_size(self) -> int:
        return 100_000


def pinging_a_filling_transport(
    monkeypatch: pytest.MonkeyPatch, answers: Sequence[int | None], silent: list[str]
) -> Any:
    """Ping each second; the kernel gives these answers, the last of them again and again."""
    left = [*answers]
    monkeypatch.setattr(keepalive, "acknowledged_bytes", lambda _transport: left.pop(0) if len(left) > 1 else left[0])
    both = cast("Any", Filling())
    keepalive.KeepAlive(
        both,
        both,
        asyncio.get_running_loop(),
        interval=1,
        timeout=1,
        on_silence=lambda: silent.append("silent"),
        on_ping=lambda: None,
    )
    return both


@pytest.mark.parametrize(
    ("answers", "after"),
    [
        pytest.param([5], 2, id="a peer that acknowledged nothing since the ping is gone"),
        pytest.param([5, 6], 3, id="a peer that did has another time-out to take something"),
        pytest.param(
            [5, 6, 6, 7, 7, 8], 5, id="and another, however little it takes, and whatever the transport notices"
        ),
        pytest.param([None], 3, id="of whom nothing is known has one more, and then the transport has to notice"),
    ],
)
async def test_a_transport_that_has_filled_up_since_the_ping_says_nothing_of_the_peer(
    monkeypatch: pytest.MonkeyPatch, answers: list[int | None], after: int
) -> None:
    silent: list[str] = []
    with VirtualClock() as clock:
        both = pinging_a_filling_transport(monkeypatch, answers, silent)
        await clock.advance(1.5)
        both.is_full = True
        await clock.advance(after - 1.51)
        assert silent == []
        await clock.advance(0.02)
        assert silent == ["silent"]


@pytest.mark.parametrize(("answers", "after"), [([5], 2), ([5, 6], 3), ([5, 6, 7, 8], 4)])
async def test_a_ping_behind_what_a_slow_peer_takes_is_given_the_time_for_it(
    monkeypatch: pytest.MonkeyPatch, answers: list[int], after: int
) -> None:
    silent: list[str] = []
    with VirtualClock() as clock:
        both = pinging_a_filling_transport(monkeypatch, answers, silent)
        await clock.advance(1.5)
        for _ in range(2, after):
            # It was full, and is not any more.
            both.resumes += 1
            await clock.advance(1)
            assert silent == []
        await clock.advance(0.51)
        assert silent == ["silent"]


class Open(Behind):
    """A writer that writes, with a receive buffer that is not behind; keeps the pings."""

    is_behind = False

    def __init__(self) -> None:
        self.pings: list[bytes] = []

    def get_write_buffer_size(self) -> int:
        return 100_000

    def write(self, data: bytes) -> None:
        self.pings.append(data[2:])


@pytest.mark.parametrize("pongs", [0, 1, 3])
async def test_a_peer_is_gone_a_time_out_after_the_first_ping_that_it_does_not_answer(pongs: int) -> None:
    silent: list[str] = []
    with VirtualClock() as clock:
        both = Open()
        pings = keepalive.KeepAlive(
            cast("Any", both),
            cast("Any", both),
            asyncio.get_running_loop(),
            interval=2,
            timeout=3,
            on_silence=lambda: silent.append("silent"),
            on_ping=lambda: None,
        )
        await clock.advance(0.5)
        for number in range(1, pongs + 1):
            await clock.advance(2)
            assert len(both.pings) == number
            pings.pong(both.pings[-1])
        await clock.advance(2)
        # A pong with another payload, or that of a ping before, is not a sign of life.
        for payload in (b"?", *both.pings[:-1]):
            pings.pong(payload)
        await clock.advance(2.4)
        assert silent == []
        await clock.advance(0.2)
        assert silent == ["silent"]
    assert len(set(both.pings)) == pongs + 1


async def test_a_peer_that_took_everything_at_last_is_asked_again() -> None:
    silent: list[str] = []
    with VirtualClock() as clock:
        both = Open()
        both.is_full = True
        keepalive.KeepAlive(
            cast("Any", both),
            cast("Any", both),
            asyncio.get_running_loop(),
            interval=2,
            timeout=3,
            on_silence=lambda: silent.append("silent"),
            on_ping=lambda: None,
        )
        # A ping is due, for which the transport has no space.
        await clock.advance(2.5)
        assert both.pings == []
        both.is_full = False
        await clock.advance(2.6)
        assert len(both.pings) == 1
        await clock.advance(2.8)
        assert silent == []
        await clock.advance(0.2)
        assert silent == ["silent"]
