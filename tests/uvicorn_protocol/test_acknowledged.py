"""What the kernel says of the peer's last sign of life."""

import asyncio
import socket
from typing import Any, cast

import pytest

from asgi_ws.testing import VirtualClock
from asgi_ws.uvicorn_protocol import keepalive
from asgi_ws.uvicorn_protocol.acknowledged import seconds_since_acknowledgement

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


def test_nothing_is_known_of_a_unix_socket_or_of_none() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert seconds(one) is None
    assert seconds(None) is None


class Behind:
    """A writer, and an inbox whose transport waits for the application."""

    is_full = False
    is_behind = True
    resumed_at = 0.0
    resumes = 0
    transport = None

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
    async with asyncio.timeout(10):
        assert await ended == ending
    pings.stop()


class Filling(Behind):
    """A writer whose transport fills up, and an inbox that is not behind."""

    is_behind = False
    transport = property(lambda self: self)

    def get_write_buffer_size(self) -> int:
        return 100_000


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        pytest.param(1e9, 2, id="a peer that acknowledged nothing since the ping is gone"),
        pytest.param(0.0, 3, id="a peer that did has another time-out to take something"),
        pytest.param(None, 3, id="and so has one of which nothing is known"),
    ],
)
async def test_a_transport_that_has_filled_up_since_the_ping_says_nothing_of_the_peer(
    monkeypatch: pytest.MonkeyPatch, answer: float | None, after: int
) -> None:
    monkeypatch.setattr(keepalive, "seconds_since_acknowledgement", lambda _transport: answer)
    both = cast("Any", Filling())
    silent: list[str] = []
    with VirtualClock() as clock:
        keepalive.KeepAlive(
            both,
            both,
            asyncio.get_running_loop(),
            interval=1,
            timeout=1,
            on_silence=lambda: silent.append("silent"),
            on_ping=lambda: None,
        )
        await clock.advance(1.5)
        both.is_full = True
        await clock.advance(after - 1.51)
        assert silent == []
        await clock.advance(0.02)
        assert silent == ["silent"]
