"""The keep-alive by itself, and the kernel's answers about the peer's last sign of life."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from asgi_ws.testing import VirtualClock
from asgi_ws.uvicorn_protocol import keepalive
from asgi_ws.uvicorn_protocol.acknowledged import acknowledged_bytes, seconds_since_acknowledgement

pytestmark = pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux has TCP_INFO")


# -- the kernel


def on(sock: socket.socket | None) -> asyncio.BaseTransport:
    """Return a transport on this socket."""
    return asyncio.BaseTransport(extra={"socket": sock})


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            yield client, accepted


def test_a_peer_acknowledges_what_it_gets_though_its_process_does_not_read(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, _ = pair
    client.sendall(b"ping")
    since = seconds_since_acknowledgement(on(client))
    assert since is not None
    assert 0 <= since < 10


def test_acknowledged_bytes_are_counted(pair: tuple[socket.socket, socket.socket]) -> None:
    client, accepted = pair
    before = acknowledged_bytes(on(client))
    assert before is not None
    client.sendall(b"x" * 1000)
    # The peer's answer comes after its acknowledgement.
    accepted.recv(1000, socket.MSG_WAITALL)
    accepted.sendall(b".")
    client.recv(1)
    assert acknowledged_bytes(on(client)) == before + 1000


def test_an_older_kernel_does_not_count_acknowledged_bytes() -> None:
    class Old(socket.socket):
        def getsockopt(self, level: int, option: int, size: int = 0) -> Any:
            return super().getsockopt(level, option, size)[:104]

    with Old() as sock:
        assert seconds_since_acknowledgement(on(sock)) is not None
        assert acknowledged_bytes(on(sock)) is None


def test_nothing_is_known_of_a_unix_socket_or_of_none() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert seconds_since_acknowledgement(on(one)) is None
    assert seconds_since_acknowledgement(on(None)) is None


# -- the keep-alive


class Connection:
    """A writer, a receive buffer and a transport in one; `pings` are the payloads that were written."""

    is_full = False
    is_behind = False
    resumed_at = 0.0
    resumes = 0
    transport = property(lambda self: self)

    def __init__(self) -> None:
        self.pings: list[bytes] = []
        self.silences: list[str] = []

    def get_extra_info(self, name: str) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 100_000

    def write(self, data: bytes) -> None:
        self.pings.append(data[2:])

    def _on_silence(self) -> None:
        self.silences.append("silent")

    def keep_alive(self, interval: float, timeout: float) -> keepalive.KeepAlive:
        loop, both = asyncio.get_running_loop(), cast("Any", self)
        return keepalive.KeepAlive(
            both,
            both,
            loop,
            interval=interval,
            timeout=timeout,
            on_silence=self._on_silence,
            on_ping=lambda: None,
        )


def answering(monkeypatch: pytest.MonkeyPatch, function: str, answers: list[Any]) -> list[Any]:
    """Let the kernel give these answers, the last of them again and again; return those that are left."""
    left = [*answers]
    monkeypatch.setattr(keepalive, function, lambda _transport: left.pop(0) if len(left) > 1 else left[0])
    return left


@pytest.mark.parametrize(
    ("answers", "is_silent"),
    [
        pytest.param([0.0] * 3, False, id="a peer that acknowledges stays"),
        pytest.param([1e9], True, id="a peer that does not is gone"),
        pytest.param([None, None, 1e9], True, id="where nothing is known the time stands still"),
    ],
)
async def test_while_nothing_is_read_the_kernel_is_asked_whether_the_peer_is_there(
    monkeypatch: pytest.MonkeyPatch, answers: list[float | None], is_silent: bool
) -> None:
    left = answering(monkeypatch, "seconds_since_acknowledgement", answers)
    connection = Connection()
    connection.is_behind = True
    with VirtualClock() as clock:
        pings = connection.keep_alive(1, 1)
        await clock.advance(20)
        assert (len(left), connection.silences) == (1, ["silent"] if is_silent else [])
        pings.cancel()


@pytest.mark.parametrize(
    ("answers", "after"),
    [
        pytest.param([5], 2, id="a peer that acknowledged nothing since the ping is gone"),
        pytest.param([5, 6], 3, id="a peer that did has another time-out to take something"),
        pytest.param([5, 6, 6, 7, 7, 8], 5, id="and another, however little it takes"),
        pytest.param([None], 3, id="where nothing is known it has one more, and then the transport has to notice"),
    ],
)
async def test_a_transport_that_has_filled_up_since_the_ping_tells_nothing_about_the_peer(
    monkeypatch: pytest.MonkeyPatch, answers: list[int | None], after: int
) -> None:
    answering(monkeypatch, "acknowledged_bytes", answers)
    connection = Connection()
    with VirtualClock() as clock:
        connection.keep_alive(1, 1)
        await clock.advance(1.5)
        connection.is_full = True
        await clock.advance(after - 1.51)
        assert connection.silences == []
        await clock.advance(0.02)
        assert connection.silences == ["silent"]


@pytest.mark.parametrize(("answers", "after"), [([5], 2), ([5, 6], 3), ([5, 6, 7, 8], 4)])
async def test_a_ping_behind_data_that_a_slow_peer_takes_is_given_the_time_for_it(
    monkeypatch: pytest.MonkeyPatch, answers: list[int], after: int
) -> None:
    answering(monkeypatch, "acknowledged_bytes", answers)
    connection = Connection()
    with VirtualClock() as clock:
        connection.keep_alive(1, 1)
        await clock.advance(1.5)
        for _ in range(2, after):
            # It was full, and is not any more.
            connection.resumes += 1
            await clock.advance(1)
            assert connection.silences == []
        await clock.advance(0.51)
        assert connection.silences == ["silent"]


@pytest.mark.parametrize("pongs", [0, 1, 3])
async def test_a_peer_is_gone_a_time_out_after_the_first_ping_that_it_does_not_answer(pongs: int) -> None:
    connection = Connection()
    with VirtualClock() as clock:
        pings = connection.keep_alive(2, 3)
        await clock.advance(0.5)
        for number in range(1, pongs + 1):
            await clock.advance(2)
            assert len(connection.pings) == number
            pings.pong(connection.pings[-1])
        await clock.advance(2)
        # A pong with another payload, or to an earlier ping, is not a sign of life.
        for payload in (b"?", b"", *connection.pings[:-1]):
            pings.pong(payload)
        await clock.advance(2.4)
        assert connection.silences == []
        await clock.advance(0.2)
        assert connection.silences == ["silent"]
    assert len(set(connection.pings)) == pongs + 1
    assert all(len(payload) >= 4 for payload in connection.pings)


async def test_a_peer_that_took_everything_at_last_is_asked_again() -> None:
    connection = Connection()
    with VirtualClock() as clock:
        connection.is_full = True
        connection.keep_alive(2, 3)
        # A ping is due, for which the transport has no space.
        await clock.advance(2.5)
        assert connection.pings == []
        connection.is_full = False
        await clock.advance(2.6)
        assert len(connection.pings) == 1
        await clock.advance(2.8)
        assert connection.silences == []
        await clock.advance(0.2)
        assert connection.silences == ["silent"]
