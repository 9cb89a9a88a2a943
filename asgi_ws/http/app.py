"""A handler of HTTP requests as an ASGI callable."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

from .._asgi import ASGIApp, Event, Receive, Scope, Send
from ..errors import BodyTooLarge, ClientDisconnected, HTTPError, InvalidBody, InvalidMessage, leaves
from ..json_codec import JSONCodec
from ..limits import Limits, Refusal, Statistics, Usage
from .request import Request
from .responses import Response, check_scope

# A handler returns any ASGI callable, usually a `Response`.
HTTPHandler: TypeAlias = Callable[[Request], ASGIApp | Awaitable[ASGIApp]]


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
        """Return the counters since the start."""
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
                raise InvalidMessage(f"return value of {self.__name__}", "a Response", response)
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
            # The client is gone, which is not an error of the handler.
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
