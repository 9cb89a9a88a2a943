"""Failures of an application: which of them fail the test when its block is left."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from asgi_ws._asgi import ASGIApp, Receive, Scope, Send
from asgi_ws.testing import ApplicationCancelled, ProtocolViolation, WebSocketCommunicator

from .applications import (
    ACCEPT,
    TIMEOUT_OF_LEAKS,
    accepts,
    cancel_this_task,
    connected,
    echo,
    fails,
    sends,
    text,
    until_left,
)


class UnhashableError(Exception):
    """An error that compares by value, as those of some ORMs do."""

    __hash__ = None  # type: ignore[assignment] # this is what makes it unhashable

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)


class FalseError(Exception):
    """An error that is false, as an exception with a length of 0 is."""

    def __len__(self) -> int:
        return 0


def raises(error: BaseException) -> Any:
    """Return an application that accepts, and raises this error when the peer has left."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await until_left(receive)
        raise error

    return app


@pytest.mark.parametrize(
    "error",
    [
        LookupError("no such room"),
        UnhashableError(),
        FalseError(),
        ExceptionGroup("both", [ValueError("1"), LookupError("2")]),
        BaseExceptionGroup("one", [asyncio.CancelledError()]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_the_application_raises_in_the_end_fails_the_test(error: BaseException) -> None:
    assert await fails(type(error), raises(error)) is error
    assert error.__notes__ == ["The application raised this, and nothing in the test was waiting for it."]


@dataclass(frozen=True)
class FrozenError(Exception):
    """An error without notes, since its attributes cannot be set."""

    room: str


async def test_an_exception_that_takes_no_notes_is_raised_as_it_is() -> None:
    error = FrozenError("no such room")
    assert await fails(FrozenError, raises(error)) is error


async def test_what_the_test_has_met_is_not_raised_again() -> None:
    async with connected(raises(UnhashableError())) as ws:
        await ws.close()
        with pytest.raises(UnhashableError):
            await ws.wait()
        await ws.wait()
        assert isinstance(ws.error, UnhashableError)


async def test_a_failing_test_keeps_its_own_exception_and_gets_the_applications_as_a_note() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        raise LookupError("no such room")

    async def use(ws: WebSocketCommunicator) -> None:
        await ws.connect()
        await asyncio.wait([ws.future])
        raise AssertionError("mine")

    error = await fails(AssertionError, app, use)
    assert str(error) == "mine"
    (note,) = error.__notes__
    assert note.startswith("Besides, the application raised:\nTraceback (most recent call last):\n")
    assert note.endswith('raise LookupError("no such room")\nLookupError: no such room')
    assert __file__ in note


async def test_a_failing_test_is_told_of_a_breach_of_the_text_in_short() -> None:
    async def use(ws: WebSocketCommunicator) -> None:
        await ws.connect()
        raise AssertionError("mine")

    error = await fails(AssertionError, sends(ACCEPT, {"type": "websocket.sned"}), use)
    (note,) = error.__notes__
    assert note.startswith("Besides, ProtocolViolation: an application does not send 'websocket.sned'")


async def test_a_failing_test_does_not_wait_for_the_application_to_end() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await asyncio.Event().wait()

    async def use(ws: WebSocketCommunicator) -> None:
        await ws.connect()
        raise AssertionError("mine")

    async with asyncio.timeout(5):
        error = await fails(AssertionError, app, use, timeout=60)
    assert not hasattr(error, "__notes__")


async def test_several_failures_are_told_with_the_first() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        with pytest.raises(ProtocolViolation):
            await send({"type": "websocket.sned"})
        scope["task"] = asyncio.create_task(asyncio.Event().wait(), name="left behind")
        raise LookupError("no such room")

    error = await fails(ProtocolViolation, app, timeout=TIMEOUT_OF_LEAKS)
    raised, leaked = error.__notes__
    assert raised.endswith("LookupError: no such room")
    assert leaked.startswith("Besides, LeakedTasks: the application has ended and left tasks running;")
    assert "task 'left behind' (Event.wait):" in leaked


@pytest.mark.parametrize("call", ["receive", "wait_closed", "wait"])
async def test_an_application_that_cancels_itself_fails_the_test_where_it_waits(call: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await cancel_this_task()

    async with connected(app, timeout=60) as ws:
        with pytest.raises(ApplicationCancelled, match="or it cancelled itself"):
            await getattr(ws, call)()


@pytest.mark.parametrize("exceptions", [True, False])
async def test_to_stop_an_application_that_has_raised_raises_it_where_the_test_wants_that(exceptions: bool) -> None:
    went_on: list[bool] = []

    async def use(ws: WebSocketCommunicator) -> None:
        await ws.connect()
        await ws.close()
        await asyncio.wait([ws.future])
        ws.stop(exceptions)
        went_on.append(True)

    await fails(LookupError, raises(LookupError()), use)
    assert bool(went_on) is not exceptions


async def test_stop_before_the_start_runs_nothing() -> None:
    async with WebSocketCommunicator(echo) as ws:
        ws.stop()


async def test_a_breach_of_the_text_fails_such_a_test_all_the_same() -> None:
    await fails(ProtocolViolation, sends(ACCEPT, {}), raise_server_exceptions=False)


# -- errors of send when the peer has left


async def sends_after_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    await accepts(receive, send)
    await until_left(receive)
    await send(text("late"))


async def sends_in_a_group(scope: Scope, receive: Receive, send: Send) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(sends_after_the_end(scope, receive, send))


@pytest.mark.parametrize(("app", "error"), [(sends_after_the_end, OSError), (sends_in_a_group, ExceptionGroup)])
async def test_the_error_of_send_for_a_peer_that_left_is_no_failure_alone_or_in_a_group(
    app: ASGIApp, error: type[Exception]
) -> None:
    async with connected(app) as ws:
        pass
    assert isinstance(ws.error, error)


async def test_a_group_with_another_error_beside_it_is_a_failure() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await sends_after_the_end(scope, receive, send)
        except OSError as error:
            raise ExceptionGroup("both", [error, LookupError()]) from None

    await fails(ExceptionGroup, app)


async def test_an_oserror_of_the_applications_own_is_a_failure() -> None:
    await fails(OSError, raises(OSError("disk full")))


async def test_a_breach_of_the_text_in_a_task_group_is_told_once() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        async with asyncio.TaskGroup() as group:
            group.create_task(_breaks(send))

    error = await fails(ProtocolViolation, app)
    assert not hasattr(error, "__notes__")


async def _breaks(send: Send) -> None:
    await send({"type": "websocket.send"})
