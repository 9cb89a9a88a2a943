"""Exceptions of an application's tasks that nobody awaits."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asgi_ws._asgi import ASGIApp, Receive, Scope, Send
from asgi_ws.testing import TaskFailed, WebSocketCommunicator

from .applications import accepts, connected, echo, fails, until_left
from .tasks import turns

NEVER = "Task exception was never retrieved"


@pytest.fixture
async def unhandled() -> AsyncIterator[list[dict[str, Any]]]:
    """Yield the contexts that reach the loop's own exception handler, which has to be restored in the end."""

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        told.append(context)

    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(handle)
    yield told
    assert loop.get_exception_handler() is handle
    loop.set_exception_handler(None)


async def raises(number: int = 0) -> None:
    raise LookupError(f"no such room: {number}")


RAISES_AT = raises.__code__.co_firstlineno + 1


async def forget(number: int = 0) -> None:
    """Start a task that raises, and forget it."""
    task = asyncio.create_task(raises(number), name=f"ticker {number}")
    await turns()
    del task


def forgets(*numbers: int) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        for number in numbers:
            await forget(number)
        await until_left(receive)

    return app


async def test_a_task_that_raises_unseen_fails_the_test_with_its_name_and_its_line() -> None:
    error = await fails(TaskFailed, forgets(7))
    assert str(error) == (
        "task 'ticker 7' of the application raised, and nobody awaited it: LookupError('no such room: 7') "
        f"({Path(__file__).name}:{RAISES_AT})"
    )
    assert error.name == "ticker 7"
    assert isinstance(error.__cause__, LookupError)
    assert not hasattr(error, "__notes__")


async def test_the_line_is_the_applications_own_and_not_that_of_a_library() -> None:
    async def parses() -> None:
        json.loads("{")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        task = asyncio.create_task(parses(), name="parser")
        await turns()
        del task

    line = parses.__code__.co_firstlineno + 1
    assert str(await fails(TaskFailed, app)).endswith(f" ({Path(__file__).name}:{line})")


async def test_a_failure_without_a_traceback_has_no_line() -> None:
    text = "task 'ticker' of the application raised, and nobody awaited it: LookupError()"
    assert str(TaskFailed("ticker", LookupError())) == text


async def test_several_are_told_with_the_first() -> None:
    error = await fails(TaskFailed, forgets(1, 2))
    assert error.name == "ticker 1"
    (note,) = error.__notes__
    assert note.startswith("Besides, TaskFailed: task 'ticker 2' of the application raised, ")


async def test_what_the_application_itself_raises_comes_first() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await forgets(1)(scope, receive, send)
        raise ValueError("mine")

    error = await fails(ValueError, app)
    assert error.__notes__[1].startswith("Besides, TaskFailed: ")


async def test_a_task_that_somebody_awaits_is_no_failure() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        with pytest.raises(LookupError):
            await asyncio.create_task(raises())
        await until_left(receive)

    async with connected(app):
        pass


async def test_what_is_the_tests_own_goes_to_the_handler_that_was_there(unhandled: list[dict[str, Any]]) -> None:
    async with connected(echo):
        await forget()
        asyncio.get_running_loop().call_exception_handler({"message": "without a task"})
    assert [context["message"] for context in unhandled] == [NEVER, "without a task"]


async def test_without_a_handler_it_is_logged_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    async with connected(echo):
        await forget()
    assert [record.getMessage().partition("\n")[0] for record in caplog.records] == [NEVER]
    assert loop.get_exception_handler() is None


async def test_the_test_that_looks_at_the_applications_errors_itself_finds_it_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR, "asyncio"):
        async with connected(forgets(1), raise_server_exceptions=False) as ws:
            await asyncio.wait([asyncio.ensure_future(ws.receive_nothing())])
    assert NEVER in caplog.text


@pytest.mark.parametrize("first", [0, 1])
async def test_a_block_goes_on_listening_when_another_is_left(unhandled: list[dict[str, Any]], first: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await receive()
        await forget()
        await until_left(receive)

    both = WebSocketCommunicator(app), WebSocketCommunicator(app)
    for ws in both:
        await ws.__aenter__()
        await ws.connect()
    for ws in (both[first], both[1 - first]):
        await ws.send("raise")
        with pytest.raises(TaskFailed):
            await ws.__aexit__(None, None, None)
    assert unhandled == []


async def test_after_its_block_a_task_is_told_to_the_handler_that_was_there(unhandled: list[dict[str, Any]]) -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        asyncio.create_task(raises_later())  # noqa: RUF006 -- it is held by the event that it waits for
        await until_left(receive)

    async def raises_later() -> None:
        await go_on.wait()
        await raises()

    outer = WebSocketCommunicator(app, check_leaks=False)
    inner = WebSocketCommunicator(echo)
    await outer.__aenter__()
    await outer.connect()
    async with inner:
        await inner.connect()
        await outer.__aexit__(None, None, None)
        go_on.set()
        await turns()
        assert [context["message"] for context in unhandled] == [NEVER]


async def test_without_a_block_the_loop_is_left_alone(unhandled: list[dict[str, Any]]) -> None:
    communicator = WebSocketCommunicator(forgets(1))
    await communicator.send_input({"type": "websocket.connect"})
    assert (await communicator.receive_output())["type"] == "websocket.accept"
    await turns(10)
    communicator.stop()
    await asyncio.wait([communicator.future])
    assert [context["message"] for context in unhandled] == [NEVER]
