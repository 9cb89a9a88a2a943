"""An HTTP class that hands over a transport which it has told not to read."""

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class PausingProtocol(H11Protocol):
    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self.transport.pause_reading()
        super().handle_websocket_upgrade(event)
