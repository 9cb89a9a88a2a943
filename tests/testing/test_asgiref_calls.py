"""The calls of asgiref's `ApplicationCommunicator`, without their pitfalls."""

import asyncio

import pytest
from asgiref.testing import ApplicationCommunicator

from asgi_ws._asgi import ASGIApp, Receive, Scope, Send
from asgi_ws.testing import WaitTimeout, WebSocketCommunicator
from asgi_ws.testing.run import Run

from .applications import ACCEPT, TIMEOUT, accepts, echo, sends, text, until_left

CONNECT = {"type": "websocket.connect"}
DISCONNECT = {"type": "websocket.disconnect", "code": 1000}


def run(app: ASGIApp, timeout: float = 1.0) -> Run:
    return Run(app, {"type": "websocket"}, timeout=timeout)


async def test_events_go_in_and_come_out_as_they_are() -> None:
    async with WebSocketCommunicator(echo) as ws:
        assert isinstance(ws, ApplicationCommunicator)
        await ws.send_input(CONNECT)
        assert await ws.receive_output() == ACCEPT
        await ws.send_input({"type": "websocket.receive", "text": "hello"})
        assert await ws.receive_output() == {"type": "websocket.send", "text": "hello", "bytes": None}
        await ws.send_input(DISCONNECT)
        await ws.wait()


async def test_a_time_out_does_not_cancel_the_application() -> None:
    async with run(echo) as application:
        await application.send_input(CONNECT)
        await application.receive_output()
        with pytest.raises(WaitTimeout) as late:
            await application.receive_output(timeout=0.01)
        assert (late.value.awaited, late.value.seconds) == ("an event from the application", 0.01)
        with pytest.raises(WaitTimeout, match=r"timed out after 0.02 s waiting for the application to end"):
            await application.wait(0.02)
        await application.send_input({"type": "websocket.receive", "text": "still there"})
        assert (await application.receive_output())["text"] == "still there"
        await application.send_input(DISCONNECT)


async def test_an_exception_comes_after_the_output_before_it_and_once() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await send(text("1"))
        raise LookupError

    async with run(app) as application:
        await application.send_input(CONNECT)
        assert await application.receive_output() == ACCEPT
        await asyncio.wait([application.future])
        assert not await application.receive_nothing()
        assert await application.receive_output() == text("1")
        with pytest.raises(LookupError):
            await application.receive_output()
        with pytest.raises(EOFError, match="has ended and sent nothing more"):
            await application.receive_output()


@pytest.mark.parametrize("call", ["send_input", "receive_nothing", "wait"])
async def test_the_other_calls_raise_an_exception_too(call: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError

    async with run(app) as application:
        await asyncio.wait([application.future])
        with pytest.raises(LookupError):
            await (application.send_input(CONNECT) if call == "send_input" else getattr(application, call)())
        assert await application.receive_nothing()


async def test_a_returned_application_is_noticed_at_once() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        """Return."""

    async with run(app, timeout=60) as application:
        with pytest.raises(EOFError):
            await application.receive_output()
        assert await application.receive_nothing(timeout=60)
        await application.wait()


async def test_an_input_is_taken_as_it_is_now() -> None:
    async with run(echo) as application:
        event = dict(CONNECT)
        await application.send_input(event)
        event["type"] = "changed"
        assert await application.receive_output() == ACCEPT
        await application.send_input(DISCONNECT)


async def test_nothing_comes_or_something_does() -> None:
    async with run(sends(ACCEPT)) as application:
        assert await application.receive_nothing(0.01, interval=0.001)
        await application.send_input(CONNECT)
        assert not await application.receive_nothing()
        assert await application.receive_output() == ACCEPT
        assert await application.receive_nothing(0)
        await application.send_input(DISCONNECT)


async def test_leaving_the_block_waits_for_the_application_to_end_of_itself() -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await until_left(receive)
        await asyncio.sleep(0.01)
        ended.append("of itself")

    async with run(app) as application:
        await application.send_input(DISCONNECT)
    assert ended == ["of itself"]


async def test_an_application_that_does_not_end_of_itself_fails_the_test_and_is_cancelled() -> None:
    application = run(echo, timeout=TIMEOUT)

    async def use() -> None:
        async with application:
            await application.send_input(CONNECT)
            await application.receive_output()

    with pytest.raises(WaitTimeout, match="waiting for the application to end"):
        await use()
    assert application.future.cancelled()


async def test_the_block_is_entered_before_the_first_call() -> None:
    application = run(echo)
    await application.send_input(CONNECT)
    with pytest.raises(RuntimeError, match="is already running: enter the block before the first call"):
        await application.__aenter__()
    application.stop()
    await asyncio.wait([application.future])
