"""Start and stop: in order and in reverse, on servers with lifespan and on those without."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import pytest

from asgi_ws import App, LifespanFailed, Mount, Request, Response, Route, http_app
from asgi_ws.testing import LifespanManager

from .asgi import SHUTDOWN, LifespanServer, fetch
from .hanging import HANGING
from .outcomes import until
from .samples import Journal

pytestmark = pytest.mark.usefixtures("each_task_start")


@pytest.fixture
def journal() -> Journal:
    return Journal()


# -- a server with lifespan


async def test_start_is_in_order_and_stop_in_reverse_with_mounted_applications_last(journal: Journal) -> None:
    app = App(
        [Mount("/a", journal.mounted("a")), Mount("/r", routes=[Mount("/b", journal.mounted("b"))])],
        lifespan=[journal.context("one"), journal.context("two")],
    )
    async with LifespanManager(app):
        assert journal.lines == ["+one", "+two", "+a", "+b"]
    assert journal.lines[4:] == ["-b", "-a", "-two", "-one"]


async def test_an_application_with_nothing_to_start_starts_and_stops() -> None:
    async with LifespanManager(App([])):
        pass


async def test_what_is_yielded_as_a_mapping_is_in_the_servers_state(journal: Journal) -> None:
    lifespan = [journal.context("a", {"x": 1, "y": 1}), journal.context("b", {"y": 2}), journal.context("c", "text")]
    async with LifespanManager(App([], lifespan=lifespan)) as manager:
        assert manager.state == {"x": 1, "y": 2}


async def test_a_server_without_state_is_served_as_well(journal: Journal) -> None:
    app = App([], lifespan=[journal.context("a", {"x": 1})])
    manager = LifespanManager(app)
    del manager.scope["state"]
    async with manager:
        assert "state" not in manager.scope


async def test_a_context_manager_itself_fits_as_well_as_what_makes_one() -> None:
    class Pool:
        entered = 0

        async def __aenter__(self) -> Self:
            type(self).entered += 1
            return self

        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
        ) -> None:
            type(self).entered -= 1

    async with LifespanManager(App([], lifespan=[Pool(), Pool])):
        assert Pool.entered == 2
    assert Pool.entered == 0


async def test_a_failed_start_is_reported_with_its_reason_and_what_had_started_is_stopped(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    app = App([], lifespan=[journal.context("one"), journal.context("bad start"), journal.context("never")])
    with pytest.raises(LifespanFailed) as raised:
        async with LifespanManager(app):
            raise AssertionError
    assert (raised.value.phase, raised.value.reason) == ("startup", "ValueError: bad start")
    assert journal.lines == ["+one", "-one"]
    assert [record.getMessage() for record in caplog.records] == ["startup failed"]


async def test_a_failed_stop_is_reported_with_its_reason_and_the_rest_is_stopped(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    lifespan = [journal.context("one"), journal.context("bad stop"), journal.context("two")]
    with pytest.raises(LifespanFailed) as raised:
        async with LifespanManager(App([], lifespan=lifespan)):
            pass
    assert (raised.value.phase, raised.value.reason) == ("shutdown", "ValueError: bad stop")
    assert journal.lines == ["+one", "+bad stop", "+two", "-two", "-bad stop", "-one"]
    assert [record.getMessage() for record in caplog.records] == ["shutdown failed"]


async def test_start_and_stop_run_in_one_task_as_a_task_group_needs_it() -> None:
    done = asyncio.Event()

    @asynccontextmanager
    async def background() -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(done.wait())
            yield
            task.cancel()

    async with LifespanManager(App([], lifespan=[background])):
        pass


async def test_what_ends_by_itself_is_logged_and_started_again_at_the_next_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = asyncio.Event()
    starts: list[None] = []

    async def worker() -> None:
        await broken.wait()
        raise ValueError("worker")

    @asynccontextmanager
    async def background() -> AsyncIterator[None]:
        starts.append(None)
        async with asyncio.TaskGroup() as group:
            group.create_task(worker())
            yield

    app = App([Route("/", Response("ok"))], lifespan=[background])
    server = LifespanServer(app)
    await server.start()
    broken.set()
    await until(lambda: caplog.records)
    assert caplog.records[0].getMessage() == "a lifespan context ended before the shutdown"
    broken.clear()
    assert (await fetch(app)).text == "ok"
    assert len(starts) == 2
    server.inbox.put_nowait(SHUTDOWN)
    broken.set()
    async with asyncio.timeout(HANGING):
        await server.task


# -- without lifespan


async def test_without_lifespan_the_first_connection_starts_everything_once_under_concurrency(journal: Journal) -> None:
    go = asyncio.Event()

    @asynccontextmanager
    async def slow() -> AsyncIterator[dict[str, int]]:
        journal.lines.append("+slow")
        await go.wait()
        yield {"x": 1}

    @http_app
    async def show(request: Request) -> Response:
        return Response(str(request.state.x))

    app = App([Route("/", show)], lifespan=[slow])
    requests = [asyncio.create_task(fetch(app)) for _ in range(5)]
    await until(lambda: journal.lines)
    go.set()
    assert [(await request).text for request in requests] == ["1"] * 5
    assert (await fetch(app)).text == "1"
    assert journal.lines == ["+slow"]


async def test_a_request_that_is_cancelled_while_it_waits_takes_the_start_from_nobody(journal: Journal) -> None:
    go = asyncio.Event()

    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        await go.wait()
        journal.lines.append("+slow")
        yield

    app = App([Route("/", Response("ok"))], lifespan=[slow])
    first, second = (asyncio.create_task(fetch(app)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    go.set()
    assert (await second).text == "ok"
    assert first.cancelled()
    assert journal.lines == ["+slow"]


async def test_a_failed_start_fails_its_request_and_is_tried_again_at_the_next(journal: Journal) -> None:
    attempts: list[None] = []

    @asynccontextmanager
    async def second_time() -> AsyncIterator[None]:
        attempts.append(None)
        if len(attempts) == 1:
            raise ConnectionRefusedError("database")
        yield

    errors: list[Exception] = []
    app = App(
        [Route("/", Response("ok"))],
        lifespan=[journal.context("one"), second_time],
        on_error=lambda error, scope: errors.append(error),
    )
    with pytest.raises(ConnectionRefusedError, match="database"):
        await fetch(app)
    assert len(errors) == 1
    assert (await fetch(app)).text == "ok"
    assert journal.lines == ["+one", "-one", "+one"]


async def test_a_start_that_fails_when_nobody_waits_for_it_any_more_is_reported_to_no_loop(
    reports: list[dict[str, Any]],
) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    class Failing:
        async def __aenter__(self) -> None:
            entered.set()
            await go_on.wait()
            raise ConnectionRefusedError("database")

        async def __aexit__(self, *_: object) -> None: ...

    app = App([Route("/", Response("ok"))], lifespan=[Failing()])
    request = asyncio.create_task(fetch(app))
    await entered.wait()
    request.cancel()
    await asyncio.wait([request])
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    go_on.set()
    await asyncio.wait(tasks)
    del request, tasks
    gc.collect()
    assert reports == []


def test_two_loops_one_after_the_other_each_start_and_stop_everything() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def context() -> AsyncIterator[None]:
        events.append("start")
        try:
            yield
        finally:
            events.append("stop")

    app = App([Route("/", Response("ok"))], lifespan=[context])
    for _ in range(2):
        assert asyncio.run(fetch(app)).text == "ok"
    assert events == ["start", "stop"] * 2


def test_an_old_loop_that_ends_late_leaves_the_new_one_alone() -> None:
    starts: list[None] = []

    @asynccontextmanager
    async def context() -> AsyncIterator[None]:
        starts.append(None)
        yield

    app = App([Route("/", Response("ok"))], lifespan=[context])
    with asyncio.Runner() as new:
        with asyncio.Runner() as old:
            old.run(fetch(app))
            new.run(fetch(app))
        new.run(fetch(app))
    assert len(starts) == 2


async def test_a_server_of_another_loop_stops_nothing_of_this_one(journal: Journal) -> None:
    app = App([Route("/", Response("ok"))], lifespan=[journal.context("a")])

    def elsewhere() -> None:
        asyncio.run(fetch(app))

    async with LifespanManager(app):
        await asyncio.to_thread(elsewhere)
        assert journal.lines == ["+a", "+a", "-a"]
    assert journal.lines == ["+a", "+a", "-a", "-a"]
