"""Classes and functions as ASGI callables: WebSocketEndpoint and HTTPEndpoint, @websocket_app and @http_app."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, overload

from ._asgi import ASGIApp
from .codec import STANDARD_JSON, JSONCodec
from .errors import InvalidEndpoint, UnexpectedMessageType
from .http import HTTPApp, HTTPHandler, Request
from .lifecycle import WebSocketState
from .limits import Limits
from .responses import Response
from .security import SAME_ORIGIN, Origins, Policy
from .session import Handler, WebSocketApp
from .websocket import WebSocket

Encoding = Literal["text", "bytes", "json"]


class WebSocketEndpoint:
    """A WebSocket handler as a class, in the manner of Starlette's; one instance for each connection.

    Override `on_connect`, `on_receive` and `on_disconnect`, and route to `as_asgi()`.

    Attributes:
        encoding: what `on_receive` gets: `"text"` str, `"bytes"` bytes, `"json"` a decoded value, None (the default)
            str or bytes as it came. A message of the wrong type closes with 1003, one that is no JSON with 1007.
    """

    encoding: ClassVar[Encoding | None] = None

    @classmethod
    def as_asgi(
        cls,
        *,
        origins: Origins = SAME_ORIGIN,
        hosts: Sequence[str] | None = None,
        trust_forwarded: bool = False,
        limits: Limits = Limits(),
        json: JSONCodec = STANDARD_JSON,
        init: Mapping[str, Any] = MappingProxyType({}),
    ) -> WebSocketApp:
        """An ASGI callable that makes `cls(**init)` for each connection.

        Args:
            origins: which origins browsers may connect from; see `Policy`.
            hosts: which host names the application is reached by; see `Policy`.
            trust_forwarded: take host and scheme from `X-Forwarded-*`; see `Policy`.
            limits: sizes, rates and times; see `Limits`.
            json: how JSON is read and written.
            init: keyword arguments for `cls`.

        Raises:
            InvalidOrigin: for an entry of `origins` that can never match.
            InvalidHost: for an entry of `hosts` that can never match.
            InvalidEndpoint: for an unknown `encoding`, or an `init` that the class does not take.
        """
        if cls.encoding not in ("text", "bytes", "json", None):
            raise InvalidEndpoint(cls.__name__, f'encoding is "text", "bytes", "json" or None, not {cls.encoding!r}')
        for name in ("decode", "dispatch"):
            if hasattr(cls, name):
                raise InvalidEndpoint(cls.__name__, f"{name}() is not called here; see encoding, and on_receive")
        _check_init(cls, init)

        # Not a coroutine function itself: a frame less for each connection to keep.
        def serve(ws: WebSocket) -> Awaitable[None]:
            return cls(**init)._serve(json, ws)

        return WebSocketApp(
            serve,
            policy=Policy(origins, hosts, trust_forwarded),
            limits=limits,
            json=json,
            name=cls.__name__,
        )

    async def on_connect(self, ws: WebSocket, /) -> None:
        """The handshake: accept it, as the default does, or refuse it with `ws.deny()`."""
        await ws.accept()

    async def on_receive(self, ws: WebSocket, data: Any, /) -> None:
        """One message, decoded as `encoding` says."""

    async def on_disconnect(self, ws: WebSocket, close_code: int, /) -> None:
        """The end; called once whenever `on_connect` was entered, however it ended. `ws` is closed already."""

    async def _serve(self, json: JSONCodec, ws: WebSocket) -> None:
        on_disconnect = self.on_disconnect
        if getattr(on_disconnect, "__func__", None) is not _NO_ON_DISCONNECT:
            ws._on_end = partial(on_disconnect, ws)
        await self.on_connect(ws)
        if ws.application_state is WebSocketState.CONNECTING:
            return
        decode = None if self.encoding is None else _decoder(self.encoding, json)
        if decode is None:
            await ws._feed(self.on_receive)
        else:
            await ws._feed(lambda ws, data: self.on_receive(ws, decode(data)))


# As it is here: whoever replaces it, on a class or on an instance, has it called.
_NO_ON_DISCONNECT: Final = WebSocketEndpoint.on_disconnect


def _decoder(encoding: Encoding, json: JSONCodec) -> Callable[[str | bytes], Any] | None:
    return json.decode if encoding == "json" else _TYPE_CHECKS.get(encoding)


def _check_type(wanted: type, name: str, data: str | bytes) -> str | bytes:
    if isinstance(data, wanted):
        return data
    raise UnexpectedMessageType(name)


_TYPE_CHECKS: Final = {"text": partial(_check_type, str, "text"), "bytes": partial(_check_type, bytes, "binary")}


@overload
def websocket_app(handler: Handler, /) -> WebSocketApp: ...
@overload
def websocket_app(
    *,
    origins: Origins = ...,
    hosts: Sequence[str] | None = ...,
    trust_forwarded: bool = ...,
    limits: Limits = ...,
    json: JSONCodec = ...,
) -> Callable[[Handler], WebSocketApp]: ...
def websocket_app(
    handler: Handler | None = None,
    /,
    *,
    origins: Origins = SAME_ORIGIN,
    hosts: Sequence[str] | None = None,
    trust_forwarded: bool = False,
    limits: Limits = Limits(),
    json: JSONCodec = STANDARD_JSON,
) -> WebSocketApp | Callable[[Handler], WebSocketApp]:
    """Make an ASGI callable of `async def handler(ws)`: as `@websocket_app`, or with arguments.

    The arguments are those of `WebSocketEndpoint.as_asgi`.

    Raises:
        InvalidOrigin: for an entry of `origins` that can never match.
        InvalidHost: for an entry of `hosts` that can never match.
    """
    policy = Policy(origins, hosts, trust_forwarded)

    def decorate(handler: Handler) -> WebSocketApp:
        return WebSocketApp(
            handler, policy=policy, limits=limits, json=json, name=getattr(handler, "__name__", "websocket")
        )

    return decorate if handler is None else decorate(handler)


_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")


class HTTPEndpoint:
    """An HTTP resource as a class: a method for each HTTP method, in lower case; one instance for each request.

    Each takes a `Request` and returns a `Response` (or any ASGI callable); a plain function runs in a thread. HEAD is
    answered by `get`, without the body; OPTIONS and any method that is not there with the list of those that are.
    """

    @classmethod
    def as_asgi(
        cls,
        *,
        limits: Limits = Limits(),
        json: JSONCodec = STANDARD_JSON,
        init: Mapping[str, Any] = MappingProxyType({}),
    ) -> HTTPApp:
        """An ASGI callable that makes `cls(**init)` for each request.

        Args:
            limits: of which `max_body_bytes` counts here.
            json: how request bodies are read by `Request.json`.
            init: keyword arguments for `cls`.

        Raises:
            InvalidEndpoint: for an `init` that the class does not take, or an attribute that is called like an HTTP
                method and is none.
        """
        _check_init(cls, init)
        names = {method: method.lower() for method in _METHODS if hasattr(cls, method.lower())}
        for name in names.values():
            if not callable(getattr(cls, name)):
                raise InvalidEndpoint(cls.__name__, f"{name} is no method")
        if "GET" in names:
            names.setdefault("HEAD", "get")
        handlers = {method: _awaitable(getattr(cls, name)) for method, name in names.items()}
        allow = ", ".join(sorted({*handlers, "OPTIONS"}))

        async def handle(request: Request) -> ASGIApp:
            handler = handlers.get(request.method)
            if handler is not None:
                return await handler(cls(**init), request)
            if request.method == "OPTIONS":
                return Response(status=204, headers={"allow": allow})
            # RFC 9110 section 15.5.6: the answer has to list what is allowed.
            return Response("Method Not Allowed", status=405, headers={"allow": allow})

        return HTTPApp(handle, limits=limits, json=json, name=cls.__name__)


@overload
def http_app(handler: HTTPHandler, /) -> HTTPApp: ...
@overload
def http_app(*, limits: Limits = ..., json: JSONCodec = ...) -> Callable[[HTTPHandler], HTTPApp]: ...
def http_app(
    handler: HTTPHandler | None = None, /, *, limits: Limits = Limits(), json: JSONCodec = STANDARD_JSON
) -> HTTPApp | Callable[[HTTPHandler], HTTPApp]:
    """Make an ASGI callable of `handler(request)`, which returns a response: as `@http_app`, or with arguments.

    A plain function runs in a thread. The methods it serves are the route's affair (`Route(methods=...)`).
    """

    def decorate(handler: HTTPHandler) -> HTTPApp:
        return HTTPApp(_awaitable(handler), limits=limits, json=json, name=getattr(handler, "__name__", "http"))

    return decorate if handler is None else decorate(handler)


def _check_init(cls: type, init: Mapping[str, Any]) -> None:
    """Find here, and not at the first connection, that no instance can be made."""
    try:
        inspect.signature(cls).bind(**init)
    except TypeError as error:
        raise InvalidEndpoint(cls.__name__, f"init does not fit: {error}") from None


def _awaitable(handler: Callable[..., Any]) -> Callable[..., Awaitable[ASGIApp]]:
    # A plain function may block, which in the loop's thread would hold up every connection.
    if inspect.iscoroutinefunction(handler):
        return handler

    def call(*args: Any) -> Any:
        try:
            return handler(*args)
        except StopIteration as error:
            # No future can carry one: who waits for it would wait for ever.
            raise RuntimeError("a handler raised StopIteration") from error

    async def run_in_thread(*args: Any) -> Any:
        answer = await asyncio.to_thread(call, *args)
        # A plain wrapper around a coroutine function does not show what it is.
        return await answer if inspect.isawaitable(answer) else answer

    return run_in_thread
