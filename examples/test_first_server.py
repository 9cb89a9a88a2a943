"""A real server in a thread, on a free port, and a real client."""

import json
import socket
import threading
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
import uvicorn
from first_server import app, guests
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin


@pytest.fixture
def address() -> Iterator[str]:
    guests.clear()
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # The socket listens already, so a client that comes too early waits for the server.
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def test_a_guest_is_asked_and_welcomed(address: str) -> None:
    with connect(f"ws://{address}/sign") as ws:
        assert ws.recv(timeout=5) == "Who are you?"
        ws.send("Ada")
        assert ws.recv(timeout=5) == "Welcome, Ada! You are guest number 1."
    with urlopen(f"http://{address}/guests", timeout=5) as response:
        assert json.load(response) == ["Ada"]


def test_a_binary_message_closes_the_connection_with_1003(address: str) -> None:
    with connect(f"ws://{address}/sign") as ws:
        assert ws.recv(timeout=5) == "Who are you?"
        ws.send(b"Ada")
        with pytest.raises(ConnectionClosedError) as closed:
            ws.recv(timeout=5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1003


def test_a_page_of_another_origin_is_refused(address: str) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(f"ws://{address}/sign", origin=Origin("https://elsewhere.example")),
    ):
        pass
    assert refused.value.response.status_code == 403
