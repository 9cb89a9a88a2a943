"""All that these tests know of the inside of a hub; the rest is its public API."""

import pytest

from asgi_ws import Hub, WebSocket


def holds_nothing(hub: Hub) -> bool:
    """Return True if a hub has neither rooms nor connections, nor anything of them."""
    runtime = hub._runtime
    return runtime is None or not (runtime.rooms or runtime.connections or runtime.identities)


def knows_hubs(ws: WebSocket) -> bool:
    """Return True if a hub would hear of the end of the WebSocket."""
    return bool(ws._channel._attached)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apply the policy of a full outbox at once, without waiting for it to drain."""
    monkeypatch.setattr("asgi_ws.hub.outbox.Outbox.is_crowded", lambda *_: False)


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the budget of a room for waiting for full outboxes to zero."""
    monkeypatch.setattr("asgi_ws.hub.fanout._PATIENCE_SECONDS", 0.0)


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable retries: a broker that failed is asked again only after it reports its recovery."""
    monkeypatch.setattr("asgi_ws.hub.backoff.delay_after", lambda _: 1e9)


@pytest.fixture
def one_member_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """End the time slice after each member."""
    monkeypatch.setattr("asgi_ws.hub.fanout._MEMBERS_PER_LOOK", 1)
