"""The class under test with less patience, by the attributes that a subclass may change."""

from asgi_ws.uvicorn_protocol import WebSocketProtocol


class HastyProtocol(WebSocketProtocol):
    accept_timeout = 0.5
    close_timeout = 0.5
    shutdown_timeout = 0.5
    max_fragments = 1000
