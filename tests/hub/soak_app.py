"""Rooms for a long run: slow members are found soon, and rooms with a history announce what they missed."""

import asyncio
import gc
import socket
from typing import Final

from asgi_ws import (
    App,
    Encoder,
    Gap,
    History,
    Hub,
    JSONResponse,
    OutboxLimits,
    Request,
    Response,
    Route,
    http_app,
)
from asgi_ws.uvicorn_protocol import WebSocketProtocol

from .served_app import Served
from .soak_clients import KEPT

_KIB: Final = 1024


class SmallBuffers(WebSocketProtocol):
    """The fast class on sockets for which the system keeps little, so that a stall is felt in seconds."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * _KIB)
        super().connection_made(transport)


class Gaps(Encoder):
    def gap(self, gap: Gap) -> str:
        return f"gap {gap.missed} "


def _history(room: str) -> History | None:
    return History(messages=50) if room.startswith(KEPT) else None


def _note(*facts: object) -> None:
    """Keep nothing: there are too many."""


@http_app
async def collect(request: Request) -> Response:
    """Collect garbage, so that the process holds only memory in use."""
    return JSONResponse(gc.collect())


hub = Hub(outbox=OutboxLimits(max_bytes=32 * _KIB, max_age=2.0), history=_history, encoder=Gaps())
app = App([*Served(hub, _note).routes, Route("/collect", collect)], lifespan=[hub])
