"""Start and stop: in order and in reverse, on servers with lifespan and on those without."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import pytest

from asgi_ws import App, Mount, Request, Response, Route, http_app

from .asgi import BOUND, COMPLETE, SHUTDOWN, LifespanServer, get
from .conversation import until
from .samples import Journal


@pytest.fixture
def journal() -> Journal:
    return Journal()


# -- a server with lifespan


async def test_start_is_in_order_and_stop_in_reverse_with_mounted_applications_last(journal: Journal) -> None:
    app = App(
        [Mount("/a", journal.mounted("a")), Mount("/r", routes=[Mount("/b", journal.mounted("b"))])],
        lifespan=[journal.context("one"), journal.context("two")],
    )
    server = LifespanServer(app)
    assert await server.start() == COMPLETE[0]
    assert journal.lines == ["+one", "+two", "+a", "+b"]
    assert await server.stop() == COMPLETE[1]
    assert journal.lines[4:] == ["-b", "-a", "-two", "-one"]


async def test_an_application_with_nothing_to_start_starts_and_stops() -> None:
    server = LifespanServer(App([]))
    assert (await server.start(), await server.stop()) == COMPLETE


async def test_what_is_yielded_as_a_mapping_is_in_the_servers_state(journal: Journal) -> None:
    lifespan = [journal.context("a", {"x": 1, "y": 1}), journal.context("b", {"y": 2}), journal.context("c", "text")]
    server = LifespanServer(App([], lifespan=lifespan))
    await server.start()
    assert server.scope["state"] == {"x": 1, "y": 2}
    await server.stop()


async def test_a_server_without_state_is_served_as_well(journal: Journal) -> None:
    app = App([], lifespan=[journal.context("a", {"x": 1})])
    server = LifespanServer(app)
    del server.scope["state"]
    assert (await server.start(), await server.stop()) == COMPLETE
    assert "state" not in server.scope


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

    server = LifespanServer(App([], lifespan=[Pool(), Pool]))
    await server.start()
    assert Pool.entered == 2
    await server.stop()
    assert Pool.entered == 0


async def test_a_failed_start_is_reported_with_its_reason_and_what_had_started_is_stopped(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    app = App([], lifespan=[journal.context("one"), journal.context("bad start"), journal.context("never")])
    server = LifespanServer(app)
    assert await server.start() == ("startup.failed", "ValueError: bad start")
    async with asyncio.timeout(BOUND):
        await server.task
    assert journal.lines == ["+one", "-one"]
    assert [record.getMessage() for record in caplog.records] == ["start-up failed"]


async def test_a_failed_stop_is_reported_with_its_reason_and_the_rest_is_stopped(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    server = LifespanServer(
        App([], lifespan=[journal.context("one"), journal.context("bad stop"), journal.context("two")])
    )
    await server.start()
    assert await server.stop() == ("shutdown.failed", "ValueError: bad stop")
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

    server = LifespanServer(App([], lifespan=[background]))
    assert (await server.start(), await server.stop()) == COMPLETE


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
    assert caplog.records[0].getMessage() == "what was started ended by itself"
    broken.clear()
    assert (await get(app)).text == "ok"
    assert len(starts) == 2
    server.inbox.put_nowait(SHUTDOWN)
    broken.set()
    async with asyncio.timeout(BOUND):
        await server.task


# -- without lifespan


async def test_without_lifespan_the_first_connection_starts_everything_once_under_concurrency(
    journal: Journal,
) -> None:
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
    requests = [asyncio.create_task(get(app)) for _ in range(5)]
    await until(lambda: journal.lines)
    go.set()
    assert [(await request).text for request in requests] == ["1"] * 5
    assert (await get(app)).text == "1"
    assert journal.lines == ["+slow"]


async def test_a_request_that_is_cancelled_while_it_waits_takes_the_start_from_nobody(journal: Journal) -> None:
    go = asyncio.Event()

    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        await go.wait()
        journal.lines.append("+slow")
        yield

    app = App([Route("/", Response("ok"))], lifespan=[slow])
    first, second = (asyncio.create_task(get(app)) for _ in range(2))
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
        await get(app)
    assert len(errors) == 1
    assert (await get(app)).text == "ok"
    assert journal.lines == ["+one", "-one", "+one"]


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
        assert asyncio.run(get(app)).text == "ok"
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
            old.run(get(app))
            new.run(get(app))
        new.run(get(app))
    assert len(starts) == 2


async def test_a_server_of_another_loop_stops_nothing_of_this_one(journal: Journal) -> None:
    app = App([Route("/", Response("ok"))], lifespan=[journal.context("a")])
    server = LifespanServer(app)
    await server.start()

    def elsewhere() -> None:
        asyncio.run(get(app))

    await asyncio.to_thread(elsewhere)
    assert await server.stop() == COMPLETE[1]
