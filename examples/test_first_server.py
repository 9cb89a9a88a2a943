"""Tests of the guest book. They need no server, and every wait has a time limit."""

from collections.abc import Iterator

import pytest
from first_server import app, guests

from asgi_ws import WebSocketDisconnect
from asgi_ws.testing import TestClient, WebSocketDenialResponse


@pytest.fixture
def client() -> Iterator[TestClient]:
    guests.clear()
    with TestClient(app) as client:
        yield client


def test_a_guest_is_asked_and_welcomed(client: TestClient) -> None:
    with client.websocket_connect("/sign") as ws:
        assert ws.receive_text() == "Who are you?"
        ws.send_text("Ada")
        assert ws.receive_text() == "Welcome, Ada! You are guest number 1."
    assert client.get("/guests").json() == ["Ada"]


def test_a_binary_message_closes_the_connection_with_1003(client: TestClient) -> None:
    with client.websocket_connect("/sign") as ws:
        assert ws.receive_text() == "Who are you?"
        ws.send_bytes(b"Ada")
        with pytest.raises(WebSocketDisconnect) as closed:
            ws.receive_text()
    assert closed.value.code == 1003


def test_a_page_of_another_origin_is_refused(client: TestClient) -> None:
    headers = {"origin": "https://elsewhere.example"}
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect("/sign", headers=headers),
    ):
        pass
    assert refused.value.status_code == 403
