"""Tasks that an application may leave running, and their end."""

import asyncio
from typing import Any

import anyio
import pytest

from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.testing import LeakedTasks, WaitTimeout, WebSocketCommunicator

from .applications import accepts, cancel_and_wait, connected, echo, fails, text, until_left
from .at_rest import AtRest
from .tasks import turns


async def leaks(scope: Scope, receive: Receive, send: Send) -> None:
    scope["task"] = asyncio.create_task(asyncio.Event().wait(), name="poller")
    await accepts(receive, send)
    await until_left(receive)


async def test_tasks_may_outlive_the_application_where_the_test_says_so() -> None:
    async with connected(leaks, timeout=60, check_leaks=False) as ws:
        pass
    await turns()
    assert not ws.scope["task"].done()
    await cancel_and_wait(ws.scope["task"])


async def test_a_task_that_ends_by_itself_soon_is_no_leak() -> None:
    done = asyncio.Event()

    async def fire_and_forget() -> None:
        await asyncio.sleep(0.02)
        done.set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await until_left(receive)
        scope["task"] = asyncio.create_task(fire_and_forget())

    async with connected(app):
        pass
    assert done.is_set()


async def test_a_task_that_another_left_behind_is_a_leak_too() -> None:
    async def parent(tasks: list[Any]) -> None:
        tasks.append(asyncio.create_task(asyncio.Event().wait(), name="child"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        tasks: list[Any] = scope.setdefault("tasks", [])
        tasks.append(asyncio.create_task(parent(tasks), name="parent"))

    assert (await fails(LeakedTasks, app)).names == ("child",)


async def test_a_task_of_the_tests_own_is_no_leak() -> None:
    async with WebSocketCommunicator(echo) as ws:
        mine = asyncio.create_task(asyncio.Event().wait())
        await ws.connect()
    assert not mine.done()
    mine.cancel()


async def test_a_communicator_within_an_application_has_its_own_tasks() -> None:
    errors: list[LeakedTasks] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        scope["task"] = asyncio.create_task(until_left(receive), name="reader")
        errors.append(await fails(LeakedTasks, leaks))
        await send(text("done"))
        await scope["task"]

    async with connected(app) as ws:
        assert await ws.receive() == "done"
        assert not ws.scope["task"].done()
    assert errors[0].names == ("poller",)
    assert not ws.scope["task"].cancelled()


async def test_an_application_that_does_not_end_is_told_and_its_tasks_are_not() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await leaks(scope, receive, send)
        await asyncio.Event().wait()

    async def use(ws: WebSocketCommunicator) -> None:
        await ws.connect()
        scope.update(ws.scope)

    scope: dict[str, Any] = {}
    error = await fails(WaitTimeout, app, use)
    assert not hasattr(error, "__notes__")
    assert scope["task"].cancelled()


# -- a test that is cancelled while it leaves


async def hangs_with_a_task(scope: Scope, receive: Receive, send: Send) -> None:
    scope["task"] = asyncio.create_task(asyncio.Event().wait(), name="poller")
    await accepts(receive, send)
    await asyncio.Event().wait()


async def leaves_and_hangs(ws: WebSocketCommunicator) -> None:
    async with ws:
        await ws.connect()


@pytest.mark.parametrize("check_leaks", [True, False], ids=["with its tasks", "but for tasks that may outlive it"])
async def test_a_scope_of_anyio_that_cancels_at_every_wait_ends_the_application(check_leaks: bool) -> None:
    ws = WebSocketCommunicator(hangs_with_a_task, timeout=60, check_leaks=check_leaks)
    with anyio.CancelScope() as scope:
        AtRest(0, scope.cancel)
        await leaves_and_hangs(ws)
    assert scope.cancelled_caught
    await turns()
    assert ws.future.cancelled()
    assert ws.scope["task"].cancelled() is check_leaks
    await cancel_and_wait(ws.scope["task"])
