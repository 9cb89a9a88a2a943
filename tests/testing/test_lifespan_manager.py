"""The start and the stop of an application, and the errors for one that does them wrongly."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette

from asgi_ws import App, LifespanFailed
from asgi_ws._asgi import ASGIApp, Receive, Scope, Send
from asgi_ws.testing import LeakedTasks, LifespanManager, ProtocolViolation, Unanswered, WaitTimeout

Step = Callable[[Scope, Receive, Send], Awaitable[None]]


async def starts(scope: Scope, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "lifespan.startup"
    await send({"type": "lifespan.startup.complete"})


async def stops(scope: Scope, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "lifespan.shutdown"
    await send({"type": "lifespan.shutdown.complete"})


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    raise KeyError("no database")


async def hangs(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.Event().wait()


def sends(*events: Any) -> Step:
    async def step(scope: Scope, receive: Receive, send: Send) -> None:
        for event in events:
            await send(event)

    return step


def application(*steps: Step) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"
        for step in steps:
            await step(scope, receive, send)

    return app


async def enter(*steps: Step, timeout: float = 1.0) -> None:
    async with LifespanManager(application(*steps), timeout=timeout):
        pass


# -- applications that are right


async def test_our_own_application_starts_and_stops() -> None:
    events = []

    @asynccontextmanager
    async def resource() -> AsyncIterator[dict[str, int]]:
        events.append("open")
        yield {"answer": 42}
        events.append("closed")

    async with LifespanManager(App([], lifespan=[resource])) as manager:
        events.append(str(manager.state))
    assert events == ["open", "{'answer': 42}", "closed"]


async def test_one_task_enters_and_leaves() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    seen = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        token = variable.set("in the application")
        # Fails unless the task that leaves it is the one that entered it.
        async with anyio.create_task_group():
            yield
        seen.append(variable.get())
        variable.reset(token)

    variable.set("in the test")
    async with LifespanManager(Starlette(lifespan=lifespan)):
        assert variable.get() == "in the test"
    assert seen == ["in the application"]


async def test_a_test_that_fails_stops_the_application_all_the_same() -> None:
    stopped = []

    async def notes(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        stopped.append(True)
        await send({"type": "lifespan.shutdown.complete"})

    with pytest.raises(ZeroDivisionError):
        async with LifespanManager(application(starts, notes)):
            raise ZeroDivisionError
    assert stopped == [True]


async def test_a_failure_of_the_stop_is_a_note_on_the_failure_of_the_test() -> None:
    with pytest.raises(ZeroDivisionError) as failed:
        async with LifespanManager(application(starts, raises)):
            raise ZeroDivisionError
    assert "KeyError: 'no database'" in failed.value.__notes__[0]


async def test_a_stop_that_hangs_is_a_note_on_the_failure_of_the_test() -> None:
    with pytest.raises(ZeroDivisionError) as failed:
        async with LifespanManager(application(starts, hangs), timeout=0.1):
            raise ZeroDivisionError
    assert "lifespan.shutdown.complete" in failed.value.__notes__[0]


async def test_a_manager_is_for_one_start() -> None:
    manager = LifespanManager(application(starts, stops))
    async with manager:
        with pytest.raises(RuntimeError, match="starts and stops once"):
            await manager.__aenter__()


# -- applications that fail


@pytest.mark.parametrize("steps", [(raises,), (starts, raises)])
async def test_what_the_application_raises_is_raised(steps: tuple[Step, ...]) -> None:
    with pytest.raises(KeyError, match="no database"):
        await enter(*steps)


async def test_what_is_raised_in_the_block_waits_for_its_end() -> None:
    async with LifespanManager(application(starts, raises)) as manager:
        with pytest.raises(KeyError):
            await manager.wait()
    with pytest.raises(KeyError):
        async with LifespanManager(application(starts, raises)) as manager:
            await asyncio.wait([manager.future])


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
async def test_a_phase_that_failed_is_named_with_its_reason(phase: str) -> None:
    before = [starts] if phase == "shutdown" else []
    failed = sends({"type": f"lifespan.{phase}.failed", "message": "no database"})
    with pytest.raises(LifespanFailed, match="no database") as raised:
        await enter(*before, stops_receiving, failed)
    assert raised.value.phase == phase


async def stops_receiving(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


@pytest.mark.parametrize("pause", [0, 0.01], ids=["at once", "a little later"])
@pytest.mark.parametrize("phase", ["startup", "shutdown"])
async def test_the_exception_behind_a_failed_phase_is_raised_in_its_place(phase: str, pause: float) -> None:
    async def raises_why(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": f"lifespan.{phase}.failed", "message": "no database"})
        await asyncio.sleep(pause)
        raise KeyError("no database")

    with pytest.raises(KeyError, match="no database"):
        await enter(*[starts] * (phase == "shutdown"), raises_why)


async def test_tasks_that_outlive_the_lifespan_are_named() -> None:
    kept = []

    async def leaks(scope: Scope, receive: Receive, send: Send) -> None:
        kept.append(asyncio.create_task(asyncio.Event().wait(), name="pump"))

    with pytest.raises(LeakedTasks, match="pump"):
        await enter(leaks, starts, stops, timeout=0.1)
    async with LifespanManager(application(leaks, starts, stops), timeout=0.1, check_leaks=False):
        pass
    assert [task.cancelled() for task in kept] == [True, False]
    kept[-1].cancel()


# -- applications that do not answer


@pytest.mark.parametrize(
    ("steps", "text", "clause"),
    [
        ((), "the application returned, without lifespan.startup.complete", "Startup Complete"),
        ((starts,), "returned before it was asked to stop, without lifespan.shutdown.complete", "Shutdown Complete"),
        ((starts, stops_receiving), "the application returned, without lifespan.shutdown.complete", "Shutdown"),
    ],
)
async def test_an_application_that_returns_without_an_answer_is_told_which(
    steps: tuple[Step, ...], text: str, clause: str
) -> None:
    with pytest.raises(Unanswered, match=text) as raised:
        # When the block is left, the application has ended or is at its wait.
        async with LifespanManager(application(*steps)) as manager:
            await asyncio.wait([manager.future], timeout=0.01)
    assert clause in raised.value.clause


@pytest.mark.parametrize(
    ("steps", "awaited"),
    [
        ((hangs,), "lifespan.startup.complete"),
        ((starts, hangs), "lifespan.shutdown.complete"),
        ((starts, stops, hangs), "the application to end after its shutdown"),
    ],
)
async def test_an_application_that_hangs_is_told_where(steps: tuple[Step, ...], awaited: str) -> None:
    with pytest.raises(WaitTimeout, match=awaited) as raised:
        await enter(*steps, timeout=0.1)
    assert "asyncio.Event().wait()" in str(raised.value)


# -- events that the text forbids


@pytest.mark.parametrize(
    ("before", "event", "why", "clause"),
    [
        ([], {"type": "lifespan.startup.done"}, "no event of a lifespan", "Startup Complete"),
        ([starts, stops_receiving], {"type": "lifespan.stopped"}, "no event of a lifespan", "Shutdown Complete"),
        ([], None, "event: expected a dict, got NoneType", "Events"),
        ([], {"type": "lifespan.shutdown.complete"}, "before lifespan.shutdown was received", "Shutdown Complete"),
        ([starts], {"type": "lifespan.startup.complete"}, "has answered lifespan.startup already", "Startup Complete"),
        ([starts, stops_receiving], {"type": "lifespan.startup.complete"}, "the start-up is over", "Startup Complete"),
        (
            [starts, stops],
            {"type": "lifespan.shutdown.failed"},
            "has answered lifespan.shutdown already",
            "Shutdown Failed",
        ),
        (
            [],
            {"type": "lifespan.startup.failed", "message": b"x"},
            "message: expected str, got bytes",
            "Startup Failed",
        ),
    ],
)
async def test_an_event_that_the_text_forbids_is_shown_with_its_clause(
    before: list[Step], event: Any, why: str, clause: str
) -> None:
    with pytest.raises(ProtocolViolation, match=why) as raised:
        await enter(*before, sends(event), stops_receiving)
    assert clause in raised.value.clause
    assert raised.value.event is event


async def test_an_application_that_hides_its_mistake_and_hangs_is_told_the_mistake() -> None:
    async def hides(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(ProtocolViolation):
            await send({"type": "lifespan.startup.done"})
        await asyncio.Event().wait()

    with pytest.raises(ProtocolViolation):
        await enter(hides)
