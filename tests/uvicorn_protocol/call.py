"""One connection as a bare ASGI application sees it, with notes of what the server does."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import parse_qsl

from asgi_ws._asgi import Event, Receive, Scope, Send
from tests.servers.journal import Journal

# A longer message is noted by its length.
_SHOWN_LENGTH: Final = 200
# The kinds of errors that the ASGI text and this package distinguish.
_KINDS: Final = (OSError, RuntimeError, ValueError, TypeError, asyncio.CancelledError, BaseException)


class Call:
    """The three arguments of an ASGI application, and nothing between them and the server but the notes."""

    def __init__(self, journal: Journal, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.send = send
        self.query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        self._receive = receive
        self._journal = journal
        self._id = self.query.get("id", "")

    def number(self, name: str, default: int = 0) -> int:
        return int(self.query.get(name, default))

    def note(self, word: str, *facts: Any) -> None:
        self._journal.note(self._id, word, *facts)

    async def go(self) -> None:
        """Wait for the client's signal."""
        self.note("ready")
        await self._journal.until(self._id, "go")

    async def receive(self) -> Event:
        """Receive an event, and note a disconnect."""
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            self.note("told", event["code"], event["reason"])
        return event

    async def connect(self) -> None:
        event = await self.receive()
        assert event == {"type": "websocket.connect"}, event
        self.note("connect")

    async def accept(self, **keys: Any) -> None:
        await self.connect()
        await self.send({"type": "websocket.accept", **keys})
        self.note("accepted")

    async def deny(self, *parts: bytes, status: int = 403, length: str | None = None) -> None:
        """Begin a denial and send parts of its body."""
        headers = [(b"content-type", b"text/plain"), *([(b"content-length", length.encode())] if length else [])]
        await self.send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        for part in parts:
            await self.body(part)

    async def body(self, part: bytes, *, more: bool = True) -> None:
        await self.send({"type": "websocket.http.response.body", "body": part, "more_body": more})

    async def text(self, message: str) -> None:
        await self.send({"type": "websocket.send", "text": message})

    async def data(self, message: bytes) -> None:
        await self.send({"type": "websocket.send", "bytes": message})

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self.send({"type": "websocket.close", "code": code, "reason": reason})

    async def messages(self) -> AsyncIterator[str | bytes]:
        """Receive messages until the disconnect event."""
        while (event := await self.receive())["type"] == "websocket.receive":
            yield message_of(event)

    async def tries(self, word: str, event: Event) -> None:
        """Send an event, and note the error if it fails."""
        try:
            await self.send(event)
        except Exception as error:  # noqa: BLE001 -- any error is noted
            self.note(word, *failure(error))

    async def flood(self) -> str:
        """Send until that fails; return the kind of the error."""
        try:
            while True:
                await self.data(bytes(65536))
        except Exception as error:  # noqa: BLE001 -- any error is returned
            return failure(error)[0]


def message_of(event: Event) -> str | bytes:
    """Return the one value of a receive event that is a message."""
    found = [value for value in (event.get("text"), event.get("bytes")) if value is not None]
    assert len(found) == 1, sorted(event)
    message: str | bytes = found[0]
    assert type(message) in (str, bytes), type(message)
    return message


def shown(message: str | bytes) -> str:
    """Return the form of a message in a note."""
    return repr(message) if len(message) <= _SHOWN_LENGTH else f"{type(message).__name__} of {len(message)}"


def failure(error: BaseException) -> tuple[str, str]:
    """Return the name of the kind of an error, and that of its class."""
    return next(kind.__name__ for kind in _KINDS if isinstance(error, kind)), type(error).__name__
