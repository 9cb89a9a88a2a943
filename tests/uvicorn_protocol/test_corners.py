"""What few applications and peers do."""

import asyncio
import zlib
from typing import Final

import pytest

from tests.servers.client import SECONDS

from .conftest import Serve, Start
from .peer import PING, PONG, TEXT, asking, close, frame, opened, text
from .served import Uvicorn

_APP: Final = "tests.uvicorn_protocol.corners:app"
_DEFLATE: Final = b"sec-websocket-extensions: permessage-deflate\r\n"
_MIB: Final = 1024 * 1024


@pytest.fixture
def corners(serve: Serve) -> Uvicorn:
    return serve(app=_APP)


@pytest.fixture
def narrow(serve: Serve) -> Uvicorn:
    """With room for four messages."""
    return serve("--ws-max-queue=4", app=_APP)


@pytest.mark.handler_fails
async def test_a_value_that_an_application_returns_is_named_in_the_log(corners: Uvicorn) -> None:
    async with opened(corners, "return_a_value") as peer:
        assert await peer.close_frame() == (1000, "")
    await corners.settle()
    assert [line for line in corners.complaints() if "'5'" in line]


@pytest.mark.handler_fails
async def test_a_client_that_a_middleware_made_up_is_logged_as_it_is(corners: Uvicorn) -> None:
    async with opened(corners, "change_the_client") as peer:
        assert await peer.close_frame() == (1000, "")
    await corners.settle()
    assert [line for line in corners.lines() if "10.0.0.1" in line and line.endswith("[accepted]")]


@pytest.mark.handler_fails
async def test_a_handler_that_ends_by_another_client_s_leaving_has_failed(corners: Uvicorn) -> None:
    async with opened(corners, "send_for_another") as peer:
        peer.send(close(1000))
        await peer.notes()
    async with opened(corners, "send_for_another") as peer:
        assert await peer.close_frame() == (1011, "")
    await corners.settle()
    assert [line for line in corners.complaints() if line.endswith("ClientDisconnected")]


async def test_two_tasks_that_receive_share_what_comes(corners: Uvicorn) -> None:
    async with opened(corners, "receive_twice") as peer:
        await peer.notes(until="ready")
        await peer.go()
        peer.send(text("one"))
        peer.send(text("two"))
        assert sorted((await peer.notes(until="both"))["both"][0]) == ["one", "two"]
        peer.send(text("three"))
        assert (await peer.notes(until="third"))["third"] == ["three"]
        assert await peer.close_frame() == (1000, "")


async def test_an_abort_of_what_is_gone_is_none(corners: Uvicorn) -> None:
    async with opened(corners, "abort_at_the_end") as peer:
        peer.send(close(4000))
        assert await peer.close_frame() == (4000, "")
        await peer.end()
        await peer.go()
        notes = await peer.notes()
    assert notes["told"] == [[4000, ""]] * 2


async def test_what_was_read_before_an_abort_is_still_received(narrow: Uvicorn) -> None:
    async with opened(narrow, "abort_unread") as peer:
        await peer.notes(until="ready")
        peer.stop_reading()
        # More than is held: the transport pauses, and the system's buffers are full.
        while await peer.push(text("x" * 1000) * 1000, seconds=0.3):
            pass
        await peer.go()
        notes = await peer.notes()
    assert notes["received"][:4] == [1000] * 4
    assert notes["told"] == [[1006, ""]]


@pytest.mark.parametrize(("end", "code"), [(close(4000), 4000), (frame(0x3), 1002)], ids=["close", "bad frame"])
async def test_an_end_behind_what_waits_counts_though_the_peer_is_gone(serve: Serve, end: bytes, code: int) -> None:
    async with opened(serve("--ws-max-queue=4"), "record", query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        peer.send(*(text(str(number)) for number in range(20)), end)
        peer.finish()
        await peer.rest()
        await peer.go()
        notes = await peer.notes()
    assert len(notes["received"]) == 20
    assert {told for told, _ in notes["told"]} == {code}


async def test_a_bad_frame_for_an_answer_to_a_close_ends_the_connection(serve: Serve) -> None:
    async with opened(serve(), "close", query={"code": 4000}) as peer:
        assert (await peer.close_frame())[0] == 4000
        peer.send(frame(0x3))
        assert await peer.end() == "FIN"


async def test_a_ping_before_the_answer_to_a_close_is_not_answered(serve: Serve) -> None:
    async with opened(serve(), "close", query={"code": 4000}) as peer:
        assert (await peer.close_frame())[0] == 4000
        peer.send(frame(PING, b"?"), close(4000))
        assert await peer.rest() == b""


async def test_a_denial_waits_for_room_and_breaks_off_with_its_application(corners: Uvicorn) -> None:
    async with asking(corners, "deny_at_length", receive_buffer=4096) as peer:
        peer.stop_reading()
        assert "sent" not in await peer.notes(until="connect")
        peer.go_on_reading()
        assert (await peer.head()).status == 403
        body = await peer.rest()
    assert len(body) > 16 * _MIB
    assert not body.endswith(b"0\r\n\r\n"), "it looks whole"
    await corners.settle()
    corners.mark()


@pytest.mark.handler_fails
async def test_connections_are_traced_as_uvicorn_does(start: Start) -> None:
    server = start("--log-level=trace", app=_APP)
    async with opened(server, "abort_at_the_end") as peer:
        peer.send(close(1000))
        await peer.close_frame()
        await peer.end()
        await peer.go()
        await peer.notes()
    await server.settle()
    assert "WebSocket connection made" in server.log()
    await server.until(lambda: "WebSocket connection lost" in server.log())


async def test_a_denial_that_has_begun_does_not_hold_up_a_stop(start: Start) -> None:
    server = start()
    async with asking(server, "deny_in_parts") as peer:
        assert (await peer.head()).status == 401
        await peer.notes(until="ready")
        server.terminate()
        await peer.rest()
        assert await asyncio.to_thread(server.wait, SECONDS)


async def test_without_a_time_for_the_pong_silence_is_no_end(serve: Serve) -> None:
    server = serve("--ws-ping-interval=0.2", "--ws-ping-timeout=0")
    async with opened(server, "record") as peer:
        payloads = [(await peer.frame()).payload for _ in range(3)]
        peer.send(frame(PONG, payloads[-1]), frame(PING, b"still here?"))
        frames = [await peer.frame() for _ in range(2)]
    assert len(set(payloads)) == 3
    assert b"still here?" in [each.payload for each in frames]


async def test_an_idle_connection_gives_back_what_compresses(serve: Serve) -> None:
    server = serve("--ws-ping-interval=0.2", "--ws-ping-timeout=600")
    async with opened(server, "echo", _DEFLATE) as peer:
        inflate = zlib.decompressobj(-15)
        payloads = []
        for _ in range(2):
            peer.send(text("the same text again and again, " * 20))
            while (got := await peer.frame()).opcode != TEXT:
                peer.send(frame(PONG, got.payload))
            assert got.is_compressed
            assert inflate.decompress(got.payload + b"\x00\x00\xff\xff") == b"the same text again and again, " * 20
            payloads.append(got.payload)
            for _ in range(3):
                ping = await peer.frame()
                assert ping.opcode == PING
                peer.send(frame(PONG, ping.payload))
    # With what it had compressed before it would be a reference to that.
    assert payloads[0] == payloads[1]
