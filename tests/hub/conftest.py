"""Fixtures of the hub's tests."""

import pytest


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full outbox is given no moment to become less full: what its policy says is done at once."""
    monkeypatch.setattr("asgi_ws.hub.outbox.Outbox.is_crowded", lambda *_: False)
