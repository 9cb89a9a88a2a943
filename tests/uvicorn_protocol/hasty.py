"""The class under test with less patience and with more, by the attributes that a subclass may change."""

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
    """For what takes long on a busy machine."""

    close_timeout = 600.0
