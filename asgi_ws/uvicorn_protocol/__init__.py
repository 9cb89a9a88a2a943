"""WebSocketProtocol: a WebSocket class for uvicorn.

uvicorn asgi_ws:app --ws asgi_ws.uvicorn_protocol:WebSocketProtocol
"""

from .protocol import WebSocketProtocol

__all__ = ["WebSocketProtocol"]
