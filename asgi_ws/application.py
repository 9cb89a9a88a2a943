"""App: one ASGI callable for everything a server asks: lifespan, HTTP and WebSockets."""

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from ._asgi import Receive, Scope, Send
from .callables import Kind, kind_of, misfit
from .errors import InvalidMessage, UnsupportedScope
from .http.responses import Response
from .lifespan import Lifespan, LifespanContext
from .limits import Statistics
from .routing.patterns import Converter
from .routing.router import Router, refuse_websocket
from .routing.routes import AnyRoute

logger = logging.getLogger("asgi_ws")

OnError: TypeAlias = Callable[[Exception, Scope], None]


class App:
    """An application of routes, with start and stop. Any ASGI wrapper around it is a middleware.

    Args:
        routes: `Route`, `WebSocketRoute` and `Mount` objects, in any order.
        lifespan: async context managers, or functions without parameters that make one (`@asynccontextmanager`),
            entered in this order before the first connection and left in reverse order after the last. A mapping that
            one yields is in the `state` of every connection. Mounted applications come after them. On a server without
            lifespan (daphne), and below an application that does not pass it on, they are entered at the first
            connection, and left when the loop cancels its tasks at its end.
        on_error: called with every exception of a handler, and its scope, before the exception goes on to the server.
        redirect_slashes: see `Router`.
        converters: see `Router`.

    Raises:
        InvalidRoute: for a route that could never be served.
        InvalidMessage: for a `lifespan` that is not a sequence of such, or an `on_error` that would have to be awaited.
    """

    def __init__(
        self,
        routes: Iterable[AnyRoute],
        *,
        lifespan: Sequence[LifespanContext] = (),
        on_error: OnError | None = None,
        redirect_slashes: bool = True,
        converters: Mapping[str, Converter] | None = None,
    ) -> None:
        self.router = Router(routes, redirect_slashes=redirect_slashes, converters=converters)
        if not isinstance(lifespan, Sequence):
            raise InvalidMessage("App(lifespan=...)", "a list of async context managers", lifespan)
        for context in lifespan:
            _check_context(context)
        self._lifespan = Lifespan(lifespan, list(self.router.lifespan_apps()))
        if on_error is not None:
            _check_on_error(on_error)
        self._on_error = on_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope.

        Raises:
            UnsupportedScope: for a type other than lifespan, http and websocket.
            Exception: what a handler raised.
        """
        scope_type = scope["type"]
        if scope_type == "lifespan":
            await self._lifespan.serve(scope, receive, send)
            return
        if scope_type not in ("http", "websocket"):
            raise UnsupportedScope(scope_type, ["lifespan", "http", "websocket"])
        try:
            if self._lifespan.is_needed:
                await self._fill_state(scope, receive, send)
            # As `router` does, without one more coroutine for each connection to keep.
            app, child = self.router.resolve(scope)
            await app(child, receive, send)
        except Exception as error:
            if self._on_error is not None:
                self._call_hook(self._on_error, error, scope)
            raise

    async def _fill_state(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the values of the start into `scope["state"]`, where the server did not. Answers 503 if it fails."""
        try:
            started = await self._lifespan.state()
        except Exception:
            if scope["type"] == "websocket":
                await refuse_websocket(scope, receive, send, 503, "Service Unavailable")
            else:
                await Response("Service Unavailable", 503)(scope, receive, send)
            raise
        state = scope.setdefault("state", {})
        for key, value in started.items():
            state.setdefault(key, value)

    def _call_hook(self, on_error: OnError, error: Exception, scope: Scope) -> None:
        try:
            on_error(error, scope)
        except Exception:
            # The handler's exception is the one to go on; the hook's must not hide it.
            logger.exception("on_error raised")

    def path_for(self, name: str, **params: Any) -> str:
        """Return the path of a route by its name; see `Router.path_for`."""
        return self.router.path_for(name, **params)

    def statistics(self) -> Statistics:
        """Return the counters of all endpoints; see `Router.statistics`."""
        return self.router.statistics()


def _check_context(context: object) -> None:
    """Find here, and not at the start, what neither is an async context manager nor makes one.

    Raises:
        InvalidMessage: for such a `context`.
    """
    if inspect.isclass(context):
        makes_one = hasattr(context, "__aenter__")
    elif isinstance(context, AbstractAsyncContextManager):
        return
    else:
        # Without @asynccontextmanager it yields; under @contextmanager it wraps a generator that is not asynchronous.
        makes_one = kind_of(context, is_through_wrappers=False) in (Kind.VALUE, Kind.UNKNOWN)
        makes_one = makes_one and not inspect.isgeneratorfunction(getattr(context, "__wrapped__", None))
    if not (callable(context) and makes_one and misfit(context) is None):
        expected = "async context managers, or functions without parameters that make one (@asynccontextmanager)"
        raise InvalidMessage("App(lifespan=...)", expected, context)


def _check_on_error(on_error: object) -> None:
    """Check that this can be called with an exception and a scope, and has nothing to await.

    Raises:
        InvalidMessage: when it can be seen that it cannot.
    """
    kinds = (Kind.VALUE, Kind.UNKNOWN)
    if not callable(on_error) or kind_of(on_error) not in kinds or misfit(on_error, "error", "scope") is not None:
        raise InvalidMessage("App(on_error=...)", "a plain function (error, scope)", on_error)
