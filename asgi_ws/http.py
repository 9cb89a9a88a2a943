"""HTTP over ASGI: a request to read, and a handler as an ASGI callable."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext, suppress
from typing import Any, Final, TypeAlias

from ._asgi import ASGIApp, Event, Receive, Scope, Send
from .codec import STANDARD_JSON, JSONCodec
from .connection import Connection
from .errors import BodyTooLarge, ClientDisconnected, HTTPError, InvalidBody, InvalidJSON, InvalidMessage, leaves
from .limits import Limits
from .responses import Response, check_scope

# What a handler answers with is any ASGI callable; a `Response` as a rule.
HTTPHandler: TypeAlias = Callable[["Request"], ASGIApp | Awaitable[ASGIApp]]

# The digits of the largest size there is, 2^64: int() refuses a text of thousands.
_LONGEST_SIZE: Final = 20


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
        check_scope(scope)
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
        except HTTPError as error:
            if started:
                raise
            response = Response(error.detail, error.status, error.headers)
            # The client may leave before its answer comes.
            with suppress(OSError):
                await response(scope, receive, send)
        except Exception as error:
            if all(isinstance(cause, ClientDisconnected) for cause in leaves(error)):
                # Nobody is left to answer, and it is no mistake of the handler's.
                return
            if not started:
                with suppress(OSError):
                    await Response("Internal Server Error", 500)(scope, receive, send)
            raise
