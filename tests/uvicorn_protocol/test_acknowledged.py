"""What the kernel says of the peer's last sign of life."""

import asyncio
import socket
from typing import Any, cast

import pytest

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
