"""Start and stop of mounted applications, and of those that have neither."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from asgi_ws import App, LifespanFailed, Mount, Response, Route
from asgi_ws._asgi import ASGIApp, Receive, Scope, Send
from asgi_ws.testing import LifespanManager

from .asgi import LifespanServer, fetch
from .hanging import HANGING
from .samples import Journal

pytestmark = pytest.mark.usefixtures("each_task_start")


@pytest.fixture
def journal() -> Journal:
    return Journal()


# -- mounted applications


def mounting(*apps: ASGIApp, lifespan: Sequence[Any] = ()) -> App:
    return App([Mount(f"/{number}", app) for number, app in enumerate(apps)], lifespan=lifespan)


async def returns(scope: Scope, receive: Receive, send: Send) -> None: ...


async def like_django(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise ValueError("Django can only handle ASGI/HTTP connections")


async def takes_no_answer(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


def scripted(*script: str, state: dict[str, Any] | None = None) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return an application that receives one lifespan event for each line of the script, and runs the line."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for line in script:
            await receive()
            scope["state"].update(state or {})
            what, _, message = line.partition(": ")
            if what == "raise":
                raise ValueError(message)
            await send({"type": f"lifespan.{what}", **({"message": message} if message else {})})

    return app


@pytest.mark.parametrize("app", [returns, like_django, takes_no_answer, Response("x")])
async def test_a_mounted_application_without_lifespan_is_left_alone(
    app: ASGIApp, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "asgi_ws")
    async with LifespanManager(mounting(app, journal.mounted("other"))):
        pass
    assert journal.lines == ["+other", "-other"]
    assert caplog.records == []


async def test_a_mounted_application_that_names_no_lifespan_is_not_asked() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("asked")

    app = App([Mount("/", never, scope_types=("http", "websocket"))])
    async with LifespanManager(app):
        pass


async def test_an_application_mounted_twice_starts_once(journal: Journal) -> None:
    inner = journal.mounted("inner")
    app = App([Mount("/a", inner), Mount("/b", inner), Mount("/r", routes=[Mount("/c", inner)])])
    async with LifespanManager(app):
        pass
    assert journal.lines == ["+inner", "-inner"]


async def test_the_state_of_a_mounted_application_is_everyones(journal: Journal) -> None:
    inner = scripted("startup.complete", "shutdown.complete", state={"inner": 1})
    async with LifespanManager(mounting(inner, lifespan=[journal.context("own", {"own": 2})])) as manager:
        assert manager.state == {"own": 2, "inner": 1}


@pytest.mark.parametrize(
    ("line", "reason"), [("startup.failed: no database", "no database"), ("startup.failed", "no reason given")]
)
async def test_a_mounted_application_that_cannot_start_fails_the_start_and_the_others_are_stopped(
    line: str, reason: str, journal: Journal
) -> None:
    app = mounting(journal.mounted("first"), scripted(line), lifespan=[journal.context("own")])
    server = LifespanServer(app)
    message = f"LifespanFailed: startup of an application failed: {reason}"
    assert await server.start() == ("startup.failed", message)
    assert journal.lines == ["+own", "+first", "-first", "-own"]


async def test_a_mounted_application_that_cannot_stop_fails_the_stop_and_the_others_are_stopped(
    journal: Journal,
) -> None:
    app = mounting(journal.mounted("first"), scripted("startup.complete", "shutdown.failed: stuck"))
    server = LifespanServer(app)
    await server.start()
    assert await server.stop() == ("shutdown.failed", "LifespanFailed: shutdown of an application failed: stuck")
    assert journal.lines == ["+first", "-first"]


@pytest.mark.parametrize("script", [["startup.complete", "raise: late"], ["startup.complete"]])
async def test_a_mounted_application_that_ends_without_an_answer_stops_nobody(
    script: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with LifespanManager(mounting(scripted(*script))):
        pass
    logged = [record.getMessage() for record in caplog.records]
    assert logged == (["lifespan of a mounted application raised"] if "raise: late" in script else [])


async def test_a_mounted_application_that_raises_between_start_and_stop_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def dies(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise ValueError("died")

    async with LifespanManager(mounting(dies)):
        pass
    assert [record.getMessage() for record in caplog.records] == ["lifespan of a mounted application raised"]


async def test_mounted_applications_start_at_the_first_connection_where_there_is_no_lifespan(journal: Journal) -> None:
    app = App([Route("/", Response("ok")), Mount("/a", journal.mounted("a"))])
    assert (await fetch(app)).text == "ok"
    assert journal.lines == ["+a"]


async def test_a_mounted_application_that_cannot_start_fails_the_first_request() -> None:
    with pytest.raises(LifespanFailed, match="no database") as raised:
        await fetch(mounting(scripted("startup.failed: no database")), "/0/")
    assert (raised.value.phase, raised.value.reason) == ("startup", "no database")


async def test_a_server_that_cancels_instead_of_stopping_leaves_no_task_behind(journal: Journal) -> None:
    inner = scripted("startup.complete", "shutdown.complete")
    before = asyncio.all_tasks()
    server = LifespanServer(mounting(inner, lifespan=[journal.context("own")]))
    await server.start()
    server.task.cancel()
    async with asyncio.timeout(HANGING):
        await asyncio.wait([server.task])
    assert asyncio.all_tasks() == before
