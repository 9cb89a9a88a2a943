"""The state in which uvicorn's HTTP class hands over a transport together with a handshake.

The HTTP class was the transport's protocol before, and still is until the request is read. It writes the request anew
for the WebSocket class, always as HTTP/1.1, and keeps what it has begun. Its attributes are looked up with a default:
`uvicorn --http` takes other classes than uvicorn's own.
"""

import asyncio
from typing import Any

from ..wire.handshake import HandshakeRefused
from .writer import HIGH_WATER_BYTES


def clear(transport: asyncio.Transport) -> None:
    """Undo what the HTTP class has begun: a pause of reading, and its keep-alive timer, which closes the transport."""
    timer: asyncio.TimerHandle | None = getattr(transport.get_protocol(), "timeout_keep_alive_task", None)
    if timer is not None:
        timer.cancel()
    if not transport.is_reading():
        transport.resume_reading()


def has_unanswered_request(http: asyncio.BaseProtocol) -> bool:
    """Return True if a request before the handshake is not answered yet, so that its response is still to be written.

    Of uvicorn's HTTP classes only the one on httptools hands over then.
    """
    cycle = getattr(http, "cycle", None)
    return cycle is not None and not cycle.response_complete


class GivenBack(asyncio.Protocol):
    """The protocol of a transport whose HTTP class still has to respond, and is to read nothing more from it."""

    def __init__(self, http: Any) -> None:
        self._http = http

    def pause_writing(self) -> None:
        self._http.pause_writing()

    def resume_writing(self) -> None:
        self._http.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._http.connection_lost(exc)


def give_back(transport: asyncio.Transport, http: Any) -> None:
    """Let the HTTP class write the responses that it owes; it closes the transport after them.

    To be called once the transport has its new protocol.
    """
    transport.set_protocol(GivenBack(http))
    if not transport.is_closing():
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        # A change in the meantime was not its own to see.
        is_full = transport.get_write_buffer_size() > HIGH_WATER_BYTES
        (http.pause_writing if is_full else http.resume_writing)()


def check_version(transport: asyncio.Transport) -> None:
    """Check the version of HTTP that the client sent.

    Raises:
        HandshakeRefused: unless it is 1.1 or a later one of that kind (RFC 6455 section 4.2.1, item 1).
    """
    version: str = getattr(transport.get_protocol(), "scope", {}).get("http_version", "1.1")
    if not version.startswith("1.") or version == "1.0":
        raise HandshakeRefused(505, "a WebSocket handshake requires HTTP/1.1")
