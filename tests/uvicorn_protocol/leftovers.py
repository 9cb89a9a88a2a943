"""An HTTP class that hands over a transport which it has told not to read, and is about to close."""

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class PausingProtocol(H11Protocol):
    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self.transport.pause_reading()
        self.timeout_keep_alive_task = self.loop.call_later(0, self.timeout_keep_alive_handler)
        super().handle_websocket_upgrade(event)
