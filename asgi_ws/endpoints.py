"""Classes and functions as ASGI callables: WebSocketEndpoint and HTTPEndpoint, @websocket_app and @http_app."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, NamedTuple, overload

from ._asgi import ASGIApp
from .callables import Kind, has_plain, kind_of, method_misfit, misfit, signature_of
from .errors import InvalidEndpoint, UnexpectedMessageType, show
from .http.app import HTTPApp, HTTPHandler
from .http.request import Request
from .http.responses import Response
from .json_codec import STANDARD_JSON, JSONCodec
from .limits import Limits
from .security import SAME_ORIGIN, Origins, Policy
from .websocket.app import Handler, WebSocketApp
from .websocket.state import WebSocketState
from .websocket.websocket import WebSocket, channel_of

Encoding = Literal["text", "bytes", "json"]


class WebSocketEndpoint:
    """A WebSocket handler as a class, in the manner of Starlette's; one instance for each connection.

    Override `on_connect`, `on_receive` and `on_disconnect`, and route to `as_asgi()`.

    Attributes:
        encoding: what `on_receive` gets: `"text"` str, `"bytes"` bytes, `"json"` a decoded value, None (the default)
            str or bytes as it came. A message of the wrong type closes with 1003, one that is not JSON with 1007.
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
        """Return an ASGI callable that makes `cls(**init)` for each connection.

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
            InvalidEndpoint: for an unknown `encoding`, an `init` that the class does not take, or a method that is not
                `async def` or does not take what it is called with.
        """
        if cls.encoding not in ("text", "bytes", "json", None):
            raise InvalidEndpoint(
                cls.__name__, f'encoding={show(cls.encoding)}: expected "text", "bytes", "json" or None'
            )
        for name in ("decode", "dispatch"):
            if hasattr(cls, name):
                raise InvalidEndpoint(cls.__name__, f"{name}() is never called: set encoding, or override on_receive")
        for name, arguments in _METHOD_ARGUMENTS.items():
            if has_plain(cls, name):
                method = getattr(cls, name)
                problem = method_misfit(cls, name, *arguments) if callable(method) else None
                _check_handler(cls.__name__, method, problem, _AWAITED, f"{name}() ")
        _check_init(cls, init)

        # Not a coroutine function itself: a frame less for each connection to keep.
        def serve(ws: WebSocket) -> Awaitable[None]:
            return _serve(cls(**init), json, ws)

        return WebSocketApp(
            serve,
            policy=Policy(origins, hosts, trust_forwarded),
            limits=limits,
            json=json,
            name=cls.__name__,
        )

    async def on_connect(self, ws: WebSocket, /) -> None:
        """Accept the handshake, as the default does, or refuse it with `ws.deny()`."""
        await ws.accept()

    async def on_receive(self, ws: WebSocket, data: Any, /) -> None:
        """Handle one message, decoded according to `encoding`."""

    async def on_disconnect(self, ws: WebSocket, close_code: int, /) -> None:
        """Handle the end: called once if `on_connect` was entered, however it ended. `ws` is already closed."""


async def _serve(endpoint: WebSocketEndpoint, json: JSONCodec, ws: WebSocket) -> None:
    channel, on_disconnect = channel_of(ws), endpoint.on_disconnect
    if getattr(on_disconnect, "__func__", None) is not _NO_ON_DISCONNECT:
        channel.on_disconnect = partial(on_disconnect, ws)
    await endpoint.on_connect(ws)
    if channel.lifecycle.application is WebSocketState.CONNECTING:
        return
    decode = None if endpoint.encoding is None else _decoder(endpoint.encoding, json)
    if decode is None:
        await channel.feed(ws, endpoint.on_receive)
    else:
        await channel.feed(ws, lambda ws, data: endpoint.on_receive(ws, decode(data)))


# The arguments of each method, after the instance.
_METHOD_ARGUMENTS: Final = {"on_connect": ("ws",), "on_receive": ("ws", "data"), "on_disconnect": ("ws", "close_code")}
# The default is not called; a replacement on a class or on an instance is.
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

    The arguments are those of `WebSocketEndpoint.as_asgi`. Any callable will do whose call with a WebSocket gives
    something to await: a `functools.partial`, a lambda, a function made with `functools.wraps`, an instance with `async
    def __call__`.

    Raises:
        InvalidEndpoint: for a plain function, a generator, or one that does not take one argument.
        InvalidOrigin: for an entry of `origins` that can never match.
        InvalidHost: for an entry of `hosts` that can never match.
    """
    policy = Policy(origins, hosts, trust_forwarded)

    def decorate(handler: Handler) -> WebSocketApp:
        name = getattr(handler, "__name__", "websocket")
        _check_handler(_shown_name(handler), handler, misfit(handler, "ws") if callable(handler) else None, _AWAITED)
        return WebSocketApp(handler, policy=policy, limits=limits, json=json, name=name)

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
        """Return an ASGI callable that makes `cls(**init)` for each request.

        Args:
            limits: of which `max_body_bytes` counts here.
            json: how request bodies are read by `Request.json`.
            init: keyword arguments for `cls`.

        Raises:
            InvalidEndpoint: for an `init` that the class does not take, or an attribute that is named like an HTTP
                method and is not one, yields, or does not take a request.
        """
        _check_init(cls, init)
        names = {method: method.lower() for method in _METHODS if hasattr(cls, method.lower())}
        for name in names.values():
            method = getattr(cls, name)
            if not callable(method):
                raise InvalidEndpoint(cls.__name__, f"{name} is not a method")
            if has_plain(cls, name):
                _check_handler(cls.__name__, method, method_misfit(cls, name, "request"), _ANSWERING, f"{name}() ")
        if "GET" in names:
            names.setdefault("HEAD", "get")
        callers = {method: (name, _caller_of(getattr(cls, name))) for method, name in names.items()}
        allow = ", ".join(sorted({*callers, "OPTIONS"}))

        async def handle(request: Request) -> ASGIApp:
            if request.method in callers:
                name, call = callers[request.method]
                return await call(getattr(cls(**init), name), request)
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

    A plain function runs in a thread. The route says which methods it serves (`Route(methods=...)`).

    Raises:
        InvalidEndpoint: for a generator, or a callable that does not take one argument.
    """

    def decorate(handler: HTTPHandler) -> HTTPApp:
        name = getattr(handler, "__name__", "http")
        problem = misfit(handler, "request") if callable(handler) else None
        _check_handler(_shown_name(handler), handler, problem, _ANSWERING)
        return HTTPApp(partial(_caller_of(handler), handler), limits=limits, json=json, name=name)

    return decorate if handler is None else decorate(handler)


def _check_init(cls: type, init: Mapping[str, Any]) -> None:
    """Check that an instance can be made, before the first connection needs one."""
    try:
        signature_of(cls).bind(**init)
    except TypeError as error:
        raise InvalidEndpoint(cls.__name__, f"init does not fit: {error}") from None


def _shown_name(handler: object) -> str:
    return getattr(handler, "__name__", None) or type(handler).__name__


class _Problems(NamedTuple):
    """The problems of handlers by their kind; None where the kind is allowed."""

    not_callable: str
    a_class: str | None
    plain: str | None
    generator: str


_AWAITED: Final = _Problems(
    not_callable="expected an async def function",
    a_class="is a class: decorate a function, or subclass WebSocketEndpoint",
    plain="is a plain function: write async def",
    generator="yields: write async def without yield, and send with ws.send()",
)
_ANSWERING: Final = _Problems(
    not_callable="expected a function that returns a Response",
    a_class=None,
    plain=None,
    generator="yields: return a StreamingResponse of a generator",
)


def _check_handler(owner: str, handler: object, misfit: str | None, problems: _Problems, part: str = "") -> None:
    """Check that a handler can be called and returns a value of the expected kind.

    Args:
        owner: the name for the error.
        handler: the function or method.
        misfit: the problem with its parameters, if any.
        problems: `_AWAITED` if the call must return an awaitable, else `_ANSWERING`.
        part: the method of the owner, for the error.

    Raises:
        InvalidEndpoint: if the handler shows one of the problems.
    """
    if not callable(handler):
        raise InvalidEndpoint(owner, f"{part}is {show(handler)}: {problems.not_callable}")
    kind = kind_of(handler)
    problem = misfit
    if kind is Kind.GENERATOR:
        problem = problems.generator
    elif kind is Kind.VALUE:
        problem = problems.plain or problem
    if isinstance(handler, type) and not hasattr(handler, "__await__"):
        problem = problems.a_class or problem
    if problem is not None:
        raise InvalidEndpoint(owner, part + problem)


async def _call(handler: Callable[..., Any], request: Request) -> ASGIApp:
    response: ASGIApp = await handler(request)
    return response


async def _call_in_thread(handler: Callable[..., Any], request: Request) -> ASGIApp:
    def call() -> Any:
        try:
            return handler(request)
        except StopIteration as error:
            # A future cannot carry one, and its waiter would wait for ever.
            raise RuntimeError("a handler raised StopIteration") from error

    answer = await asyncio.to_thread(call)
    # A plain wrapper around a coroutine function does not show what it is.
    response: ASGIApp = await answer if inspect.isawaitable(answer) else answer
    return response


def _caller_of(handler: Callable[..., Any]) -> Callable[[Callable[..., Any], Request], Awaitable[ASGIApp]]:
    """Return what calls this: a plain function may block, which in the loop's thread delays every connection."""
    return _call if kind_of(handler, is_through_wrappers=False) is Kind.AWAITABLE else _call_in_thread
