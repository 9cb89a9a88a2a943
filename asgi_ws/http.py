"""HTTP over ASGI: a request to read, and a handler as an ASGI callable."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, Final, TypeAlias

from ._asgi import ASGIApp, Event, Receive, Scope, Send
from .body import RequestBody
from .codec import STANDARD_JSON, JSONCodec
from .connection import Connection
from .errors import BodyTooLarge, ClientDisconnected, HTTPError, InvalidBody, InvalidJSON, InvalidMessage, leaves
from .limits import Limits, Refusal, Statistics, Usage
from .responses import Response, check_scope

# What a handler answers with is any ASGI callable; a `Response` as a rule.
HTTPHandler: TypeAlias = Callable[["Request"], ASGIApp | Awaitable[ASGIApp]]

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
        async with aclosing(self._source.pieces()) as pieces:
            async for piece in pieces:
                yield piece

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
        """The next ASGI event, for a response that waits for the disconnect; what it has of the body is kept."""
        return await self._source.receive()


class HTTPApp:
    """An ASGI callable that serves HTTP scopes with a handler. Made by `http_app` and `HTTPEndpoint.as_asgi`."""

    def __init__(
        self, handler: Callable[[Request], Awaitable[ASGIApp]], *, limits: Limits, json: JSONCodec, name: str
    ) -> None:
        self._handler = handler
        self._limits = limits
        self._json = json
        self._usage = Usage(limits)
        # The default name of a route to it.
        self.__name__ = name

    def __repr__(self) -> str:
        return f"<HTTPApp {self.__name__}>"

    def statistics(self) -> Statistics:
        """Counters since the start."""
        return self._usage.statistics()

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
        except Exception as error:
            if not await self._answer(error, scope, receive, None if started else send):
                raise

    async def _answer(self, error: Exception, scope: Scope, receive: Receive, send: Send | None) -> bool:
        """Answer for a handler that raised, unless it has begun to answer itself; whether that was meant so."""
        causes = list(leaves(error))
        answers = [cause for cause in causes if isinstance(cause, HTTPError)]
        if not all(isinstance(cause, (HTTPError, ClientDisconnected)) for cause in causes):
            self._usage.failed += 1
            await self._send(Response("Internal Server Error", 500), scope, receive, send)
            return False
        if not answers:
            # Nobody is left to answer, and it is no mistake of the handler's.
            return True
        if isinstance(answers[0], BodyTooLarge):
            self._usage.refused[Refusal.BODY_BYTES.name] += 1
        await self._send(Response(answers[0].detail, answers[0].status, answers[0].headers), scope, receive, send)
        # Too late for a status: what the client did ends the response unfinished, what the handler did goes on.
        return send is not None or isinstance(answers[0], (BodyTooLarge, InvalidBody))

    async def _send(self, response: Response, scope: Scope, receive: Receive, send: Send | None) -> None:
        if send is not None:
            # The client may leave before its answer comes.
            with suppress(OSError):
                await response(scope, receive, send)
