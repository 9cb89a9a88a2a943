"""A hook that cannot work is refused where it is written, and one that can is taken: on_error, lifespans, encoders."""

import functools
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

import pytest

from asgi_ws import App, Encoder, Hub, InvalidEndpoint, InvalidMessage
from asgi_ws._asgi import Scope
from asgi_ws.testing import LifespanManager


async def nothing(*_: object) -> None: ...
def plainly(*_: object) -> None: ...
def generates(*_: object) -> Iterator[None]:
    yield


class NotAContext: ...


class Waits:
    async def __call__(self, error: Exception, scope: Scope) -> None: ...


async def waits(error: Exception, scope: Scope) -> None: ...


@pytest.mark.parametrize(
    "on_error", [waits, functools.partial(waits), Waits(), Waits().__call__, generates, lambda error: None, "log", 0]
)
def test_an_on_error_that_cannot_be_called_is_refused_where_it_is_written(on_error: Any) -> None:
    with pytest.raises(InvalidMessage, match=r"App\(on_error=...\): expected a plain function \(error, scope\), got "):
        App([], on_error=on_error)


def test_any_plain_callable_is_an_on_error() -> None:
    on_errors: list[Any] = [functools.partial(print, sep=""), lambda error, scope: None, plainly]
    for on_error in on_errors:
        App([], on_error=on_error)


@asynccontextmanager
async def in_starlettes_manner(app: App) -> AsyncIterator[None]:
    yield


@functools.wraps(in_starlettes_manner)
def with_its_argument() -> AbstractAsyncContextManager[None]:
    return in_starlettes_manner(App([]))


@contextmanager
def not_asynchronous() -> Iterator[None]:
    yield


class Resource:
    def __init__(self, path: str = "") -> None: ...

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        yield


class Maker:
    def __call__(self) -> Resource:
        return Resource()


async def without_decorator() -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(
    "context",
    [
        in_starlettes_manner,
        without_decorator,
        not_asynchronous,
        not_asynchronous(),
        nothing,
        NotAContext,
        dict,
        lambda needed: None,
        5,
    ],
)
def test_a_lifespan_that_could_never_be_entered_is_refused_where_it_is_written(context: Any) -> None:
    with pytest.raises(InvalidMessage, match="expected async context managers, or functions without parameters"):
        App([], lifespan=[context])


@pytest.mark.parametrize(
    "context",
    [
        Resource,
        Resource(),
        Resource().lifespan,
        functools.partial(Resource, "path"),
        functools.partial(in_starlettes_manner, App([])),
        lambda: Resource("path"),
        with_its_argument,
        Maker(),
    ],
)
async def test_whatever_is_or_makes_an_async_context_manager_is_a_lifespan(context: Any) -> None:
    async with LifespanManager(App([], lifespan=[context])):
        pass


@pytest.mark.parametrize("name", ["message", "gap", "join", "leave"])
def test_an_encoder_that_would_have_to_be_awaited_is_refused_where_the_hub_is_made(name: str) -> None:
    encoder = type("Odd", (Encoder,), {name: nothing})()
    with pytest.raises(InvalidEndpoint, match=rf"Odd: {name}\(\) would have to be awaited: write a plain def"):
        Hub(encoder=encoder)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"encoder": Encoder}, "encoder: <class 'asgi_ws.hub.encoder.Encoder'> is not an Encoder object"),
        ({"history": 50}, "history: 50 is not a History object, nor a function that returns one"),
        ({"outbox": 100}, "outbox: 100 is not an OutboxLimits object"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_where_the_hub_is_made(arguments: dict[str, Any], error: str) -> None:
    with pytest.raises(InvalidEndpoint) as raised:
        Hub(**arguments)
    assert str(raised.value) == error


def test_a_history_that_would_have_to_be_awaited_is_refused_where_the_hub_is_made() -> None:
    with pytest.raises(InvalidEndpoint, match="history: would have to be awaited: write a plain def"):
        Hub(history=nothing)  # type: ignore[arg-type] # the mistake that this is about
