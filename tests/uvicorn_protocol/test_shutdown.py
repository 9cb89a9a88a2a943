"""SIGTERM: every client gets 1012, every handler ends, and no client or handler delays the stop."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.servers.client import SECONDS, handshake
from tests.wire.streams import BINARY, NO_MASK, PING, close, frame

from .conftest import Start
from .peer import NOTHING, Peer, asking, dialled, opened, text
from .served import HASTY, Uvicorn


@pytest.fixture
def own(start: Start) -> Uvicorn:
    return start()


async def _stopped(server: Uvicorn) -> None:
    assert await asyncio.to_thread(server.wait, SECONDS), "still running"


async def _answer_close(peer: Peer) -> int:
    code, _ = await peer.close_frame()
    peer.send(close(code))
    return code


async def test_sixty_clients_get_1012_and_every_handler_clears_up(own: Uvicorn) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(20):
            await stack.enter_async_context(dialled(own, handshake("/ws/echo")[:-10]))
        peers = [await stack.enter_async_context(opened(own, "clear_up")) for _ in range(60)]
        own.terminate()
        assert set(await asyncio.gather(*(_answer_close(peer) for peer in peers))) == {1012}
        await _stopped(own)
    assert own.log().count("told (1012, '") == own.log().count("cleared up ()") == 60
    assert own.complaints() == []
    assert own.log().index("lifespan: stopped") > own.log().rindex("cleared up")


async def test_a_handler_that_only_sends_is_ended(own: Uvicorn) -> None:
    async with opened(own, "talk") as peer:
        own.terminate()
        assert await _answer_close(peer) == 1012
        await _stopped(own)
        assert own.noted(peer.probe.id, "end") == ["'OSError',"]


async def test_messages_that_wait_are_received_before_the_end(own: Uvicorn) -> None:
    async with opened(own, "record", query={"pause": 0.05}) as peer:
        peer.send(*(text(str(number)) for number in range(10)), frame(PING, b"all read?"))
        assert (await peer.frame()).payload == b"all read?"
        own.terminate()
        assert await _answer_close(peer) == 1012
        await _stopped(own)
    assert own.noted(peer.probe.id, "received") == [f'"{str(number)!r}",' for number in range(10)]
    assert own.noted(peer.probe.id, "told") == ["1012, ''"] * 3


async def test_a_handshake_that_is_not_accepted_is_answered(own: Uvicorn) -> None:
    async with asking(own, "pending") as peer:
        await peer.notes(until="connect")
        own.terminate()
        assert (await peer.head()).status in (500, 503)
        peer.hang_up()
        await _stopped(own)
        assert own.noted(peer.probe.id, "end") == ["'returned',"]
        assert len(own.noted(peer.probe.id, "told")) == 2


async def test_clients_that_do_not_answer_or_read_do_not_delay_the_stop(own: Uvicorn) -> None:
    async with (
        opened(own, "clear_up") as silent,
        opened(own, "flood_and_listen", receive_buffer=4096) as peer,
        opened(own, "flood") as other,
    ):
        for each in (peer, other):
            each.stop_reading()
            await each.notes(until="accepted")
        own.terminate()
        assert (await silent.close_frame())[0] == 1012
        await _stopped(own)
        assert own.noted(silent.probe.id, "cleared up") == [""]
        for each in (peer, other):
            assert own.noted(each.probe.id, "end") in (["'OSError',"], ["'returned',"])


async def test_the_time_for_the_closing_handshake_is_an_attribute_that_a_subclass_may_change(start: Start) -> None:
    server = start(ws=HASTY)
    async with opened(server, "clear_up") as silent, opened(server, "flood", receive_buffer=4096) as stalled:
        stalled.stop_reading()
        await stalled.notes(until="accepted")
        server.terminate()
        assert (await silent.close_frame())[0] == 1012
        await _stopped(server)


async def test_a_client_that_goes_on_sending_does_not_delay_the_stop(own: Uvicorn) -> None:
    async with opened(own, "record", query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        await peer.push(frame(BINARY, bytes(65536), mask=NO_MASK) * 200, seconds=0.5)
        own.terminate()
        await _stopped(own)


@pytest.mark.handler_fails
async def test_a_deaf_handler_is_cancelled_also_when_its_client_left_long_ago(own: Uvicorn) -> None:
    async with (
        asking(own, "pending_and_deaf") as pending,
        opened(own, "deaf") as here,
        opened(own, "deaf") as gone,
        opened(own, "deaf") as closed,
    ):
        peers = (pending, here, gone, closed)
        for peer in peers:
            await peer.notes(until="connect" if peer is pending else "accepted")
        gone.reset()
        closed.send(close())
        await closed.close_frame()
        await closed.end()
        await own.settle()
        own.terminate()
        await _stopped(own)
        assert [own.noted(peer.probe.id, "end") for peer in peers] == [["'CancelledError',"]] * 4
    assert "lifespan: stopped" in own.log()


@pytest.mark.handler_fails
async def test_uvicorn_s_time_limit_is_kept(start: Start) -> None:
    server = start("--timeout-graceful-shutdown=1")
    async with opened(server, "deaf") as deaf, opened(server, "flood", receive_buffer=4096) as flood:
        flood.stop_reading()
        for peer in (deaf, flood):
            await peer.notes(until="accepted")
        server.terminate()
        await _stopped(server)
        assert server.noted(deaf.probe.id, "end") == ["'CancelledError',"]
        assert server.noted(flood.probe.id, "end") in (["'CancelledError',"], ["'OSError',"])
    assert "Traceback" not in server.log()


async def test_a_longer_time_limit_lets_a_handler_clear_up(start: Start) -> None:
    server = start("--timeout-graceful-shutdown=20")
    async with opened(server, "clear_up") as peer:
        server.terminate()
        assert await _answer_close(peer) == 1012
        await _stopped(server)
        assert server.noted(peer.probe.id, "cleared up") == [""]


async def test_a_closing_handshake_under_way_does_not_delay_the_stop(own: Uvicorn) -> None:
    async with opened(own, "close", query={"code": 4001}) as peer:
        assert await peer.close_frame() == (4001, "")
        own.terminate()
        await _stopped(own)
        assert await peer.close_frame() == NOTHING, "a connection may have one close frame only"


async def test_a_framework_s_handlers_leave_no_traceback_though_clients_are_slow_to_answer(start: Start) -> None:
    # The handlers end during the closing handshake.
    server = start(ws=HASTY, app="tests.uvicorn_protocol.framework_apps:fastapi_app")
    async with AsyncExitStack() as stack:
        paths = ("/pushing", "/careless", "/tidy") * 3
        peers = [await stack.enter_async_context(dialled(server, handshake(path))) for path in paths]
        for peer in peers:
            assert (await peer.head()).status == 101
        server.terminate()
        assert {(await peer.close_frame())[0] for peer in peers} == {1012}
        await _stopped(server)
    assert "Traceback" not in server.log()


@pytest.mark.handler_fails
async def test_an_error_of_a_denial_that_the_stop_breaks_off_is_logged(own: Uvicorn) -> None:
    async with asking(own, "fail_in_a_denial", receive_buffer=4096) as peer:
        peer.stop_reading()
        await peer.notes(until="waits")
        own.terminate()
        await _stopped(own)
    assert own.log().count("RuntimeError: this is not the client's leaving") == 1
