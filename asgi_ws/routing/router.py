"""Router: dispatches a scope to one of its routes."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from .._asgi import ASGIApp, Receive, Scope, Send
from ..connection import mounted_root, route_path, url_path
from ..errors import ConnectionClosed, InvalidRoute, RouteNotFound, UnsupportedScope
from ..http.app import HTTPApp
from ..http.responses import URL_SAFE, RedirectResponse, Response
from ..limits import Statistics
from ..websocket.app import WebSocketApp
from ..websocket.websocket import WebSocket
from .patterns import CONVERTERS, PATH, Converter, Matcher, Params, Pattern
from .routes import AnyRoute, Mount, Route, WebSocketRoute

# The parameter by which a mount takes what is left of a path. No pattern of a user's can name one so.
_REST: Final = "_rest"


class Router:
    """An ASGI callable that dispatches HTTP requests and WebSockets to routes.

    Without a match the answer is 404, with one for other methods 405 (and an answer to OPTIONS), for a WebSocket's path
    over plain HTTP 426, and for a WebSocket a denial with 404, which daphne turns into 403.

    Args:
        routes: in any order; the most specific match wins (see `Matcher`).
        redirect_slashes: answer 307 where a path matches with one slash more or less at its end.
        converters: kinds of parameters beside, or instead of, those in `CONVERTERS`.

    Raises:
        InvalidRoute: for a route that could never be served.
    """

    def __init__(
        self,
        routes: Iterable[AnyRoute],
        *,
        redirect_slashes: bool = True,
        converters: Mapping[str, Converter] | None = None,
    ) -> None:
        self._redirect_slashes = redirect_slashes
        self._converters = {**CONVERTERS, **(converters or {})}
        self._matcher: Matcher[Route | _Mounted] = Matcher()
        self._named: list[tuple[str, Pattern]] = []
        self._endpoints: list[ASGIApp] = []
        self._mounts: list[_Mounted] = []
        for route in routes:
            if isinstance(route, Mount):
                self._add_mount(route)
            elif isinstance(route, Route):
                pattern = Pattern(route.path, self._converters)
                self._named.append((route.name, pattern))
                self._endpoints.append(route.endpoint)
                self._matcher.add(pattern, route)
            else:
                raise InvalidRoute(repr(route), "expected Route, WebSocketRoute or Mount objects")

    def _add_mount(self, mount: Mount) -> None:
        app: ASGIApp | None = mount.app
        if app is None:
            app = Router(mount.routes or (), redirect_slashes=self._redirect_slashes, converters=self._converters)
        mounted = _Mounted(app, mount, Pattern(mount.path or "/", self._converters))
        self._mounts.append(mounted)
        below = Pattern(f"{mount.path}/{{{_REST}:{_REST}}}", {**self._converters, _REST: PATH})
        self._matcher.add(below, mounted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch one request or WebSocket.

        Raises:
            UnsupportedScope: for a scope of another type.
        """
        scope_type = scope["type"]
        if scope_type not in ("http", "websocket"):
            raise UnsupportedScope(scope_type, ["http", "websocket"])
        app, child = self.resolve(scope)
        await app(child, receive, send)

    def resolve(self, scope: Scope) -> tuple[ASGIApp, Scope]:
        """Return the application for an HTTP or WebSocket scope, and its scope. Without a match it sends an error."""
        path = route_path(scope) if scope.get("root_path") else scope["path"]
        if scope["type"] == "websocket":
            # A path without parameters adds nothing to the scope: what a server built is passed on as it is.
            for target in self._matcher.static(path):
                if isinstance(target, WebSocketRoute):
                    return target.endpoint, scope
        found = self._resolve(scope, path)
        return found if isinstance(found, tuple) else (self._unmatched(scope, found), scope)

    def _resolve(self, scope: Scope, path: str) -> "tuple[ASGIApp, Scope] | _Near":
        """Return the application for a scope at this path, and its scope, or the near misses."""
        scope_type = scope["type"]
        near: _Near | None = None
        for target, params in self._matcher.find(path):
            if scope_type not in target.scope_types:
                near = near or _Near()
                near.other_scope = near.other_scope or isinstance(target, Route)
            elif isinstance(target, _Mounted):
                return target.app, target.child(scope, path, params)
            elif target.methods is None or scope_type == "websocket" or scope["method"] in target.methods:
                return target.endpoint, _with_params(scope, params)
            else:
                near = near or _Near()
                near.methods |= target.methods
        return near or _Near()

    def _unmatched(self, scope: Scope, near: "_Near") -> ASGIApp:
        if scope["type"] == "websocket":
            return partial(refuse_websocket, status=404, body="Not Found")
        if near.methods:
            allow = ("allow", ", ".join(sorted(near.methods | {"OPTIONS"})))
            if scope["method"] == "OPTIONS":
                return Response(status=204, headers=[allow])
            # RFC 9110 section 15.5.6: the answer has to list what is allowed.
            return Response("Method Not Allowed", 405, [allow])
        if near.other_scope:
            # RFC 9110 section 15.5.22: with the protocol to use, and section 7.8: with the connection option.
            upgrade = [("upgrade", "websocket"), ("connection", "upgrade")]
            return Response("This is a WebSocket", 426, upgrade if scope.get("http_version") == "1.1" else ())
        return self._redirect(scope) or Response("Not Found", 404)

    def _redirect(self, scope: Scope) -> ASGIApp | None:
        path = route_path(scope)
        other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
        if not self._redirect_slashes or not isinstance(self._resolve(scope, other), tuple):
            return None
        location = url_path(scope, other)
        # A browser reads two slashes at the start as another host.
        if not location.startswith("/") or location.startswith("//"):
            return None
        query = quote(scope.get("query_string", b""), safe=URL_SAFE)
        return RedirectResponse(f"{location}{'?' if query else ''}{query}")

    def path_for(self, name: str, **params: Any) -> str:
        """Return the path of the route with this name, percent-encoded. In a mount the name is "mount:route".

        Raises:
            RouteNotFound: when no route of this name takes these parameters.
        """
        path = self.find_path(name, params)
        if path is None:
            raise RouteNotFound(name, params, self.all_names())
        return path

    def find_path(self, name: str, params: Mapping[str, Any]) -> str | None:
        """Return the path of the first route with this name and these parameters, or None."""
        for known, pattern in self._named:
            if known == name and (path := pattern.format(params)) is not None:
                return path
        for mounted in self._mounts:
            prefix, router = f"{mounted.name}:", mounted.router
            if mounted.name is not None and router is not None and name.startswith(prefix):
                own = {key: value for key, value in params.items() if key in mounted.prefix.names}
                inner = {key: value for key, value in params.items() if key not in own}
                start = mounted.prefix.format(own)
                # A route may have a parameter of the mount's name; then the value is for both.
                for given in (inner, params):
                    end = router.find_path(name.removeprefix(prefix), given)
                    if start is not None and end is not None:
                        return start.rstrip("/") + end
        return None

    def all_names(self) -> Iterator[str]:
        """Return the names that `path_for` knows."""
        yield from (name for name, _ in self._named)
        for mounted in self._mounts:
            if mounted.router is not None and mounted.name is not None:
                yield from (f"{mounted.name}:{name}" for name in mounted.router.all_names())

    def statistics(self) -> Statistics:
        """Return the counters of all endpoints below. An endpoint behind a wrapper has to be asked itself."""
        # One may have several routes, and counts once.
        apps = {id(app): app for app in self.counting_apps()}
        return sum((app.statistics() for app in apps.values()), Statistics())

    def counting_apps(self) -> Iterator[WebSocketApp | HTTPApp]:
        """Yield the endpoints that count, once for each of their routes."""
        for endpoint in (*self._endpoints, *(mounted.router or mounted.app for mounted in self._mounts)):
            if isinstance(endpoint, (WebSocketApp, HTTPApp)):
                yield endpoint
            elif isinstance(endpoint, Router):
                yield from endpoint.counting_apps()

    def lifespan_apps(self) -> Iterator[ASGIApp]:
        """Return the mounted applications whose lifespan this router runs, each once."""
        apps: dict[int, ASGIApp] = {}
        for mounted in self._mounts:
            if isinstance(mounted.app, Router):
                apps.update((id(app), app) for app in mounted.app.lifespan_apps())
            elif "lifespan" in mounted.scope_types:
                apps[id(mounted.app)] = mounted.app
        yield from apps.values()


class _Near:
    """Near misses of a search without a match."""

    __slots__ = ("methods", "other_scope")

    def __init__(self) -> None:
        self.methods: frozenset[str] = frozenset()
        # Whether a route of the other scope type has this path.
        self.other_scope = False


class _Mounted:
    """A mount in its router."""

    __slots__ = ("app", "name", "prefix", "router", "scope_types")

    def __init__(self, app: ASGIApp, mount: Mount, prefix: Pattern) -> None:
        self.app = app
        self.name = mount.name
        self.scope_types = mount.scope_types
        self.prefix = prefix
        # Where its routes are ours: an App's, whose names can be reached through the mount. Starlette's has another.
        router = app if isinstance(app, Router) else getattr(app, "router", None)
        self.router = router if isinstance(router, Router) else None

    def child(self, scope: Scope, path: str, params: Params) -> Scope:
        """Return the scope of a mounted application: `root_path` grows, and `path` starts with it (ASGI, "root_path").

        Not every server begins `path` with its own `root_path`; from here on it does.
        """
        rest = f"/{params.pop(_REST)}"
        child = _with_params(scope, params)
        child.update(mounted_root(scope, path.removesuffix(rest)))
        child["path"] = child["root_path"] + rest
        return child


def _with_params(scope: Scope, params: Params) -> Scope:
    return {**scope, "path_params": {**(scope.get("path_params") or {}), **params}}


async def refuse_websocket(scope: Scope, receive: Receive, send: Send, status: int, body: str) -> None:
    """Refuse a handshake that no endpoint will see."""
    # The client may leave before its refusal comes.
    with suppress(ConnectionClosed):
        await WebSocket(scope, receive, send).deny(status, body)
