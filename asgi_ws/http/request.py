"""An HTTP request: the views of its scope, and its body."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from .._asgi import Event, Receive, Scope
from ..connection import Connection
from ..errors import BodyTooLarge, InvalidBody, InvalidJSON
from ..json_codec import STANDARD_JSON, JSONCodec
from ..limits import Limits
from .body import RequestBody

# The digits of the largest size there is, 2^64: int() refuses a text of thousands.
_LONGEST_SIZE: Final = 20


class Request(Connection):
    """One HTTP request (ASGI, "HTTP Connection Scope")."""

    __slots__ = ("_body", "_json", "_limits", "_source", "_streamed")

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        *,
        limits: Limits = Limits(),
        json: JSONCodec = STANDARD_JSON,
    ) -> None:
        super().__init__(scope)
        self._limits = limits
        self._json = json
        self._source = RequestBody(receive, limits.max_body_bytes)
        # The whole body once it was read by `body`.
        self._body: bytes | None = None
        # Whether `stream` was begun, after which the body is not to be had again.
        self._streamed = False

    @property
    def method(self) -> str:
        """The method in upper case."""
        method: str = self.scope["method"]
        return method

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the body in the pieces in which it arrives, once.

        Raises:
            BodyTooLarge: past `Limits.max_body_bytes`; left uncaught, the answer is 413.
            ClientDisconnected: when the client leaves before the end.
            RuntimeError: when the stream was begun before.
        """
        if self._body is not None:
            yield self._body
            return
        if self._streamed:
            raise RuntimeError("the request body was already streamed")
        self._streamed = True
        limit = self._limits.max_body_bytes
        declared = self.headers.get("content-length", "")
        if limit is not None and declared.isdecimal() and (len(declared) > _LONGEST_SIZE or int(declared) > limit):
            raise BodyTooLarge(limit)
        async with aclosing(self._source.pieces()) as pieces:
            async for piece in pieces:
                yield piece

    async def body(self) -> bytes:
        """Return the whole body. Later calls return it again. Raises as `stream`."""
        if self._body is None:
            self._body = b"".join([piece async for piece in self.stream()])
        return self._body

    async def text(self) -> str:
        """Return the body as UTF-8 text. Raises as `stream`.

        Raises:
            InvalidBody: it is not UTF-8. If uncaught, the response is 400.
        """
        try:
            return (await self.body()).decode()
        except UnicodeDecodeError:
            raise InvalidBody("UTF-8 text") from None

    async def json(self) -> Any:
        """Return the body as a JSON value. Raises as `stream`.

        Raises:
            InvalidBody: it is not JSON. If uncaught, the response is 400.
        """
        try:
            return self._json.decode(await self.body())
        except InvalidJSON:
            raise InvalidBody("JSON") from None

    async def receive(self) -> Event:
        """Return the next ASGI event, for a response that waits for the disconnect. Its part of the body is kept."""
        return await self._source.receive()
