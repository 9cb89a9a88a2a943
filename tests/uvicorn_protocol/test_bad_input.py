"""What breaks the protocol: the right close code, the end told, and at most one log line for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from tests.servers.client import SECONDS, handshake

from .conftest import Serve
from .peer import (
    BINARY,
    NOTHING,
    PING,
    TEXT,
    Peer,
    asking,
    close,
    dialled,
    frame,
    header,
    opened,
    text,
)
from .served import MIB, Uvicorn


@pytest.fixture
def server(serve: Serve) -> Uvicorn:
    """Says all that it has to say, and has to say next to nothing."""
    return serve("--log-level=debug")


async def _said_little(server: Uvicorn) -> bool:
    """Whether there is one line at most beside the record of the handshake, and all of it is printable."""
    await server.settle()
    lines = [line for line in server.lines() if not line.endswith(" [accepted]")]
    return len(lines) <= 1 and not server.complaints()


# One for each way in which a reader refuses; its own tests have the others.
BAD_FRAMES: Final = {
    "reserved opcode": (1002, frame(0x3, b"x")),
    "ping that is not masked": (1002, frame(PING, mask=None)),
    "text within a message": (1002, frame(BINARY, b"x", fin=False) + frame(TEXT, b"y")),
    "close with 1005": (1002, close(1005)),
    "close with a reason that is cut": (1007, close(1000, "€".encode()[:2])),
    "text that goes wrong in a frame that has not come": (1007, header(0x81, 1000, bytes(4)) + b"ab\xff"),
    "message that says it is too big": (1009, header(0x82, 16 * MIB + 1)),
    "message that gets too big": (
        1009,
        header(0x02, 16 * MIB, bytes(4)) + bytes(16 * MIB) + header(0x80, 1, bytes(4)),
    ),
    "an HTTP request": (1002, handshake("/ws/echo")),
    "TLS": (1002, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)),
}


@pytest.mark.parametrize(("code", "data"), BAD_FRAMES.values(), ids=BAD_FRAMES)
async def test_a_bad_frame_is_answered_with_its_code_and_all_before_it_is_received(
    server: Uvicorn, code: int, data: bytes
) -> None:
    async with opened(server, "record") as peer:
        peer.send(text("one"), frame(BINARY, b"two"), data)
        assert (await peer.close_frame())[0] == code
        assert await peer.end() == "FIN"
        notes = await peer.notes()
    assert notes["received"] == ["'one'", "b'two'"]
    assert [told[0] for told in notes["told"]] == [code] * 3
    assert await _said_little(server)


async def test_all_before_a_bad_frame_is_received_later_too(server: Uvicorn) -> None:
    async with opened(server, "record", query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        peer.send(*(text(str(number)) for number in range(200)), frame(0x3))
        await peer.go()
        code, _ = await peer.close_frame()
        notes = await peer.notes()
    assert code == 1002
    assert notes["received"] == [repr(str(number)) for number in range(200)]


async def test_the_close_frame_of_a_failure_reaches_a_client_that_goes_on_sending(server: Uvicorn) -> None:
    """A socket that is closed with bytes unread in it is reset, and the client may never see what was sent before."""
    async with opened(server, "record") as peer:
        peer.stop_reading()
        assert await peer.push(frame(0x3) + bytes(16 * MIB), seconds=SECONDS)
        peer.go_on_reading()
        assert (await peer.close_frame())[0] == 1002


async def test_a_peer_that_stays_after_a_bad_frame_is_cut_off(hasty: Uvicorn) -> None:
    """It may send as much as it likes, and gets nothing but the end."""
    async with opened(hasty, "record") as peer:
        peer.send(frame(0x3))
        await peer.close_frame()
        await peer.notes()
        files = hasty.open_files()
        await hasty.until(lambda: hasty.open_files() < files)


# -- around the handshake


async def test_half_a_handshake_holds_nobody_up(server: Uvicorn) -> None:
    async with dialled(server, handshake("/ws/echo")[:-2]), opened(server, "echo") as peer:
        peer.send(text("x"))
        assert await peer.message() == "x"


async def test_what_comes_before_accept_is_refused_with_400_and_the_application_told(server: Uvicorn) -> None:
    """RFC 6455 section 4.1: a client waits for the answer before it sends anything."""
    for data in (text("early"), close(), b"\xff" * 1000, b"GET / HTTP/1.1\r\n\r\n"):
        async with asking(server, "pending") as peer:
            await peer.notes(until="connect")
            peer.send(data)
            assert (await peer.head()).status == 400
            await peer.rest()
            assert await peer.told() == [[1006, ""]] * 2
        assert await _said_little(server)
        server.mark()


async def test_an_accept_after_the_refusal_of_early_frames_fails(server: Uvicorn) -> None:
    async with asking(server, "pending_and_deaf") as peer:
        await peer.notes(until="ready")
        peer.send(text("early"))
        assert (await peer.head()).status == 400
        assert b"101" not in await peer.rest()
        await peer.go()
        notes = await peer.notes()
    assert notes["accept"][0][0] in ("OSError", "RuntimeError")
    assert notes["told"] == [[1006, ""]]


async def test_what_comes_with_the_handshake_harms_nobody(server: Uvicorn) -> None:
    """uvicorn's HTTP classes lose it; the connection goes on, or is refused."""
    async with asking(server, "echo") as peer:
        pass
    async with dialled(server, handshake("/ws/echo?id=x") + b"\xff" * 100) as peer:
        assert (await peer.head()).status in (101, 400)
    async with opened(server, "echo") as peer:
        peer.send(text("x"))
        assert await peer.message() == "x"


# -- RST in each state


async def _reset_when(peer: Peer, word: str) -> None:
    await peer.notes(until=word)
    peer.reset()


async def _in_half_a_frame(peer: Peer) -> None:
    await peer.head()
    peer.send(header(0x82, MIB), bytes(1000))
    await peer.writer.drain()
    await _reset_when(peer, "accepted")


async def _with_unread_messages(peer: Peer) -> None:
    await peer.head()
    await peer.push(frame(BINARY, bytes(65536)) * 100, seconds=0.3)
    await _reset_when(peer, "ready")
    await peer.go()


async def _while_a_send_waits(peer: Peer) -> None:
    peer.stop_reading()
    await peer.notes(until="accepted")
    await asyncio.sleep(0.2)
    peer.reset()


async def _after_the_server_s_close(peer: Peer) -> None:
    await peer.head()
    await peer.close_frame()
    peer.reset()


async def _after_its_close(peer: Peer) -> None:
    await peer.head()
    peer.send(close())
    peer.reset()


async def _after_a_bad_frame(peer: Peer) -> None:
    await peer.head()
    peer.send(frame(0x3))
    await peer.close_frame()
    peer.reset()


async def _within_a_denial(peer: Peer) -> None:
    await peer.head()
    await peer.notes(until="ready")
    peer.reset()
    await peer.go()


RESETS: Final[dict[str, tuple[str, dict[str, int], Callable[[Peer], Awaitable[None]]]]] = {
    "before accept": ("pending", {}, lambda peer: _reset_when(peer, "connect")),
    "when open": ("record", {}, lambda peer: _reset_when(peer, "accepted")),
    "in half a frame": ("record", {}, _in_half_a_frame),
    "with messages unread": ("record", {"gate": 1}, _with_unread_messages),
    "while a send waits": ("flood_and_listen", {}, _while_a_send_waits),
    "after the server's close frame": ("close", {}, _after_the_server_s_close),
    "after its own close frame": ("record", {}, _after_its_close),
    "after a bad frame": ("record", {}, _after_a_bad_frame),
    "within a denial": ("deny_in_parts", {}, _within_a_denial),
}


@pytest.mark.parametrize(("handler", "query", "act"), RESETS.values(), ids=RESETS)
async def test_a_reset_in_any_state_ends_the_handler_quietly(
    server: Uvicorn, handler: str, query: dict[str, int], act: Callable[[Peer], Awaitable[None]]
) -> None:
    async with asking(server, handler, query=query) as peer:
        await act(peer)
        assert (await peer.notes())["end"][0] in ("returned", "OSError")
    assert await _said_little(server)


async def test_resets_before_and_within_the_handshake_are_harmless(server: Uvicorn) -> None:
    request = handshake("/ws/echo")
    for cut in (0, 10, len(request) - 2, len(request)):
        async with dialled(server, request[:cut]) as peer:
            await peer.writer.drain()
            peer.reset()
    async with opened(server, "echo") as peer:
        peer.send(text("x"))
        assert await peer.message() == "x"
        assert await peer.push(close())
        assert await peer.close_frame() != NOTHING
