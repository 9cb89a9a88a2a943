"""A pytest plugin: Starlette's tests of endpoints and WebSockets meet asgi_ws, ported as docs/how-to/starlette.md says.

The imports are other ones, and a class or function gains `.as_asgi()` or its decorator where it is routed to.
"""

import inspect
from types import ModuleType
from typing import Any

import starlette.endpoints
import starlette.requests
import starlette.responses
import starlette.routing
import starlette.testclient
import starlette.websockets

import asgi_ws
from asgi_ws.testing import TestClient as Kit, WebSocketDenialResponse


def routed(endpoint: Any) -> Any:
    if inspect.isclass(endpoint) and issubclass(endpoint, (asgi_ws.HTTPEndpoint, asgi_ws.WebSocketEndpoint)):
        return endpoint.as_asgi()
    return endpoint


class TestClient(Kit):
    __test__ = False

    def __init__(self, app: Any, *args: Any, backend_options: Any = None, **options: Any) -> None:
        super().__init__(routed(app), *args, **options)


# Starlette has one error for a call that is not allowed and for one after the end; the page names two.
ERRORS = (asgi_ws.LifecycleError, asgi_ws.ConnectionClosed)
PORTED: dict[ModuleType, dict[str, Any]] = {
    starlette.testclient: {"TestClient": TestClient, "WebSocketDenialResponse": WebSocketDenialResponse},
    starlette.endpoints: {"HTTPEndpoint": asgi_ws.HTTPEndpoint, "WebSocketEndpoint": asgi_ws.WebSocketEndpoint},
    starlette.requests: {"Request": asgi_ws.Request},
    starlette.responses: {"Response": asgi_ws.Response, "PlainTextResponse": asgi_ws.Response},
    starlette.routing: {"Router": asgi_ws.App, "Route": lambda path, endpoint: asgi_ws.Route(path, routed(endpoint))},
    starlette.websockets: {
        "WebSocket": asgi_ws.WebSocket,
        "WebSocketDisconnect": asgi_ws.WebSocketDisconnect,
        "WebSocketDisconnected": ERRORS,
        "WebSocketState": asgi_ws.WebSocketState,
    },
}
for module, names in PORTED.items():
    for name, ported in names.items():
        setattr(module, name, ported)
