"""The class under test with other values of the attributes that a subclass may change, and an odd HTTP class."""

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from asgi_ws.uvicorn_protocol import WebSocketProtocol


class HastyProtocol(WebSocketProtocol):
    accept_timeout = 0.5
    close_timeout = 0.5
    shutdown_timeout = 0.5
    max_fragments = 1000
    max_target_bytes = 1024
    max_header_bytes = 32 * 1024
    max_headers = 10
    max_head_bytes = 48 * 1024
    server_context_takeover = False


class PatientProtocol(WebSocketProtocol):
    """Long timeouts, for a busy machine."""

    close_timeout = 600.0


class PausingProtocol(H11Protocol):
    """An HTTP class that hands over a transport that does not read and is about to be closed."""

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self.transport.pause_reading()
        self.timeout_keep_alive_task = self.loop.call_later(0, self.timeout_keep_alive_handler)
        super().handle_websocket_upgrade(event)
