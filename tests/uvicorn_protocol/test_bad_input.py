"""Clients that break the protocol: the close code, the disconnect event, and at most one line in the log."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from asgi_ws.sizes import MIB
from tests.servers.client import SECONDS, handshake
from tests.wire.streams import BINARY, CONT, NO_MASK, PING, TEXT, close, frame

from .conftest import Serve
from .peer import NOTHING, Peer, asking, dialled, opened, text
from .served import Uvicorn


@pytest.fixture
def server(serve: Serve) -> Uvicorn:
    return serve("--log-level=debug")


async def _said_little(server: Uvicorn) -> bool:
    """Return True if the log has at most one line beside that of the handshake, and all of it is printable."""
    await server.settle()
    lines = [line for line in server.lines() if not line.endswith(" [accepted]")]
    return len(lines) <= 1 and not server.complaints()


# One case for each kind of refusal. The reader's own tests have the others.
BAD_FRAMES: Final = {
    "reserved opcode": (1002, frame(0x3, b"x")),
    "ping without a mask": (1002, frame(PING, mask=None)),
    "text within a message": (1002, frame(BINARY, b"x", fin=False) + frame(TEXT, b"y")),
    "close with 1005": (1002, close(1005)),
    "close with half a character": (1007, close(1000, "€".encode()[:2])),
    "invalid text in a frame that is not whole": (1007, frame(TEXT, b"ab\xff", length=1000)),
    "message that will be too big": (1009, frame(BINARY, length=16 * MIB + 1)),
    "message that gets too big": (
        1009,
        frame(BINARY, bytes(16 * MIB), fin=False, mask=NO_MASK) + frame(CONT, length=1),
    ),
    "HTTP request": (1002, handshake("/ws/echo")),
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
        assert (await peer.close_frame())[0] == 1002
        assert (await peer.notes())["received"] == [repr(str(number)) for number in range(200)]


async def test_the_close_frame_of_a_failure_reaches_a_client_that_goes_on_sending(server: Uvicorn) -> None:
    # A socket that is closed with unread bytes is reset, and the client may lose the close frame.
    async with opened(server, "record") as peer:
        peer.stop_reading()
        assert await peer.push(frame(0x3) + bytes(16 * MIB), seconds=SECONDS)
        peer.go_on_reading()
        assert (await peer.close_frame())[0] == 1002


async def test_a_peer_that_stays_after_a_bad_frame_is_aborted(hasty: Uvicorn) -> None:
    async with opened(hasty, "record") as peer:
        peer.send(frame(0x3))
        await peer.close_frame()
        await peer.notes()
        files = hasty.open_files()
        await hasty.until(lambda: hasty.open_files() < files)


# -- around the handshake


@pytest.mark.parametrize("data", [text("early"), close(), b"\xff" * 1000, b"GET / HTTP/1.1\r\n\r\n"])
async def test_data_before_the_accept_is_refused_with_400_and_the_application_receives_the_end(
    server: Uvicorn, data: bytes
) -> None:
    # RFC 6455 section 4.1: a client waits for the answer before it sends anything.
    async with asking(server, "pending") as peer:
        await peer.notes(until="connect")
        peer.send(data)
        assert (await peer.head()).status == 400
        await peer.rest()
        assert await peer.told() == [[1006, ""]] * 2
    assert await _said_little(server)


async def test_an_accept_after_the_refusal_of_early_data_fails(server: Uvicorn) -> None:
    async with asking(server, "pending_and_deaf") as peer:
        await peer.notes(until="ready")
        peer.send(text("early"))
        assert (await peer.head()).status == 400
        assert b"101" not in await peer.rest()
        await peer.go()
        notes = await peer.notes()
    assert notes["accept"][0][0] in ("OSError", "RuntimeError")
    assert notes["told"] == [[1006, ""]]


async def test_bytes_in_one_read_with_the_handshake_do_no_harm(server: Uvicorn) -> None:
    # uvicorn's HTTP classes lose these bytes. The connection goes on, or is refused.
    async with dialled(server, handshake("/ws/echo?id=x") + b"\xff" * 100) as peer:
        assert (await peer.head()).status in (101, 400)
    await _serves_the_next(server)


async def test_half_a_handshake_does_not_delay_others(server: Uvicorn) -> None:
    async with dialled(server, handshake("/ws/echo")[:-2]):
        await _serves_the_next(server)


@pytest.mark.parametrize("cut", [0, 10, -2, None])
async def test_a_reset_before_or_within_the_handshake_does_no_harm(server: Uvicorn, cut: int | None) -> None:
    async with dialled(server, handshake("/ws/echo")[:cut]) as peer:
        await peer.writer.drain()
        peer.reset()
    await _serves_the_next(server)


async def _serves_the_next(server: Uvicorn) -> None:
    async with opened(server, "echo") as peer:
        peer.send(text("x"), close())
        assert await peer.message() == "x"
        assert await peer.close_frame() != NOTHING


# -- RST in each state


def _noted(word: str) -> Callable[[Peer], Awaitable[object]]:
    return lambda peer: peer.notes(until=word)


async def _half_a_frame(peer: Peer) -> None:
    await peer.head()
    peer.send(frame(BINARY, bytes(1000), length=MIB))
    await peer.writer.drain()
    await peer.notes(until="accepted")


async def _unread_messages(peer: Peer) -> None:
    await peer.head()
    await peer.push(frame(BINARY, bytes(65536), mask=NO_MASK) * 100, seconds=0.3)
    await peer.notes(until="ready")


async def _a_send_that_waits(peer: Peer) -> None:
    peer.stop_reading()
    await peer.notes(until="accepted")
    await asyncio.sleep(0.2)


async def _the_server_s_close(peer: Peer) -> None:
    await peer.head()
    await peer.close_frame()


async def _its_close(peer: Peer) -> None:
    await peer.head()
    peer.send(close())


async def _a_bad_frame(peer: Peer) -> None:
    await peer.head()
    peer.send(frame(0x3))
    await peer.close_frame()


RESETS: Final[dict[str, tuple[str, Callable[[Peer], Awaitable[object]]]]] = {
    "before accept": ("pending", _noted("connect")),
    "when open": ("record", _noted("accepted")),
    "in half a frame": ("record", _half_a_frame),
    "with messages unread": ("record", _unread_messages),
    "while a send waits": ("flood_and_listen", _a_send_that_waits),
    "after the server's close frame": ("close", _the_server_s_close),
    "after its own close frame": ("record", _its_close),
    "after a bad frame": ("record", _a_bad_frame),
    "within a denial": ("deny_in_parts", _noted("ready")),
}


@pytest.mark.parametrize("state", RESETS)
async def test_a_reset_in_any_state_ends_the_handler_quietly(server: Uvicorn, state: str) -> None:
    handler, reach = RESETS[state]
    query = {"gate": 1} if state == "with messages unread" else {}
    async with asking(server, handler, query=query) as peer:
        await reach(peer)
        peer.reset()
        await peer.go()
        assert (await peer.notes())["end"][0] in ("returned", "OSError")
    assert await _said_little(server)
