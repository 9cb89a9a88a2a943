"""Applications that are broken on purpose: each fails its test in time, with a message that points to the cause."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeAlias

import fastapi
import pytest

from asgi_ws import WebSocket, WebSocketEndpoint
from asgi_ws._asgi import ASGIApp, Receive, Scope, Send
from asgi_ws.testing import LeakedTasks, WaitTimeout, WebSocketCommunicator

from .applications import TIMEOUT, TIMEOUT_OF_LEAKS, accepts, connected, connects, fails, receives, sends, until_left

Use: TypeAlias = Callable[[WebSocketCommunicator], Awaitable[object]]

FOR_ANSWER = (
    f"timed out after {TIMEOUT:g} s waiting for an answer to websocket.connect (websocket.accept or websocket.close)"
)
FOR_MESSAGE = f"timed out after {TIMEOUT:g} s waiting for a message from the application"
FOR_END = f"timed out after {TIMEOUT:g} s waiting for the application to end after the peer left"


async def sends_hello(ws: WebSocketCommunicator) -> None:
    await ws.connect()
    await ws.send("hello")
    await ws.receive()


# -- applications that hang


async def never_answers(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await receive()


async def hangs_in_receive(scope: Scope, receive: Receive, send: Send) -> None:
    await accepts(receive, send)
    await receive()
    await receive()


async def takes_from(queue: asyncio.Queue[str]) -> str:
    return await queue.get()


async def next_job() -> str:
    return await takes_from(asyncio.Queue())


async def waits_for_a_queue_two_calls_deep(scope: Scope, receive: Receive, send: Send) -> None:
    await accepts(receive, send)
    await next_job()


async def locks_twice(scope: Scope, receive: Receive, send: Send) -> None:
    await accepts(receive, send)
    lock = asyncio.Lock()
    async with lock:
        await lock.acquire()


async def waits_in_a_task_group(scope: Scope, receive: Receive, send: Send) -> None:
    await accepts(receive, send)
    async with asyncio.TaskGroup() as group:
        group.create_task(until_left(receive), name="reader")
        group.create_task(next_job(), name="writer")


fastapi_app = fastapi.FastAPI()


@fastapi_app.websocket("/")
async def fastapi_waits(ws: fastapi.WebSocket) -> None:
    await ws.accept()
    await ws.receive_text()
    await next_job()


class EndpointWaits(WebSocketEndpoint):
    async def on_receive(self, ws: WebSocket, data: Any) -> None:
        await next_job()


SENT_ACCEPT = "  the application has sent:\n    {'type': 'websocket.accept'"
WAS_SENT_HELLO = (
    "  the application was sent:\n    {'type': 'websocket.connect'}\n    {'type': 'websocket.receive', 'text': 'hello'}"
)
WAS_SENT_THE_END = (
    "  the application was sent and has not received the last 1, so it does not know that the peer has left:\n"
    "    {'type': 'websocket.connect'}\n"
    "    {'type': 'websocket.disconnect', 'code': 1000, 'reason': ''}"
)
IN_NEXT_JOB = ("in next_job\n        return await takes_from(", "in takes_from\n        return await queue.get()")

# The application, the calls of the test, the awaited event, and further parts of the message in their order.
HANGS: dict[str, tuple[ASGIApp, Use, str, tuple[str, ...]]] = {
    "never answers the handshake": (
        never_answers,
        connects,
        FOR_ANSWER,
        (
            "  the application has sent nothing",
            "  the application was sent:\n    {'type': 'websocket.connect'}\n",
            "in never_answers\n        await receive()\n    waiting in receive() for the next event",
        ),
    ),
    "hangs in receive": (
        hangs_in_receive,
        sends_hello,
        FOR_MESSAGE,
        (
            SENT_ACCEPT,
            WAS_SENT_HELLO,
            "in hangs_in_receive\n        await receive()\n    waiting in receive() for the next event",
        ),
    ),
    "waits for a queue, two calls deep": (
        waits_for_a_queue_two_calls_deep,
        receives,
        FOR_MESSAGE,
        ("in waits_for_a_queue_two_calls_deep\n        await next_job()", *IN_NEXT_JOB),
    ),
    "waits for its own lock": (
        locks_twice,
        connects,
        FOR_END,
        (WAS_SENT_THE_END, "in locks_twice\n        await lock.acquire()"),
    ),
    "waits in a task group": (
        waits_in_a_task_group,
        connects,
        FOR_END,
        (
            "in waits_in_a_task_group\n        async with asyncio.TaskGroup() as group:",
            "which waits for task 'writer':",
            "in next_job\n",
        ),
    ),
    "a FastAPI handler": (
        fastapi_app,
        sends_hello,
        FOR_MESSAGE,
        (SENT_ACCEPT, WAS_SENT_HELLO, "in fastapi_waits\n        await next_job()", *IN_NEXT_JOB),
    ),
    "an endpoint": (
        EndpointWaits.as_asgi(),
        sends_hello,
        FOR_MESSAGE,
        (SENT_ACCEPT, WAS_SENT_HELLO, "in on_receive\n        await next_job()", *IN_NEXT_JOB),
    ),
}


@pytest.mark.parametrize("name", HANGS)
async def test_an_application_that_hangs_is_shown_with_what_had_come_and_where_it_stands(name: str) -> None:
    app, use, awaited, told = HANGS[name]
    # The application's own calls come before those of the tasks that it awaits.
    calls = [part.partition("\n")[0] for part in takewhile(lambda part: not part.startswith("which"), told)]
    error = await fails(WaitTimeout, app, use)
    first, _, rest = str(error).partition("\n")
    assert first == f"{awaited}; the application is at {error.place}"
    assert re.fullmatch(rf"{Path(__file__).name}:\d+ {calls[-1]}", error.place)
    assert f'File "{__file__}", line ' in rest
    at = 0
    for part in told:
        at = rest.find(part, at)
        assert at >= 0, f"{part!r} is not there, or not in its place:\n{rest}"


async def test_of_many_events_the_last_are_shown() -> None:
    error = await fails(
        WaitTimeout,
        sends({"type": "websocket.accept"}, *({"type": "websocket.send", "text": f"{n}"} for n in range(12))),
        _receives_13,
    )
    assert "  the application has sent (here the last 10):\n    {'type': 'websocket.send', 'text': '2'}\n" in str(error)


async def _receives_13(ws: WebSocketCommunicator) -> None:
    await ws.connect()
    for _ in range(13):
        await ws.receive()


# -- applications that never stop


async def only_sends(scope: Scope, receive: Receive, send: Send) -> None:
    await accepts(receive, send)
    while True:
        await send({"type": "websocket.send", "text": "tick"})


async def sends_whatever_happens(scope: Scope, receive: Receive, send: Send) -> None:
    await accepts(receive, send)
    while True:
        with suppress(Exception):
            await send({"type": "websocket.send", "text": "tick"})


async def test_an_application_that_only_sends_ends_with_the_error_that_send_raises_when_the_peer_has_left() -> None:
    async with connected(only_sends) as ws:
        assert await ws.receive() == "tick"
    assert isinstance(ws.error, OSError)


@pytest.mark.parametrize("server", ["daphne"])
async def test_it_never_ends_on_a_server_whose_send_does_not_raise(server: str) -> None:
    error = await fails(WaitTimeout, only_sends, receives, server=server)
    assert str(error).startswith(FOR_END)
    assert "in only_sends\n" in str(error)


@pytest.mark.parametrize("server", ["spec", "hypercorn"])
async def test_one_that_sends_whatever_happens_does_not_stop_the_test(server: str) -> None:
    error = await fails(WaitTimeout, sends_whatever_happens, receives, server=server)
    assert str(error).startswith(FOR_END)
    assert "in sends_whatever_happens\n" in str(error)


@pytest.fixture
async def let_go() -> AsyncIterator[asyncio.Event]:
    """Set when the test is over."""
    event = asyncio.Event()
    yield event
    event.set()
    await asyncio.sleep(0)


async def test_an_application_that_ignores_cancellation_is_left_behind_with_word_of_it(let_go: asyncio.Event) -> None:
    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        while not let_go.is_set():
            with suppress(asyncio.CancelledError):
                await let_go.wait()

    error = await fails(WaitTimeout, stubborn)
    assert str(error).startswith(FOR_END)
    notes = error.__notes__
    assert notes[0].startswith(
        f"Besides, WaitTimeout: timed out after {TIMEOUT:g} s waiting for the application to end when it is cancelled\n"
        "  task 'application of WebSocketCommunicator' (WebSocketCommunicator._call):\n"
    )
    assert "in stubborn\n" in notes[0]
    assert "await let_go.wait()" in notes[0]


async def test_a_task_that_ignores_cancellation_is_named(let_go: asyncio.Event) -> None:
    async def stubborn() -> None:
        while not let_go.is_set():
            with suppress(asyncio.CancelledError):
                await let_go.wait()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["task"] = asyncio.create_task(stubborn(), name="stubborn")
        await accepts(receive, send)
        await until_left(receive)

    error = await fails(LeakedTasks, app)
    assert error.names == ("stubborn",)
    (note,) = error.__notes__
    assert note.startswith(
        f"Besides, WaitTimeout: timed out after {TIMEOUT_OF_LEAKS:g} s waiting for the application's tasks to end when "
        "they are cancelled\n"
        "  task 'stubborn' (stubborn):\n"
    )


# -- tasks that are left running


async def test_a_task_that_an_application_leaves_behind_is_named_with_where_it_stands() -> None:
    async def poll() -> None:
        await next_job()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["tasks"] = [asyncio.create_task(poll(), name=name) for name in ("second", "first")]
        await accepts(receive, send)
        await until_left(receive)

    error = await fails(LeakedTasks, app)
    assert error.names == ("first", "second")
    assert all(task.cancelled() for task in error.tasks)
    lines = str(error).splitlines()
    assert lines[:2] == [
        "the application has ended and left tasks running; keep them in a TaskGroup, or cancel and await them:",
        "task 'first' (poll):",
    ]
    assert "task 'second' (poll):" in lines
    assert str(error).count("return await queue.get()") == 2
