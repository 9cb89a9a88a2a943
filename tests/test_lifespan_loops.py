"""Starts in odd moments: at a first connection, in several loops, after the end, and under a server that just goes."""

import asyncio
import contextlib
import gc
import logging
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from asgi_ws import (
    App,
    InvalidMessage,
    LifespanFailed,
    Mount,
    Request,
    Response,
    Route,
    WebSocket,
    WebSocketRoute,
    http_app,
    websocket_app,
)
from asgi_ws.testing import LifespanManager, WebSocketCommunicator

from .asgi import COMPLETE, Exchange, LifespanServer, fetch, http_scope
from .outcomes import refusal
from .samples import Journal

pytestmark = pytest.mark.usefixtures("each_task_start")


@http_app
async def ok(request: Request) -> Response:
    return Response("ok")


@pytest.mark.parametrize("when", ["before the start", "during the start", "after the start"])
async def test_a_server_that_cancels_instead_of_stopping_stops_everything(when: str) -> None:
    journal = Journal()
    entering = asyncio.Event()
    go_on = asyncio.Event()

    class Slow:
        async def __aenter__(self) -> None:
            entering.set()
            await go_on.wait()

        async def __aexit__(self, *_: object) -> None:
            journal.lines.append("-slow")

    app = App([], lifespan=[journal.context("one"), *([Slow()] if when == "during the start" else [])])
    server = LifespanServer(app)
    if when == "during the start":
        server.inbox.put_nowait({"type": "lifespan.startup"})
        await entering.wait()
    elif when == "after the start":
        await server.start()
    else:
        await asyncio.sleep(0)
    server.task.cancel()
    await asyncio.wait([server.task])
    assert server.task.cancelled()
    assert journal.lines == ([] if when == "before the start" else ["+one", "-one"])
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("asgi_ws")] == []


async def test_a_connection_after_the_end_starts_nothing_again() -> None:
    journal = Journal()
    app = App([Route("/", ok)], lifespan=[journal.context("one")])
    async with LifespanManager(app):
        pass
    assert (await fetch(app)).status_code == 200
    assert journal.lines == ["+one", "-one"]
    async with LifespanManager(app):
        pass
    assert journal.lines == ["+one", "-one"] * 2


async def test_what_a_connection_has_started_is_stopped_by_a_server_that_comes_later() -> None:
    journal = Journal()
    app = App([Route("/", ok)], lifespan=[journal.context("one")])
    await fetch(app)
    async with LifespanManager(app):
        pass
    assert journal.lines == ["+one", "-one"]


async def test_a_stop_that_fails_late_takes_nothing_from_the_next_start(caplog: pytest.LogCaptureFixture) -> None:
    starts: list[str] = []
    go_on = asyncio.Event()

    class SlowToFail:
        async def __aenter__(self) -> None:
            starts.append("start")

        async def __aexit__(self, *_: object) -> None:
            if not go_on.is_set():
                await go_on.wait()
                raise LookupError("late")

    app = App([Route("/", ok)], lifespan=[SlowToFail()])
    first = LifespanServer(app)
    await first.start()
    first.inbox.put_nowait({"type": "lifespan.shutdown"})
    for _ in range(10):
        await asyncio.sleep(0)
    second = LifespanServer(app)
    await second.start()
    go_on.set()
    await asyncio.wait([first.task])
    assert (await fetch(app)).status_code == 200
    assert starts == ["start"] * 2
    assert await second.stop() == COMPLETE[1]
    assert "shutdown failed" in caplog.text


def test_each_of_several_loops_starts_once() -> None:
    journal = Journal()
    app = App([Route("/", ok)], lifespan=[journal.context("one")])
    loops = [asyncio.new_event_loop() for _ in range(2)]
    try:
        for _ in range(3):
            for loop in loops:
                assert loop.run_until_complete(fetch(app)).status_code == 200
        assert journal.lines == ["+one"] * 2
    finally:
        for loop in loops:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks))
            loop.close()
    assert journal.lines == ["+one"] * 2 + ["-one"] * 2


async def test_what_a_first_connection_has_in_its_context_is_not_seen_by_the_start() -> None:
    user: ContextVar[str] = ContextVar("user", default="nobody")
    seen: list[str] = []

    class Start:
        async def __aenter__(self) -> None:
            seen.append(user.get())

        async def __aexit__(self, *_: object) -> None: ...

    user.set("the first one")
    app = App([Route("/", ok)], lifespan=[Start()])
    await fetch(app)
    assert seen == ["nobody"]


async def test_a_first_connection_is_answered_with_503_when_the_start_fails() -> None:
    class Failing:
        async def __aenter__(self) -> None:
            raise ConnectionRefusedError("no database")

        async def __aexit__(self, *_: object) -> None: ...

    @websocket_app
    async def never(ws: WebSocket) -> None:
        raise AssertionError

    app = App([Route("/", ok), WebSocketRoute("/ws", never)], lifespan=[Failing()])
    exchange = Exchange(http_scope())
    with pytest.raises(ConnectionRefusedError):
        await exchange.run(app)
    assert (exchange.status, exchange.body) == (503, b"Service Unavailable")
    async with WebSocketCommunicator(app, "/ws", raise_server_exceptions=False) as peer:
        assert await refusal(peer) == (503, b"Service Unavailable")
    assert isinstance(peer.error, ConnectionRefusedError)


async def test_a_mounted_application_whose_lifespan_is_cancelled_has_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    async def cancelled(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    app = App([Mount("/m", cancelled), Route("/", ok)])
    assert (await fetch(app)).status_code == 200
    assert caplog.records == []


def test_a_hook_that_would_have_to_be_awaited_is_refused() -> None:
    async def hook(error: Exception, scope: Any) -> None: ...

    with pytest.raises(InvalidMessage, match="expected a plain function"):
        App([], on_error=hook)  # type: ignore[arg-type] # the mistake that this is about  # pyright: ignore


async def test_the_call_ends_with_its_last_answer_so_that_a_server_may_cancel_it_then() -> None:
    server = LifespanServer(App([], lifespan=[Journal().context("one")]))
    await server.start()
    await server.ask({"type": "lifespan.shutdown"})
    assert server.task.done()
    assert server.task.exception() is None


@asynccontextmanager
async def hiding() -> AsyncIterator[None]:
    with contextlib.suppress(LookupError):
        yield


class Hidden:
    """Fails to start with what `hiding` hides."""

    async def __aenter__(self) -> None:
        raise LookupError("hidden")

    async def __aexit__(self, *_: object) -> None: ...


@asynccontextmanager
async def cancelled_from_within() -> AsyncIterator[None]:
    other = asyncio.get_running_loop().create_future()
    other.cancel()
    await other
    yield


@pytest.mark.parametrize(
    ("contexts", "reason"),
    [
        ([hiding, Hidden()], "RuntimeError: a lifespan context suppressed the failure of another one"),
        ([cancelled_from_within], "RuntimeError: the start was cancelled from within"),
    ],
)
async def test_a_start_that_fails_in_an_odd_way_is_a_failed_start(contexts: list[Any], reason: str) -> None:
    app = App([Route("/", ok)], lifespan=contexts)
    assert await LifespanServer(app).start() == ("startup.failed", reason)
    exchange = Exchange(http_scope())
    with pytest.raises(RuntimeError):
        await exchange.run(app)
    assert exchange.status == 503


async def test_a_context_that_ends_everything_after_the_start_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    ended = asyncio.Event()

    @asynccontextmanager
    async def group() -> AsyncIterator[None]:
        async def fail() -> None:
            await ended.wait()
            raise LookupError

        with contextlib.suppress(BaseExceptionGroup):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(fail())
                yield

    app = App([Route("/", ok)], lifespan=[group])
    await fetch(app)
    ended.set()
    while "a lifespan context ended before the shutdown" not in caplog.text:
        await asyncio.sleep(0)
    assert (await fetch(app)).status_code == 200


async def test_what_failed_to_stop_is_not_started_again_by_a_late_connection() -> None:
    journal = Journal()
    app = App([Route("/", ok)], lifespan=[journal.context("bad stop")])
    with pytest.raises(LifespanFailed):
        async with LifespanManager(app):
            pass
    assert (await fetch(app)).status_code == 200
    assert journal.lines == ["+bad stop", "-bad stop"]


def test_an_application_keeps_no_loop_that_has_ended() -> None:
    app = App([Route("/", ok)], lifespan=[Journal().context("one")])
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def serve(stops: bool) -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        if stops:
            async with LifespanManager(app):
                pass
        await fetch(app)

    for stops in (True, False):
        asyncio.run(serve(stops))
    gc.collect()
    assert [loop() for loop in loops] == [None, None]
