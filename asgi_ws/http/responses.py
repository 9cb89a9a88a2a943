"""Responses: the few kinds that stand beside a WebSocket, each an ASGI callable."""

from collections.abc import AsyncGenerator, AsyncIterable
from functools import partial
from typing import Any, ClassVar, Final
from urllib.parse import quote

from .._aio.scopes import EndingWith
from .._asgi import HeadersLike, Receive, Scope, Send
from ..errors import InvalidMessage, InvalidStatus, UnsupportedScope
from ..headers import content_type, encode_body, encode_headers, encode_payload
from ..json_codec import STANDARD_JSON, JSONCodec

# Characters that stay as they are in a URL that goes into a header.
URL_SAFE: Final = ":/%#?=@[]!$&'()*+,;~"
# RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5.
_WITHOUT_CONTENT: Final = (204, 205, 304)
# RFC 9110 section 15.4, those that a client follows by the Location.
_REDIRECTS: Final = (301, 302, 303, 307, 308)
# The default of a parameter with two names, Starlette's and ours. No caller can give it.
_NOT_GIVEN: Final[Any] = object()


class _WithStatus:
    """The status of a response, as an attribute under both of its names."""

    status: int

    @property
    def status_code(self) -> int:
        """The status, by Starlette's name for it."""
        return self.status

    @status_code.setter
    def status_code(self, status: int) -> None:
        self.status = _check_status(status)


class Response(_WithStatus):
    """A status, headers and a body: an ASGI callable, so that it can be routed to as it is.

    Args:
        content: the body; nothing by default. Text goes out in UTF-8.
        status_code: 200-599 (RFC 9110 section 15); 200 by default.
        headers: beside `content-length` and `content-type`, unless they say these two themselves.
        media_type: of the body; the class's own by default. `charset=utf-8` is added to text types.
        body: another name of `content`.
        status: another name of `status_code`.

    Raises:
        InvalidStatus, InvalidHeader, InvalidMessage: for what cannot be sent.
        TypeError: for a parameter that is given under both of its names.
    """

    media_type: ClassVar[str] = "text/plain"

    def __init__(
        self,
        content: str | bytes = _NOT_GIVEN,
        status_code: int = _NOT_GIVEN,
        headers: HeadersLike = (),
        media_type: str | None = None,
        *,
        body: str | bytes = _NOT_GIVEN,
        status: int = _NOT_GIVEN,
    ) -> None:
        self.status = _check_status(_one_of(status_code, status, "status_code and status", 200))
        content = _one_of(content, body, "content and body", b"")
        self.body, self.raw_headers = encode_body(content, headers, media_type or self.media_type)
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
        check_scope(scope)
        await send({"type": "http.response.start", "status": self.status, "headers": self.raw_headers})
        body = b"" if scope["method"] == "HEAD" else self.body
        await send({"type": "http.response.body", "body": body, "more_body": False})


class HTMLResponse(Response):
    """A response in HTML."""

    media_type = "text/html"


class PlainTextResponse(Response):
    """A response in plain text: a `Response` under Starlette's name."""


class JSONResponse(Response):
    """A value as a response in JSON.

    Args:
        content: the value.
        status_code: as of `Response`.
        headers: as of `Response`.
        media_type: another than `application/json`, such as `application/problem+json`.
        json: what encodes the value.
        value: another name of `content`.
        status: another name of `status_code`.
    """

    media_type = "application/json"

    def __init__(
        self,
        content: Any = _NOT_GIVEN,
        status_code: int = _NOT_GIVEN,
        headers: HeadersLike = (),
        media_type: str | None = None,
        *,
        json: JSONCodec = STANDARD_JSON,
        value: Any = _NOT_GIVEN,
        status: int = _NOT_GIVEN,
    ) -> None:
        value = _one_of(content, value, "content and value")
        super().__init__(json.encode_bytes(value), status_code, headers, media_type, status=status)


class RedirectResponse(Response):
    """A redirect to `url`: 307 unless another status says otherwise, so that method and body stay (RFC 9110 15.4.8).

    `status` is another name of `status_code`.
    """

    def __init__(
        self, url: str, status_code: int = _NOT_GIVEN, headers: HeadersLike = (), *, status: int = _NOT_GIVEN
    ) -> None:
        status = _one_of(status_code, status, "status_code and status", 307)
        if status not in _REDIRECTS:
            raise InvalidStatus(status, "301, 302, 303, 307 or 308 for a redirect")
        location = quote(url, safe=URL_SAFE)
        super().__init__(b"", status, [("location", location), *encode_headers(headers)])


class StreamingResponse(_WithStatus):
    """A response whose body is made while it is sent, piece by piece; text pieces go out in UTF-8.

    When the client leaves, the iteration is cancelled. The length is unknown unless `headers` tell it.

    Args:
        content: an async iterable of the pieces.
        status_code: as of `Response`.
        headers: as of `Response`.
        media_type: of the body.
        pieces: another name of `content`.
        status: another name of `status_code`.

    Raises:
        InvalidStatus, InvalidHeader, InvalidMessage: for what cannot be sent.
        TypeError: for a parameter that is given under both of its names.
    """

    def __init__(
        self,
        content: AsyncIterable[str | bytes] = _NOT_GIVEN,
        status_code: int = _NOT_GIVEN,
        headers: HeadersLike = (),
        media_type: str = "text/plain",
        *,
        pieces: AsyncIterable[str | bytes] = _NOT_GIVEN,
        status: int = _NOT_GIVEN,
    ) -> None:
        self.pieces = _one_of(content, pieces, "content and pieces")
        if not isinstance(self.pieces, AsyncIterable):
            raise InvalidMessage("StreamingResponse", "an async iterable", self.pieces)
        self.status = _check_status(_one_of(status_code, status, "status_code and status", 200))
        self.raw_headers = encode_headers(headers)
        if b"content-type" not in {name for name, _ in self.raw_headers}:
            self.raw_headers.append(content_type(media_type))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; to HEAD its headers alone.

        Raises:
            UnsupportedScope: for a scope of another type than HTTP.
        """
        check_scope(scope)
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


def _one_of(theirs: Any, ours: Any, names: str, default: Any = _NOT_GIVEN) -> Any:
    """Return the value of a parameter with two names, of which at most one was given."""
    if ours is not _NOT_GIVEN:
        if theirs is not _NOT_GIVEN:
            raise TypeError(f"{names} are the same parameter: give one of them")
        return ours
    if theirs is not _NOT_GIVEN:
        return theirs
    if default is _NOT_GIVEN:
        raise TypeError(f"missing argument: give one of {names}")
    return default


def _check_status(status: int) -> int:
    # http.HTTPStatus is an int, and so is True.
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise InvalidStatus(status, "200-599")
    return int(status)


def check_scope(scope: Scope) -> None:
    """Check that this is an HTTP scope. Raises UnsupportedScope if it is not."""
    if scope["type"] != "http":
        raise UnsupportedScope(scope["type"], ["http"])


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
