"""How a connection ends: by the peer, by the application, and the events of each ending.

The contract suite has the plain endings: of a client, of an application that closes, returns or raises.
"""

import asyncio
from typing import Final

import pytest

from tests.servers.bare_handlers import BAD_CLOSE_CODES
from tests.wire.streams import BINARY, CLOSE, NO_MASK, close, frame

from .peer import Frame, Peer, asking, opened, text
from .served import Uvicorn

# -- by the peer

WAYS: Final = ("close", "FIN", "half-close", "RST")


async def leave(peer: Peer, how: str) -> list[object]:
    """End the connection in one of the WAYS; return the disconnect event that the application has to receive."""
    if how == "close":
        peer.send(close(4000))
        return [4000, ""]
    peer.leave(how)
    return [1006, ""]


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "gone"), (3000, "é" * 61), (4999, "x" * 123), (1005, "")]
)
async def test_a_close_frame_is_echoed_and_received_with_its_code_and_reason(
    server: Uvicorn, code: int, reason: str
) -> None:
    data = frame(CLOSE) if code == 1005 else close(code, reason)
    async with opened(server, "record") as peer:
        peer.send(data)
        got = await peer.frame()
        assert got == Frame(0x80 | CLOSE, b"" if code == 1005 else code.to_bytes(2) + reason.encode())
        assert await peer.end() == "FIN"
        assert await peer.told() == [[code, reason]] * 3


@pytest.mark.parametrize("how", WAYS[:3])
async def test_messages_before_the_end_are_received_before_it(server: Uvicorn, how: str) -> None:
    async with opened(server, "record", query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        peer.send(text("one"), frame(BINARY, b"two"))
        await peer.writer.drain()
        told = await leave(peer, how)
        if how == "close":
            await peer.close_frame()
        await peer.go()
        words = [word for word, *_ in await peer.probe.events()]
        notes = await peer.notes()
    assert notes["received"] == ["'one'", "b'two'"]
    assert notes["told"] == [told] * 3
    assert words[-6:] == ["received", "received", "told", "told", "told", "end"]


@pytest.mark.parametrize(("end", "code"), [(close(4000), 4000), (frame(0x3), 1002)], ids=["close", "bad frame"])
async def test_messages_that_come_with_the_end_are_answered_before_it(server: Uvicorn, end: bytes, code: int) -> None:
    async with opened(server, "threefold") as peer:
        peer.send(text("one"), text("two"), end)
        answers = [await peer.message() for _ in range(6)]
        assert answers == [f"{word}.{part}" for word in ("one", "two") for part in range(3)]
        assert (await peer.close_frame())[0] == code


async def test_a_handler_that_does_not_receive_delays_the_answer_to_a_close_frame_for_a_second(server: Uvicorn) -> None:
    async with opened(server, "record", query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        peer.send(text("one"), close(4000))
        assert await peer.close_frame() == (4000, "")
        await peer.go()
        assert await peer.told() == [[4000, ""]] * 3


@pytest.mark.parametrize("handler", ["record", "talk", "talk_in_a_group", "flood_and_listen"])
async def test_every_way_to_leave_ends_every_handler(server: Uvicorn, handler: str) -> None:
    for how in WAYS * 3:
        async with opened(server, handler) as peer:
            await peer.notes(until="accepted")
            told = await leave(peer, how)
            if how == "close":
                assert (await peer.close_frame())[0] == 4000
            if how == "half-close":
                await peer.rest()
            notes = await peer.notes()
            assert notes.get("told", [told])[0] == told, how


@pytest.mark.parametrize("handler", ["flood", "flood_and_listen"])
async def test_a_send_that_waits_is_freed_by_every_way_to_leave(server: Uvicorn, handler: str) -> None:
    async def stall_and_leave(how: str) -> None:
        async with opened(server, handler, receive_buffer=4096) as peer:
            peer.stop_reading()
            await peer.notes(until="accepted")
            # Until the buffers of both systems are full.
            await asyncio.sleep(0.2)
            told = await leave(peer, how)
            notes = await peer.notes()
        assert notes["flood" if handler == "flood_and_listen" else "end"] == ["OSError"], how
        assert notes.get("told", [told]) == [told], how

    await asyncio.gather(*map(stall_and_leave, WAYS))


# -- by the application


BAD_CLOSES: Final = {
    f"close-{BAD_CLOSE_CODES[0]}": "InvalidCloseCode",
    "close-1005": "InvalidCloseCode",
    "close-str": "InvalidCloseCode",
    "close-reason-long": "InvalidCloseReason",
    "close-reason-list": "InvalidCloseReason",
}


@pytest.mark.parametrize(("script", "error"), BAD_CLOSES.items())
async def test_an_invalid_code_or_reason_is_an_error_at_the_call_and_nothing_is_sent(
    server: Uvicorn, script: str, error: str
) -> None:
    async with opened(server, script, kind="bare") as peer:
        assert await peer.message() == "still here"
        assert await peer.close_frame() == (1000, "")
        notes = await peer.notes()
    assert error in notes["websocket.close"][0][1]


async def test_calls_after_an_own_close_are_refused_and_receive_repeats_the_end(server: Uvicorn) -> None:
    async with opened(server, "close", query={"code": 4001, "reason": "done"}) as peer:
        assert await peer.close_frame() == (4001, "done")
        await peer.answers(4001)
        notes = await peer.notes()
    assert notes["send"][0][0] == notes["close"][0][0] == "RuntimeError"
    assert notes["told"][0] == notes["told"][1]


async def test_a_handler_that_returns_closes_with_1000(server: Uvicorn) -> None:
    async with opened(server, "return", kind="bare") as peer:
        assert await peer.close_frame() == (1000, "")
        await peer.answers()


@pytest.mark.handler_fails
@pytest.mark.parametrize(
    ("handler", "kind", "code"), [("fail", "ws", 1011), ("raise", "bare", 1011), ("raise-after-close", "bare", 4001)]
)
async def test_a_handler_that_raises_closes_with_1011_unless_it_has_closed_and_its_error_is_logged_once(
    server: Uvicorn, handler: str, kind: str, code: int
) -> None:
    async with opened(server, handler, kind=kind) as peer:
        peer.send(text("x"))
        assert (await peer.close_frame())[0] == code
        await peer.answers(code)
        await server.settle()
    log = "\n".join(server.lines())
    assert log.count("Traceback (most recent call last)") == log.count(f"RuntimeError: {peer.probe.id}") == 1
    assert log.count("ERROR") == 1


async def test_messages_in_front_of_the_peer_s_close_frame_do_not_delay_the_application_s_close(
    server: Uvicorn,
) -> None:
    async with opened(server, "close_after_go") as peer:
        await peer.notes(until="ready")
        peer.send(frame(BINARY, bytes(65536), mask=NO_MASK) * 64)
        await peer.go()
        assert await peer.close_frame() == (4001, "done")
        await peer.answers(4001)
        await peer.notes()


async def test_both_sides_may_close_at_once(server: Uvicorn) -> None:
    async with opened(server, "close_after_go") as peer:
        await peer.notes(until="ready")
        peer.send(close(4444, "mine"))
        await peer.close_frame()
        await peer.go()
        notes = await peer.notes()
    # The peer's frame came first, and the application has not received the end yet.
    assert (notes["end"], notes.get("told", [])) in ((["OSError"], []), (["returned"], [[4444, "mine"]]))


async def test_a_peer_that_does_not_answer_a_close_is_aborted(hasty: Uvicorn) -> None:
    async with opened(hasty, "close", query={"code": 4001}) as peer:
        assert await peer.close_frame() == (4001, "")
        assert await peer.end() in ("FIN", "RST")
        await peer.notes()


async def test_a_peer_that_does_not_read_the_close_frame_is_aborted(hasty: Uvicorn) -> None:
    # The close frame waits behind the messages, and so do the sends of other tasks.
    query = {"count": 300, "size": 65536}
    async with opened(hasty, "close_last", query=query, receive_buffer=4096) as peer:
        peer.stop_reading()
        files = hasty.open_files()
        notes = await peer.notes()
        await hasty.until(lambda: hasty.open_files() < files)
    assert notes["waits"] == [True]
    assert "ClientDisconnected" in notes["results"][0]


@pytest.mark.parametrize("end", [frame(0x3), close(4000)], ids=["a bad frame", "a close frame behind a ping"])
async def test_the_answer_to_a_close_ends_the_connection_and_nothing_more_is_sent(server: Uvicorn, end: bytes) -> None:
    async with opened(server, "close", query={"code": 4000}) as peer:
        assert (await peer.close_frame())[0] == 4000
        peer.send(frame(0x9, b"?"), end)
        assert await peer.end() == "FIN"


# -- without a closing handshake


async def test_an_abort_resets_the_connection(server: Uvicorn) -> None:
    async with opened(server, "abort") as peer:
        peer.send(text("now"))
        assert await peer.end() == "RST"
        notes = await peer.notes()
    assert notes["send"][0][0] in ("OSError", "RuntimeError")
    assert notes["told"] == [[1006, ""]] * 2


async def test_an_abort_before_accept_resets_the_connection(server: Uvicorn) -> None:
    async with asking(server, "abort_early") as peer:
        assert await peer.end() == "RST"
        notes = await peer.notes()
    assert notes["told"] == [[1006, ""]]
    assert notes["accept"][0][0] == "OSError"


async def test_an_abort_frees_a_send_that_waits(server: Uvicorn) -> None:
    async with opened(server, "abort", query={"stall": 1}, receive_buffer=4096) as peer:
        peer.stop_reading()
        peer.send(text("now"))
        notes = await peer.notes()
    assert notes["told"] == [[1006, ""]] * 2
    assert notes["flood"] == ["OSError"]


async def test_an_abort_of_an_ended_connection_does_nothing(server: Uvicorn) -> None:
    async with opened(server, "abort_at_the_end") as peer:
        peer.send(close(4000))
        assert await peer.close_frame() == (4000, "")
        await peer.end()
        await peer.go()
        assert await peer.told() == [[4000, ""]] * 2


async def test_messages_that_were_read_before_an_abort_are_still_received(narrow: Uvicorn) -> None:
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
