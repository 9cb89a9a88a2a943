"""The testing kit's time-outs, which are short for its users and would measure a busy machine in this suite."""

from typing import Any, Final

from asgi_ws.testing import LifespanManager, TestClient, WebSocketCommunicator, http_client

from .hanging import HANGING

# By the name of the call, as its users have them.
USERS_BOUNDS: Final[dict[str, float]] = {}

_CALLS: Final[dict[str, Any]] = {
    "WebSocketCommunicator": WebSocketCommunicator.__init__,
    "TestClient": TestClient.__init__,
    "LifespanManager": LifespanManager.__init__,
    "http_client": http_client,
}


def bound_the_kit() -> None:
    """Give each wait of the kit this suite's bound, unless a test says otherwise."""
    for name, call in _CALLS.items():
        USERS_BOUNDS.setdefault(name, call.__kwdefaults__["timeout"])
        call.__kwdefaults__["timeout"] = HANGING
