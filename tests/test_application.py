"""App: the scope types, state, and the hook for exceptions."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asgi_ws import (
    App,
    HTTPError,
    InvalidMessage,
    Request,
    Response,
    Route,
    UnsupportedScope,
    WebSocket,
    WebSocketRoute,
    http_app,
    websocket_app,
)
from asgi_ws._asgi import Scope
from asgi_ws.testing import WebSocketCommunicator

from .asgi import Exchange, fetch, get, http_scope


@http_app
async def failing(request: Request) -> Response:
    raise ValueError("mine")


@http_app
async def refusing(request: Request) -> Response:
    raise HTTPError(403)


@websocket_app
async def failing_ws(ws: WebSocket) -> None:
    await ws.accept()
    raise ValueError("mine")


@websocket_app
async def reading_ws(ws: WebSocket) -> None:
    await ws.accept()
    await ws.receive()


ROUTES = [
    Route("/", Response("ok")),
    Route("/failing", failing),
    Route("/refusing", refusing),
    WebSocketRoute("/failing", failing_ws),
    WebSocketRoute("/reading", reading_ws),
]


async def test_a_scope_of_an_unknown_type_is_an_error_that_names_it() -> None:
    rows: list[Any] = ["mqtt", "", None]
    for scope_type in rows:
        with pytest.raises(UnsupportedScope) as raised:
            await get(App(ROUTES), type=scope_type)
        assert raised.value.scope_type == scope_type
        assert raised.value.supported == ("lifespan", "http", "websocket")


async def test_on_error_is_called_once_with_the_exception_and_its_scope_and_the_exception_goes_on() -> None:
    calls: list[tuple[Exception, Scope]] = []
    app = App(ROUTES, on_error=lambda error, scope: calls.append((error, scope)))

    exchange = Exchange(http_scope("GET", "/failing"))
    with pytest.raises(ValueError, match="mine") as raised:
        await exchange.run(app)
    assert calls == [(raised.value, exchange.scope)]
    assert exchange.status == 500

    async with WebSocketCommunicator(app, "/failing", raise_server_exceptions=False) as peer:
        await peer.connect()
        assert await peer.wait_closed() == (1011, "")
    assert calls[1:] == [(peer.error, peer.scope)]
    assert isinstance(peer.error, ValueError)


async def test_on_error_does_not_hear_of_what_is_no_mistake() -> None:
    calls: list[Exception] = []
    app = App(ROUTES, on_error=lambda error, scope: calls.append(error))
    for path in ("/", "/refusing", "/unknown"):
        await fetch(app, path)
    async with WebSocketCommunicator(app, "/reading") as peer:
        await peer.connect()
    assert calls == []


async def test_an_exception_goes_on_where_there_is_no_hook() -> None:
    with pytest.raises(ValueError, match="mine"):
        await fetch(App(ROUTES), "/failing")


async def test_a_hook_that_raises_is_logged_and_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def on_error(error: Exception, scope: Scope) -> None:
        raise LookupError("the hook's own")

    with pytest.raises(ValueError, match="mine"):
        await fetch(App(ROUTES, on_error=on_error), "/failing")
    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "on_error raised")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)


@asynccontextmanager
async def settings() -> AsyncIterator[dict[str, str]]:
    yield {"database": "ours", "cache": "ours"}


@http_app
async def show_state(request: Request) -> Response:
    return Response(f"{request.state.database} {request.state.cache}")


async def test_what_was_started_is_in_the_state_where_the_server_offers_one_and_where_not() -> None:
    app = App([Route("/", show_state)], lifespan=[settings])
    scope = http_scope()
    assert (await Exchange(scope).run(app)).text == "ours ours"
    del scope["state"]
    assert (await Exchange(scope).run(app)).text == "ours ours"


async def test_what_an_application_above_put_into_the_state_stays() -> None:
    app = App([Route("/", show_state)], lifespan=[settings])
    assert (await get(app, state={"database": "theirs"})).text == "theirs ours"


async def test_without_anything_to_start_the_scope_stays_as_it_is() -> None:
    scope = http_scope()
    del scope["state"]
    await Exchange(scope).run(App(ROUTES))
    assert "state" not in scope


def test_a_lifespan_that_is_no_list_is_refused_where_it_is_written() -> None:
    rows: list[Any] = [settings, settings(), None, iter([settings])]
    for lifespan in rows:
        with pytest.raises(InvalidMessage, match="a list of async context managers"):
            App([], lifespan=lifespan)


@asynccontextmanager
async def in_starlettes_manner(app: App) -> AsyncIterator[None]:
    yield


def test_a_lifespan_that_could_never_be_entered_is_refused_where_it_is_written() -> None:
    rows: list[Any] = [in_starlettes_manner, lambda needed: None, 5]
    for context in rows:
        with pytest.raises(InvalidMessage, match="expected async context managers, or functions without parameters"):
            App([], lifespan=[context])
