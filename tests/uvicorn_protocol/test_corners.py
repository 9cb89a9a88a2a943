"""Rare moments of applications, servers and peers."""

import asyncio
import zlib

import pytest

from asgi_ws.sizes import MIB
from tests.servers.client import SECONDS
from tests.wire.streams import PING, PONG, SYNC_FLUSH, TEXT, close, frame

from .conftest import Serve, Start
from .peer import DEFLATE, asking, opened, text
from .served import Uvicorn


@pytest.mark.handler_fails
@pytest.mark.parametrize(
    ("handler", "words"), [("return_a_value", "'5'"), ("change_the_client", "10.0.0.1")], ids=["value", "client"]
)
async def test_a_returned_value_and_a_changed_client_are_in_the_log(server: Uvicorn, handler: str, words: str) -> None:
    async with opened(server, handler) as peer:
        assert await peer.close_frame() == (1000, "")
    await server.settle()
    assert [line for line in server.lines() if words in line]


@pytest.mark.handler_fails
async def test_a_handler_that_ends_by_the_leaving_of_another_client_has_failed(server: Uvicorn) -> None:
    async with opened(server, "send_for_another") as peer:
        peer.send(close(1000))
        await peer.notes()
    async with opened(server, "send_for_another") as peer:
        assert await peer.close_frame() == (1011, "")
    await server.settle()
    assert [line for line in server.complaints() if line.endswith("ClientDisconnected")]


async def test_two_tasks_that_receive_share_the_messages(server: Uvicorn) -> None:
    async with opened(server, "receive_twice") as peer:
        await peer.notes(until="ready")
        await peer.go()
        peer.send(text("one"))
        peer.send(text("two"))
        assert sorted((await peer.notes(until="both"))["both"][0]) == ["one", "two"]
        peer.send(text("three"))
        assert (await peer.notes(until="third"))["third"] == ["three"]
        assert await peer.close_frame() == (1000, "")


@pytest.mark.parametrize(("end", "code"), [(close(4000), 4000), (frame(0x3), 1002)], ids=["close", "bad frame"])
async def test_an_end_behind_unread_messages_counts_though_the_peer_has_left(
    narrow: Uvicorn, end: bytes, code: int
) -> None:
    async with opened(narrow, "record", query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        peer.send(*(text(str(number)) for number in range(20)), end)
        peer.finish()
        await peer.rest()
        await peer.go()
        notes = await peer.notes()
    assert len(notes["received"]) == 20
    assert {told for told, _ in notes["told"]} == {code}


async def test_a_denial_waits_for_buffer_space_and_breaks_off_with_its_application(server: Uvicorn) -> None:
    async with asking(server, "deny_at_length", receive_buffer=4096) as peer:
        peer.stop_reading()
        assert "sent" not in await peer.notes(until="connect")
        peer.go_on_reading()
        assert (await peer.head()).status == 403
        body = await peer.rest()
    assert len(body) > 16 * MIB
    assert not body.endswith(b"0\r\n\r\n"), "it looks whole"
    await server.settle()
    server.mark()


async def test_a_denial_that_has_begun_does_not_delay_a_stop(start: Start) -> None:
    server = start()
    async with asking(server, "deny_in_parts") as peer:
        assert (await peer.head()).status == 401
        await peer.notes(until="ready")
        server.terminate()
        await peer.rest()
        assert await asyncio.to_thread(server.wait, SECONDS)


@pytest.mark.handler_fails
async def test_connections_are_traced_as_uvicorn_does(start: Start) -> None:
    server = start("--log-level=trace")
    async with opened(server, "echo") as peer:
        peer.send(close(1000))
        await peer.close_frame()
        await peer.notes()
    await server.settle()
    assert "WebSocket connection made" in server.log()
    await server.until(lambda: "WebSocket connection lost" in server.log())


async def test_an_idle_connection_frees_its_compressor(serve: Serve) -> None:
    server, message = serve("--ws-ping-interval=0.2", "--ws-ping-timeout=600"), "the same text again and again, " * 20
    async with opened(server, "echo", DEFLATE) as peer:
        inflate, payloads = zlib.decompressobj(-15), []
        for _ in range(2):
            peer.send(text(message))
            while (got := await peer.frame()).opcode != TEXT:
                peer.send(frame(PONG, got.payload))
            assert got.is_compressed
            assert inflate.decompress(got.payload + SYNC_FLUSH) == message.encode()
            payloads.append(got.payload)
            for _ in range(3):
                ping = await peer.frame()
                assert ping.opcode == PING
                peer.send(frame(PONG, ping.payload))
    # With the first context the second payload would be a reference to the first.
    assert payloads[0] == payloads[1]
