"""The kit in loops that are not pytest-asyncio's in auto mode."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from asgi_ws import ConnectionClosed
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.testing import LeakedTasks, WaitTimeout, WebSocketCommunicator
from tests.eager_tasks import new_event_loop

from .applications import ACCEPT, TIMEOUT, accepts, connected, echo, fails, receives, sends, until_left


async def conversation(*, shows_where: bool = True) -> None:
    """Run a conversation that works, a wait that times out, and an application that leaks a task."""
    async with connected(echo) as ws:
        await ws.send("hello")
        assert await ws.receive() == "hello"
        await ws.close(4001, "bye")
        with pytest.raises(ConnectionClosed):
            await ws.receive()
    error = await fails(WaitTimeout, sends(ACCEPT), receives)
    assert ("in until_left\n" in str(error)) is shows_where
    assert ("waiting in receive() for the next event" in str(error)) is shows_where
    assert (await fails(LeakedTasks, leaks)).names == ("left behind",)


async def leaks(scope: Scope, receive: Receive, send: Send) -> None:
    scope["task"] = asyncio.create_task(asyncio.Event().wait(), name="left behind")
    await accepts(receive, send)
    await until_left(receive)


def test_it_runs_under_asyncio_in_debug_mode() -> None:
    asyncio.run(conversation(), debug=True)


def test_it_runs_under_uvloop() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(conversation())


def test_it_runs_where_tasks_are_begun_at_once() -> None:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        # The imitation for Python 3.11 hides the application's frames.
        runner.run(conversation(shows_where=sys.version_info >= (3, 12)))


def test_an_application_that_is_begun_at_once_is_already_the_communicators() -> None:
    async def own_task(scope: Scope, receive: Receive, send: Send) -> None:
        assert communicator.future is asyncio.current_task()
        await accepts(receive, send)
        await until_left(receive)

    async def use() -> None:
        async with communicator:
            await communicator.connect()

    communicator = WebSocketCommunicator(own_task, timeout=TIMEOUT)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(use())


TESTS = """
import pytest

from asgi_ws import WebSocket, websocket_app
from asgi_ws.testing import WebSocketCommunicator

pytestmark = pytest.mark.asyncio


@websocket_app
async def greet(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send(f"Hello, {await ws.receive()}!")
    await ws.wait_closed()


@pytest.fixture
def communicator():
    return WebSocketCommunicator(greet, timeout=0.2)


async def test_greets(communicator):
    async with communicator as ws:
        await ws.connect()
        await ws.send("world")
        assert await ws.receive() == "Hello, world!"


async def test_fails(communicator):
    async with communicator as ws:
        await ws.connect()
        await ws.receive()
"""


# pytest itself takes long to start beside other work.
@pytest.mark.timeout(300)
def test_it_runs_under_pytest_asyncio_in_strict_mode_and_a_failure_reads_well(tmp_path: Path) -> None:
    path = tmp_path / "test_greet.py"
    path.write_text(TESTS)
    options = "-q -p no:cacheprovider -o asyncio_mode=strict -o asyncio_default_fixture_loop_scope=function -W error"
    command = (sys.executable, "-m", "pytest", *options.split(), path.name)
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 failed, 1 passed" in result.stdout
    assert "WaitTimeout: timed out after 0.2 s waiting for a message from the application" in result.stdout
    assert 'await ws.send(f"Hello, {await ws.receive()}!")' in result.stdout
    assert "never awaited" not in result.stdout + result.stderr
