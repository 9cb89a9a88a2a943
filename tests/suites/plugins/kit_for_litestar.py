"""A pytest plugin: the client of Litestar without await, by its names and calls, is made of asgi_ws.testing.

One changed import does not port a suite of Litestar. A project would write this shim. The sessions have Litestar's
calls, and raise its `WebSocketDisconnect`. Litestar prepares the session data, with its cookies.
"""

import logging
from collections.abc import Callable
from queue import Empty
from typing import Any, Generic, TypeVar

import httpx
import litestar.testing
import litestar.testing.client
from litestar.exceptions import WebSocketDisconnect
from litestar.serialization import decode_msgpack, encode_msgpack
from litestar.testing import helpers, websocket_test_session
from litestar.testing.client import sync_client
from litestar.testing.client.base import BaseTestClient

from asgi_ws import ConnectionClosed
from asgi_ws.testing import ApplicationEnded, TestClient as Kit, WaitTimeout, WebSocketTestSession as KitSession

T = TypeVar("T")
R = TypeVar("R")


def by_litestars_names(call: Callable[[], R]) -> R:
    """Call, and raise in the place of the kit's errors those of Litestar's client."""
    try:
        return call()
    except ApplicationEnded:
        raise
    except ConnectionClosed as closed:
        raise WebSocketDisconnect(detail=closed.reason, code=closed.code) from closed
    except WaitTimeout as timeout:
        raise Empty from timeout


class WebSocketTestSession(KitSession):
    """A session of the kit with Litestar's calls; `timeout` and `block` are the client's."""

    def __enter__(self) -> Any:
        return by_litestars_names(super().__enter__)

    def send(  # pyright: ignore[reportIncompatibleMethodOverride] -- Litestar's takes data, and Starlette's an event
        self, data: Any, mode: Any = "text", encoding: str = "utf-8"
    ) -> None:
        if mode == "text":
            self.send_text(data.decode(encoding) if isinstance(data, bytes) else data)
        else:
            self.send_bytes(data if isinstance(data, bytes) else data.encode(encoding))

    def send_msgpack(self, data: Any) -> None:
        self.send_bytes(encode_msgpack(data))

    def receive(self, block: bool = True, timeout: float | None = None) -> Any:
        event = by_litestars_names(super().receive)
        if event["type"] == "websocket.close":
            raise WebSocketDisconnect(detail=event["reason"], code=event["code"])
        return event

    def receive_text(self, block: bool = True, timeout: float | None = None) -> str:
        return by_litestars_names(super().receive_text)

    def receive_bytes(self, block: bool = True, timeout: float | None = None) -> bytes:
        return by_litestars_names(super().receive_bytes)

    def receive_json(self, mode: Any = "text", block: bool = True, timeout: float | None = None) -> Any:
        return by_litestars_names(lambda: super(WebSocketTestSession, self).receive_json(mode))

    def receive_msgpack(self, block: bool = True, timeout: float | None = None) -> Any:
        return decode_msgpack(self.receive_bytes())


class TestClient(Kit, Generic[T]):
    """The kit's client with the arguments of Litestar's client, and its calls for session data."""

    __test__ = False

    def __init__(  # noqa: PLR0917 -- Litestar's order
        self,
        app: Any,
        base_url: str = "http://testserver.local",
        raise_server_exceptions: bool = True,
        root_path: str = "",
        backend: Any = "asyncio",
        backend_options: Any = None,
        session_config: Any = None,
        timeout: float | None = None,
        cookies: Any = None,
    ) -> None:
        self._litestars: Any = BaseTestClient(app, base_url, session_config=session_config)
        super().__init__(
            self._litestars.app, base_url, raise_server_exceptions, root_path, cookies=cookies, timeout=timeout or 5
        )

    def websocket_connect(self, url: str, subprotocols: Any = None, **kwargs: Any) -> Any:
        session = super().websocket_connect(url, subprotocols, **kwargs)
        session.__class__ = WebSocketTestSession
        return session

    def set_session_data(self, data: dict[str, Any]) -> None:
        self._with_cookies(lambda litestars: litestars._set_session_data(data))

    def get_session_data(self) -> Any:
        return self._with_cookies(lambda litestars: litestars._get_session_data())

    def _with_cookies(self, work: Callable[[Any], Any]) -> Any:
        # One jar: that library is httpx, whose cookies those of httpx2 do not take.
        self._litestars.cookies = httpx.Cookies(self.cookies.jar)
        with self._litestars.portal() as portal:
            return portal.call(work, self._litestars)


names = {"TestClient": TestClient, "WebSocketTestSession": WebSocketTestSession}
for module in (litestar.testing, litestar.testing.client, sync_client, helpers, websocket_test_session):
    for name in names.keys() & vars(module):
        setattr(module, name, names[name])

# As Litestar's fixture does with the logger of httpx.
logging.getLogger("httpx2").setLevel(logging.WARNING)
