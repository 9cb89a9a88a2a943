"""The entries of a router: Route, WebSocketRoute and Mount."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

from .._asgi import ASGIApp
from ..callables import misfit
from ..errors import InvalidRoute, show
from ..wire.grammar import is_token

ScopeType: TypeAlias = Literal["http", "websocket", "lifespan"]

_ALL_SCOPES: Final[tuple[ScopeType, ...]] = ("http", "websocket", "lifespan")


class Route:
    """HTTP requests for `path` go to `endpoint`.

    Args:
        path: with parameters as `{name}` or `{name:converter}`; see `CONVERTERS`.
        endpoint: an ASGI callable: `Endpoint.as_asgi()`, an `@http_app` function, a `Response`.
        methods: those it serves, HEAD with GET; None for all.
        name: for `path_for`; the endpoint's by default.

    Raises:
        InvalidRoute: when it could never be served.
    """

    scope_types: tuple[ScopeType, ...] = ("http",)

    def __init__(
        self, path: str, endpoint: ASGIApp, *, methods: Iterable[str] | None = None, name: str | None = None
    ) -> None:
        self.path = path
        self.endpoint = _check_endpoint(path, endpoint)
        self.name = name if name is not None else getattr(endpoint, "__name__", type(endpoint).__name__)
        self.methods: frozenset[str] | None = None
        if methods is not None:
            named = {methods} if isinstance(methods, str) else set(methods)
            for method in named:
                if not (isinstance(method, str) and is_token(method)):
                    raise InvalidRoute(path, f"{show(method)} is not an HTTP method")
            if not named:
                raise InvalidRoute(path, "methods is empty; leave it out to allow all")
            upper = {method.upper() for method in named}
            self.methods = frozenset(upper | {"HEAD"} if "GET" in upper else upper)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r}, {self.endpoint!r})"


class WebSocketRoute(Route):
    """WebSockets for `path` go to `endpoint`: `Endpoint.as_asgi()`, a `@websocket_app` function, any ASGI callable."""

    scope_types: tuple[ScopeType, ...] = ("websocket",)

    def __init__(self, path: str, endpoint: ASGIApp, *, name: str | None = None) -> None:
        super().__init__(path, endpoint, name=name)


class Mount:
    """Everything below `path` goes to an application, or to routes; `root_path` grows by what was matched.

    Args:
        path: the prefix, with parameters if need be; "" or "/" for everything that no other route matches.
        app: any ASGI application. Or
        routes: routes of our own.
        name: a prefix for `path_for`: "name:route".
        scope_types: what is passed on. An application that serves HTTP alone, as Django's does, takes `("http",)`: a
            WebSocket that nothing else matches is then refused here, and its lifespan is not asked for.

    Raises:
        InvalidRoute: when it could never be served.
    """

    def __init__(
        self,
        path: str,
        app: ASGIApp | None = None,
        *,
        routes: "Iterable[AnyRoute] | None" = None,
        name: str | None = None,
        scope_types: Sequence[ScopeType] = _ALL_SCOPES,
    ) -> None:
        if not isinstance(path, str):
            raise InvalidRoute(path, "expected a path as str")
        if (app is None) == (routes is None):
            raise InvalidRoute(path, "give an app or routes, not both")
        unknown = [scope_type for scope_type in scope_types if scope_type not in _ALL_SCOPES]
        if unknown:
            raise InvalidRoute(path, f"unknown scope type {show(unknown[0])}; expected one of {', '.join(_ALL_SCOPES)}")
        self.path = path.rstrip("/")
        self.name = name
        self.scope_types = tuple(scope_types)
        self.routes = None if routes is None else list(routes)
        self.app = None if app is None else _check_endpoint(path, app)

    def __repr__(self) -> str:
        return f"Mount({self.path!r}, {self.routes if self.app is None else self.app!r})"


AnyRoute: TypeAlias = Route | Mount


def _check_endpoint(path: str, endpoint: ASGIApp) -> ASGIApp:
    """Check that this takes scope, receive and send, so that a mistake shows here and not at the first request."""
    if isinstance(endpoint, type):
        hint = f"route to {endpoint.__name__}.as_asgi()" if hasattr(endpoint, "as_asgi") else "route to an instance"
        raise InvalidRoute(path, f"{endpoint.__name__} is a class; {hint}")
    if not callable(endpoint):
        raise InvalidRoute(path, f"{show(endpoint)} is not an ASGI callable")
    if misfit(endpoint, "scope", "receive", "send") is not None:
        raise InvalidRoute(
            path,
            f"{show(endpoint)} does not take scope, receive and send; decorate it with @http_app or @websocket_app",
        )
    return endpoint
