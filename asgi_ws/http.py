"""HTTP over ASGI: a request to read, and the few kinds of responses that stand beside a WebSocket."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any, ClassVar, Final, TypeAlias
from urllib.parse import quote

from ._asgi import ASGIApp, Event, HeadersLike, Receive, Scope, Send
from ._scopes import EndingWith
from .codec import STANDARD_JSON, JSONCodec
from .connection import Connection
from .errors import (
    BodyTooLarge,
    ClientDisconnected,
    HTTPError,
    InvalidBody,
    InvalidJSON,
    InvalidMessage,
    InvalidStatus,
    UnsupportedScope,
)
from .headers import content_type, encode_body, encode_headers, encode_payload
from .limits import Limits

# What a handler answers with is any ASGI callable; a `Response` as a rule.
HTTPHandler: TypeAlias = Callable[["Request"], ASGIApp | Awaitable[ASGIApp]]

# The digits of the largest size there is, 2^64: int() refuses a text of thousands.
_LONGEST_SIZE: Final = 20
# What stays as it is in a URL that goes into a header.
URL_SAFE: Final = ":/%#?=@[]!$&'()*+,;~"


class Request(Connection):
    """One HTTP request (ASGI, "HTTP Connection Scope")."""

    __slots__ = (
        "_body",
        "_complete",
        "_early",
        "_early_size",
        "_gone",
        "_json",
        "_limits",
        "_receive_event",
        "_streamed",
        "_turn",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        *,
        limits: Limits = Limits(),
        json: JSONCodec = STANDARD_JSON,
    ) -> None:
        super().__init__(scope)
        self._receive_event = receive
        self._limits = limits
        self._json = json
        # The whole body once it was read by `body`.
        self._body: bytes | None = None
        # Whether `stream` was begun, after which the body is not to be had again.
        self._streamed = False
        # What a response received of the body, in wait of the disconnect; `stream` begins with it, and None is its end.
        self._early: deque[bytes] | None = deque()
        self._early_size = 0
        # Whether all of the body was received.
        self._complete = False
        # Whether the client was seen to leave; to receive after that has no end on some servers.
        self._gone = False
        # Held while the body is being read, so that who waits for the disconnect takes no part of it.
        self._turn = asyncio.Lock()

    @property
    def method(self) -> str:
        """The method in upper case."""
        method: str = self.scope["method"]
        return method

    async def stream(self) -> AsyncIterator[bytes]:
        """The body in the pieces in which it comes; once.

        Raises:
            BodyTooLarge: past `Limits.max_body_bytes`; left uncaught, the answer is 413.
            ClientDisconnected: when the client leaves before the end.
            RuntimeError: when the stream was begun before.
        """
        if self._body is not None:
            yield self._body
            return
        if self._streamed:
            raise RuntimeError("the request's body was streamed already")
        self._streamed = True
        limit = self._limits.max_body_bytes
        declared = self.headers.get("content-length", "")
        if limit is not None and declared.isdecimal() and (len(declared) > _LONGEST_SIZE or int(declared) > limit):
            raise BodyTooLarge(limit)
        size = 0
        # Once the body is complete, who waits for the disconnect holds the turn to the end.
        async with nullcontext() if self._complete else self._turn:
            try:
                while self._early or not self._complete:
                    piece = self._early.popleft() if self._early else await self._piece()
                    size += len(piece)
                    if limit is not None and size > limit:
                        raise BodyTooLarge(limit)
                    if piece:
                        yield piece
            finally:
                self._early = None

    async def _piece(self) -> bytes:
        event = await self._next_event()
        if event["type"] == "http.disconnect":
            raise ClientDisconnected
        piece: bytes = event.get("body", b"")
        return piece

    async def _next_event(self) -> Event:
        if self._gone:
            return {"type": "http.disconnect"}
        event = await self._receive_event()
        if event["type"] == "http.disconnect":
            self._gone = True
        elif not event.get("more_body", False):
            self._complete = True
        return event

    async def body(self) -> bytes:
        """The whole body; the same again at every call. Errors as of `stream`."""
        if self._body is None:
            self._body = b"".join([piece async for piece in self.stream()])
        return self._body

    async def text(self) -> str:
        """The body as UTF-8 text; errors as of `stream`.

        Raises:
            InvalidBody: when it is no UTF-8; left uncaught, the answer is 400.
        """
        try:
            return (await self.body()).decode()
        except UnicodeDecodeError:
            raise InvalidBody("UTF-8 text") from None

    async def json(self) -> Any:
        """The body as a JSON value; errors as of `stream`.

        Raises:
            InvalidBody: when it is no JSON; left uncaught, the answer is 400.
        """
        try:
            return self._json.decode(await self.body())
        except InvalidJSON:
            raise InvalidBody("JSON") from None

    async def receive(self) -> Event:
        """The next ASGI event that no one else reads: what a response gets as its `receive`.

        A part of the body in it is kept for `stream`, if that comes later: a response waits for the disconnect while
        the iterator that makes it may still read the request.
        """
        limit = self._limits.max_body_bytes
        async with self._turn:
            event = await self._next_event()
            piece: bytes = event.get("body", b"")
            # One piece over the limit is enough for `stream` to find that there is more.
            if piece and self._early is not None and (limit is None or self._early_size <= limit):
                self._early.append(piece)
                self._early_size += len(piece)
            return event


class Response:
    """A status, headers and a body: an ASGI callable, so that it can be routed to as it is.

    Args:
        body: text goes out in UTF-8.
        status: 200-599 (RFC 9110 section 15).
        headers: beside `content-length` and `content-type`, unless they say these two themselves.
        media_type: of the body; the class's own by default. `charset=utf-8` is added to text types.

    Raises:
        InvalidStatus, InvalidHeader, InvalidMessage: for what cannot be sent.
    """

    media_type: ClassVar[str] = "text/plain"

    def __init__(
        self,
        body: str | bytes = b"",
        status: int = 200,
        headers: HeadersLike = (),
        media_type: str | None = None,
    ) -> None:
        self.status = _check_status(status)
        self.body, self.raw_headers = encode_body(body, headers, media_type or self.media_type)
        if self.status in _WITHOUT_CONTENT:
            # RFC 9110 sections 8.6 and 15.3.5: no content, and 204 no length either. A length of 0 at 304 would be
            # taken for that of the representation.
            self.body = b""
            self.raw_headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; to HEAD without its body (RFC 9110 section 9.3.2).

        Raises:
            UnsupportedScope: for a scope of another type than HTTP.
        """
        _check_scope(scope)
        await send({"type": "http.response.start", "status": self.status, "headers": self.raw_headers})
        body = b"" if scope["method"] == "HEAD" else self.body
        await send({"type": "http.response.body", "body": body, "more_body": False})


class HTMLResponse(Response):
    """A response in HTML."""

    media_type = "text/html"


class JSONResponse(Response):
    """A value as a response in JSON."""

    media_type = "application/json"

    def __init__(
        self, value: Any, status: int = 200, headers: HeadersLike = (), *, json: JSONCodec = STANDARD_JSON
    ) -> None:
        super().__init__(json.encode_bytes(value), status, headers)


class RedirectResponse(Response):
    """A redirect to `url`: 307 unless another status says otherwise, so that method and body stay (RFC 9110 15.4.8)."""

    def __init__(self, url: str, status: int = 307, headers: HeadersLike = ()) -> None:
        if status not in _REDIRECTS:
            raise InvalidStatus(status, "301, 302, 303, 307 or 308 for a redirect")
        location = quote(url, safe=URL_SAFE)
        super().__init__(b"", status, [("location", location), *encode_headers(headers)])


class StreamingResponse:
    """A response whose body is made while it is sent, piece by piece; text pieces go out in UTF-8.

    When the client leaves, the iteration is cancelled. The length is unknown unless `headers` tell it.

    Raises:
        InvalidStatus, InvalidHeader, InvalidMessage: for what cannot be sent.
    """

    def __init__(
        self,
        pieces: AsyncIterable[str | bytes],
        status: int = 200,
        headers: HeadersLike = (),
        media_type: str = "text/plain",
    ) -> None:
        if not isinstance(pieces, AsyncIterable):
            raise InvalidMessage("StreamingResponse", "an async iterable", pieces)
        self.status = _check_status(status)
        self.pieces = pieces
        self.raw_headers = encode_headers(headers)
        if b"content-type" not in {name for name, _ in self.raw_headers}:
            self.raw_headers.append(content_type(media_type))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; to HEAD its headers alone.

        Raises:
            UnsupportedScope: for a scope of another type than HTTP.
        """
        _check_scope(scope)
        await send({"type": "http.response.start", "status": self.status, "headers": self.raw_headers})
        pieces = aiter(self.pieces)
        complete = scope["method"] == "HEAD" or self.status in _WITHOUT_CONTENT
        try:
            if not complete:
                async with EndingWith(partial(_disconnected, receive), name="asgi_ws streaming response"):
                    async for piece in pieces:
                        # An empty chunk is the end of a body (RFC 9112 section 7.1).
                        if body := encode_payload(piece):
                            await send({"type": "http.response.body", "body": body, "more_body": True})
                    complete = True
        finally:
            # A generator that was left in the middle has files and connections open.
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        if complete:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class HTTPApp:
    """An ASGI callable that serves HTTP scopes with a handler. Made by `http_app` and `HTTPEndpoint.as_asgi`."""

    def __init__(
        self, handler: Callable[[Request], Awaitable[ASGIApp]], *, limits: Limits, json: JSONCodec, name: str
    ) -> None:
        self._handler = handler
        self._limits = limits
        self._json = json
        # The default name of a route to it.
        self.__name__ = name

    def __repr__(self) -> str:
        return f"<HTTPApp {self.__name__}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI, "HTTP").

        Raises:
            UnsupportedScope: for a scope of another type.
            Exception: what the handler raised, after a 500 if nothing was sent before.
        """
        _check_scope(scope)
        started = False

        async def send_noted(event: Event) -> None:
            nonlocal started
            started = True
            try:
                await send(event)
            except OSError:
                raise ClientDisconnected from None

        request = Request(scope, receive, limits=self._limits, json=self._json)
        try:
            response = await self._handler(request)
            if not callable(response):
                raise InvalidMessage(f"the answer of {self.__name__}", "a Response", response)
            await response(scope, request.receive, send_noted)
        except ClientDisconnected:
            # Nobody is left to answer, and it is no mistake of the handler's.
            return
        except HTTPError as error:
            if started:
                raise
            response = Response(error.detail, error.status, error.headers)
            # The client may leave before its answer comes.
            with suppress(OSError):
                await response(scope, receive, send)
        except Exception:
            if not started:
                with suppress(OSError):
                    await Response("Internal Server Error", 500)(scope, receive, send)
            raise


# RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5.
_WITHOUT_CONTENT: Final = (204, 205, 304)
# RFC 9110 section 15.4, those that a client follows by the Location.
_REDIRECTS: Final = (301, 302, 303, 307, 308)


def _check_status(status: int) -> int:
    # http.HTTPStatus is an int, and so is True.
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise InvalidStatus(status, "200-599")
    return int(status)


def _check_scope(scope: Scope) -> None:
    if scope["type"] != "http":
        raise UnsupportedScope(scope["type"], ["http"])


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
