"""A handler or a hook that cannot work is refused where it is written, and one that can is taken."""

import functools
import sys
import types
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

import pytest

from asgi_ws import (
    HTTPEndpoint,
    InvalidEndpoint,
    Request,
    Response,
    WebSocket,
    WebSocketEndpoint,
    http_app,
    websocket_app,
)
from asgi_ws.testing import WebSocketCommunicator

from .asgi import fetch

# -- functions for one WebSocket, or one request: both are called with one argument


async def answers(ws: Any) -> Any:
    """Serve a request or a WebSocket."""
    if isinstance(ws, Request):
        return Response("served")
    await ws.accept()
    await ws.send("served")
    return await ws.close()


async def with_room(room: str, ws: Any) -> Any:
    assert room == "lobby"
    return await answers(ws)


@functools.wraps(with_room)
async def wrapped_with_its_argument(ws: Any) -> Any:
    return await with_room("lobby", ws)


@functools.wraps(answers)
def plainly_wrapped(*args: Any, **kwargs: Any) -> Any:
    return answers(*args, **kwargs)


class Handler:
    async def __call__(self, ws: Any) -> Any:
        return await answers(ws)

    async def method(self, ws: Any) -> Any:
        return await answers(ws)

    @staticmethod
    async def static(ws: Any) -> Any:
        return await answers(ws)

    @classmethod
    async def of_the_class(cls, ws: Any) -> Any:
        return await answers(ws)


class Wrapper:
    """A decorator that is a class."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)


class AwaitedHandler:
    def __init__(self, ws: Any) -> None:
        self._ws = ws

    def __await__(self) -> Any:
        return answers(self._ws).__await__()


class NoSignature:
    """As functions of extension modules may be."""

    __signature__ = "unknown"

    async def __call__(self, ws: Any) -> Any:
        return await answers(ws)


_ASYNCHRONOUS = [
    pytest.param(answers, id="function"),
    pytest.param(functools.partial(with_room, "lobby"), id="partial"),
    pytest.param(wrapped_with_its_argument, id="wraps with an argument of its own"),
    pytest.param(plainly_wrapped, id="plain function made with wraps"),
    pytest.param(Handler(), id="instance"),
    pytest.param(functools.partial(Handler()), id="partial of an instance"),
    pytest.param(Handler().method, id="method"),
    pytest.param(Handler.static, id="static method"),
    pytest.param(staticmethod(answers), id="staticmethod object"),
    pytest.param(Handler.of_the_class, id="class method"),
    pytest.param(Wrapper(answers), id="instance made with update_wrapper"),
    pytest.param(lambda ws: answers(ws), id="lambda"),  # noqa: PLW0108 -- a lambda is the point
]


@pytest.mark.parametrize(
    "handler",
    [
        *_ASYNCHRONOUS,
        pytest.param(AwaitedHandler, id="class of awaitables"),
        pytest.param(NoSignature(), id="no signature"),
    ],
)
async def test_whatever_gives_something_to_await_serves_websockets(handler: Any) -> None:
    async with WebSocketCommunicator(websocket_app(handler)) as client:
        await client.connect()
        assert await client.receive() == "served"


def plain(request: Any) -> Response:
    return Response("served")


class PlainHandler:
    def __call__(self, request: Any) -> Response:
        return Response("served")


@pytest.mark.parametrize(
    "handler",
    [
        *_ASYNCHRONOUS,
        pytest.param(plain, id="plain function"),
        pytest.param(PlainHandler(), id="plain instance"),
        pytest.param(functools.partial(plain), id="partial of a plain function"),
    ],
)
async def test_whatever_returns_or_gives_a_response_serves_requests(handler: Any) -> None:
    assert (await fetch(http_app(handler))).text == "served"


async def several(ws: Any, more: Any) -> None: ...
async def nothing() -> None: ...
async def yields(ws: Any) -> AsyncIterator[None]:
    yield


def generates(ws: Any) -> Iterator[None]:
    yield


@functools.wraps(plain)
def plain_around_plain(*args: Any) -> Any:
    return plain(*args)


_PLAIN = "is a plain function: write async def"


def test_what_cannot_serve_a_websocket_is_refused_where_it_is_decorated() -> None:
    rows: list[tuple[Any, str]] = [
        (plain, f"plain: {_PLAIN}"),
        (plain_around_plain, f"plain: {_PLAIN}"),
        (functools.partial(plain), f"partial: {_PLAIN}"),
        (PlainHandler(), f"PlainHandler: {_PLAIN}"),
        (Wrapper(plain), f"plain: {_PLAIN}"),
        (yields, "yields: yields: write async def without yield"),
        (generates, "generates: yields: write async def without yield"),
        (types.coroutine(generates), "generates: yields: write async def without yield"),
        (PlainHandler, "PlainHandler: is a class: decorate a function, or subclass WebSocketEndpoint"),
        (several, "several: is called with (ws): missing a required argument: 'more'"),
        (nothing, "nothing: is called with (ws): too many positional arguments"),
        (Handler.method, "method: is called with (ws): missing a required argument: 'ws'"),
        (websocket_app(answers), "answers: is called with (ws): missing a required argument: 'receive'"),
        (classmethod(answers), "is <classmethod("),
        (7, "int: is 7: expected an async def function"),
    ]
    for handler, text in rows:
        for decorate in (websocket_app, websocket_app()):
            with pytest.raises(InvalidEndpoint) as refused:
                decorate(handler)
            assert text in str(refused.value)


def test_what_cannot_serve_a_request_is_refused_where_it_is_decorated() -> None:
    rows: list[tuple[Any, str]] = [
        (yields, "yields: yields: return a StreamingResponse"),
        (generates, "generates: yields: return a StreamingResponse"),
        (several, "several: is called with (request): missing a required argument: 'more'"),
        (http_app(answers), "answers: is called with (request): missing a required argument: 'receive'"),
        (7, "int: is 7: expected a function that returns a Response"),
    ]
    for handler, text in rows:
        for decorate in (http_app, http_app()):
            with pytest.raises(InvalidEndpoint) as refused:
                decorate(handler)
            assert text in str(refused.value)


# -- methods


def test_a_method_that_cannot_be_called_is_refused_where_the_endpoint_is_made() -> None:
    others: list[tuple[Callable[[], Any], str]] = [
        (lambda: lambda self: None, "() is called with (self, "),
        (lambda: plain, "() is a plain function: write async def"),
        (lambda: staticmethod(plain), "() is a plain function: write async def"),
        (lambda: yields, "() yields: write async def without yield"),
        (lambda: staticmethod(nothing), "() is called with (ws"),
        (lambda: classmethod(cast("Any", nothing)), "() invalid method signature"),
        (lambda: PlainHandler, "() is a class"),
        (lambda: None, "() is None: expected an async def function"),
    ]
    for name in ["on_connect", "on_receive", "on_disconnect"]:
        for method, text in others:
            odd: Any = type("Odd", (WebSocketEndpoint,), {name: method()})
            with pytest.raises(InvalidEndpoint) as refused:
                odd.as_asgi()
            assert str(refused.value).startswith(f"Odd: {name}{text}")


class Greeter:
    """A callable as an attribute, which is called without the instance."""

    async def __call__(self, ws: WebSocket) -> None:
        await ws.accept()
        await ws.send("served")
        await ws.close()


async def greet_by(self: Any, greeting: str, ws: WebSocket) -> None:
    await ws.accept()
    await ws.send(greeting)
    await ws.close()


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(staticmethod(answers), id="static method"),
        pytest.param(classmethod(lambda cls, ws: answers(ws)), id="class method"),
        pytest.param(lambda self, ws: answers(ws), id="lambda"),
        pytest.param(Greeter(), id="instance"),
        pytest.param(functools.partialmethod(greet_by, "served"), id="partialmethod"),
    ],
)
async def test_any_kind_of_method_that_gives_something_to_await_serves_websockets(method: Any) -> None:
    endpoint: Any = type("Endpoint", (WebSocketEndpoint,), {"on_connect": method})
    async with WebSocketCommunicator(endpoint.as_asgi()) as client:
        await client.connect()
        assert await client.receive() == "served"


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(staticmethod(plain), id="static method"),
        pytest.param(staticmethod(answers), id="static async method"),
        pytest.param(classmethod(lambda cls, request: plain(request)), id="class method"),
        pytest.param(functools.partialmethod(lambda self, body, request: Response(body), "served"), id="partialmethod"),
        pytest.param(PlainHandler(), id="instance"),
    ],
)
async def test_any_kind_of_method_that_returns_a_response_serves_requests(method: Any) -> None:
    endpoint: Any = type("Endpoint", (HTTPEndpoint,), {"get": method})
    assert (await fetch(endpoint.as_asgi())).text == "served"


def test_an_http_method_that_cannot_be_called_is_refused_where_the_endpoint_is_made() -> None:
    rows: list[tuple[Any, str]] = [
        (nothing, "get() is called with (self, request)"),
        (staticmethod(several), "get() is called with (request)"),
        (lambda self: None, "get() is called with (self, request)"),
        (yields, "get() yields: return a StreamingResponse"),
    ]
    for method, text in rows:
        odd: Any = type("Odd", (HTTPEndpoint,), {"get": method})
        with pytest.raises(InvalidEndpoint) as refused:
            odd.as_asgi()
        assert str(refused.value).startswith(f"Odd: {text}")


# Python 3.14 evaluates annotations when they are asked for; before, this import leaves them unevaluated.
LAZY = "" if sys.version_info >= (3, 14) else "from __future__ import annotations\n"
ANNOTATED_FOR_TYPE_CHECKERS = """
@websocket_app
async def plain(ws: Missing) -> Missing: ...

@http_app
async def page(request: Missing) -> Missing: ...

class Chat(WebSocketEndpoint):
    def __init__(self, greeting: Missing) -> None: ...
    async def on_receive(self, ws: Missing, data: Missing) -> Missing: ...

class Page(HTTPEndpoint):
    async def get(self, request: Missing) -> Missing: ...

async def asgi(scope: Missing, receive: Missing, send: Missing) -> Missing: ...

def on_error(error: Missing, scope: Missing) -> Missing: ...

@asynccontextmanager
async def database() -> Missing:
    yield

routes = [WebSocketRoute("/a", plain), Route("/", page), Mount("/b", asgi)]
App([*routes, WebSocketRoute("/d", Chat.as_asgi(init={"greeting": "hi"}))], on_error=on_error, lifespan=[database])
"""


def test_annotations_that_only_a_type_checker_can_evaluate_are_left_alone() -> None:
    source = f"{LAZY}from contextlib import asynccontextmanager\nfrom asgi_ws import *\n{ANNOTATED_FOR_TYPE_CHECKERS}"
    exec(source, {"__name__": "handlers"})
