"""A refused handshake's response, as the application sends it (ASGI extension "WebSocket Denial Response")."""

from collections.abc import Iterable
from typing import Final

from .._asgi import Event
from ..errors import InvalidHeader, InvalidMessage
from ..wire.handshake import response_head

_CRLF: Final = b"\r\n"
# RFC 9110 section 6.4.1: responses without a body.
_BODILESS: Final = (204, 304)


class Denial:
    """One response: its start, and the parts of its body as they come.

    Without a content-length of the application's, a body in one part gets one, and a body in several is sent in chunks
    (RFC 9112 section 7.1), so that a client can tell a whole response from one that broke off.

    Raises:
        InvalidStatus: unless the status is 200-599.
        InvalidHeader: for a malformed one.
    """

    __slots__ = ("_headers", "_is_chunked", "_left", "is_complete", "is_started", "status")

    def __init__(self, start: Event, server_headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.status: int = start["status"]
        # How a body is framed on this connection is for this class to say.
        own = [(name, value) for name, value in start.get("headers") or () if name.lower() != b"transfer-encoding"]
        self._headers = [*server_headers, *own]
        response_head(self.status, self._headers)
        names = {name.lower() for name, _ in own}
        if b"connection" not in names:
            self._headers.append((b"connection", b"close"))
        # Bytes still to come by the application's content-length, or None without one.
        self._left: int | None = None
        for name, value in own:
            if name.lower() == b"content-length":
                if self._left is not None or not value.isdigit():
                    raise InvalidHeader(name, value, "one number of bytes, in decimal digits")
                self._left = int(value)
        self.is_started = False
        self._is_chunked = False
        self.is_complete = False

    def body(self, event: Event) -> bytes:
        """Return the bytes to write for a part of the body.

        Raises:
            InvalidMessage: for a body that is not bytes, or of another length than its content-length.
        """
        part = event.get("body", b"")
        more: bool = event.get("more_body", False)
        if not isinstance(part, bytes):
            raise InvalidMessage("body", "bytes", part)
        if self._left is not None:
            if len(part) > self._left or (len(part) < self._left and not more):
                raise InvalidMessage("body", f"{self._left} more bytes, as its content-length says", part)
            self._left -= len(part)
        head = b""
        if not self.is_started:
            self.is_started = True
            head = self._head(None if more else len(part))
        self.is_complete = not more
        if self.status in _BODILESS:
            return head
        if not self._is_chunked:
            return head + part
        chunk = b"%x\r\n%b\r\n" % (len(part), part) if part else b""
        return head + chunk + (b"" if more else b"0\r\n\r\n")

    def _head(self, size: int | None) -> bytes:
        if self._left is None and self.status not in _BODILESS:
            self._is_chunked = size is None
            framing = (b"transfer-encoding", b"chunked") if size is None else (b"content-length", b"%d" % size)
            self._headers.append(framing)
        return response_head(self.status, self._headers)
