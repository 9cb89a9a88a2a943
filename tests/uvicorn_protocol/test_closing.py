"""How a connection ends: by the peer, by the application, and what each is told."""

import asyncio
from typing import Final

import pytest

from tests.servers.bare_handlers import BAD_CLOSE_CODES, CLOSE_CODES

from .peer import BINARY, CLOSE, Frame, Peer, asking, close, frame, opened, text
from .served import Uvicorn

# -- by the peer

WAYS: Final = ("close", "FIN", "half-close", "RST")


async def leave(peer: Peer, how: str, code: int = 4000) -> tuple[int, str]:
    """End the connection in one of the WAYS; what the application is to be told."""
    if how == "close":
        peer.send(close(code))
        return code, ""
    peer.leave(how)
    return 1006, ""


async def test_a_close_frame_is_echoed_and_told_with_its_code_and_reason(server: Uvicorn) -> None:
    for code, reason in ((1000, ""), (1001, "gone"), (3000, "é" * 61), (4999, "x" * 123)):
        async with opened(server, "record") as peer:
            peer.send(close(code, reason))
            assert await peer.close_frame() == (code, reason)
            assert await peer.end() == "FIN"
            assert await peer.told() == [[code, reason]] * 3
    async with opened(server, "record") as peer:
        peer.send(close(None))
        assert await peer.frame() == Frame(0x80 | CLOSE, b"")
        assert await peer.end() == "FIN"
        assert await peer.told() == [[1005, ""]] * 3


async def test_an_end_without_a_close_frame_is_told_as_1006(server: Uvicorn) -> None:
    for how in WAYS[1:]:
        async with opened(server, "record") as peer:
            peer.leave(how)
            assert await peer.told() == [[1006, ""]] * 3, how
            if how == "half-close":
                assert await peer.end() == "FIN"


async def test_messages_before_the_end_are_received_before_it(server: Uvicorn) -> None:
    for how in WAYS[:3]:
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
        assert notes["received"] == ["'one'", "b'two'"], how
        assert notes["told"] == [[*told]] * 3, how
        assert words[-6:] == ["received", "received", "told", "told", "told", "end"]


async def test_messages_that_come_with_the_end_are_answered_before_it(server: Uvicorn) -> None:
    for end, code in ((close(4000), 4000), (frame(0x3), 1002)):
        async with opened(server, "threefold") as peer:
            peer.send(text("one"), text("two"), end)
            answers = [await peer.message() for _ in range(6)]
            assert answers == [f"{word}.{part}" for word in ("one", "two") for part in range(3)]
            assert (await peer.close_frame())[0] == code


async def test_a_handler_that_does_not_receive_holds_the_answer_to_a_close_frame_up_for_a_second(
    server: Uvicorn,
) -> None:
    async with opened(server, "record", query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        peer.send(text("one"), close(4000))
        assert await peer.close_frame() == (4000, "")
        await peer.go()
        assert await peer.told() == [[4000, ""]] * 3


async def test_calls_after_the_peer_left_fail_as_they_should(server: Uvicorn) -> None:
    for how in WAYS:
        async with opened(server, "call_after_the_end") as peer:
            told = await leave(peer, how)
            notes = await peer.notes()
        # ASGI, "Disconnected Client": an OSError from spec version 2.4 on.
        assert notes["send"][0][0] == notes["send again"][0][0] == "OSError", how
        assert notes["told"] == [[*told]] * 2, how
        assert notes["end"] == ["returned"]


@pytest.mark.parametrize("handler", ["record", "talk", "talk_in_a_group", "flood_and_listen"])
async def test_every_way_to_leave_ends_every_handler(server: Uvicorn, handler: str) -> None:
    for how in ("close", "FIN", "RST") * 4:
        async with opened(server, handler) as peer:
            await peer.notes(until="accepted")
            await leave(peer, how)
            if how == "close":
                assert (await peer.close_frame())[0] == 4000
            await peer.notes()


@pytest.mark.parametrize("handler", ["flood", "flood_and_listen"])
async def test_a_send_that_waits_is_freed_by_every_way_to_leave(server: Uvicorn, handler: str) -> None:
    """The peer does not read, and what waits for it in the write buffer never leaves."""

    async def stall_and_leave(how: str) -> None:
        async with opened(server, handler, receive_buffer=4096) as peer:
            peer.stop_reading()
            await peer.notes(until="accepted")
            # Until the buffers of both systems are full.
            await asyncio.sleep(0.2)
            told = await leave(peer, how)
            notes = await peer.notes()
        assert notes["flood" if handler == "flood_and_listen" else "end"] == ["OSError"], how
        assert notes.get("told", [[*told]]) == [[*told]], how

    await asyncio.gather(*map(stall_and_leave, WAYS))


# -- by the application


async def test_the_application_s_code_and_reason_are_sent(server: Uvicorn) -> None:
    for code in (1000, 1014, 3000, 4999):
        assert code in CLOSE_CODES
        async with opened(server, f"close-{code}", kind="bare") as peer:
            assert await peer.close_frame() == (code, "done")
            peer.send(close(code))
            assert await peer.end() == "FIN"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (f"close-{BAD_CLOSE_CODES[0]}", "InvalidCloseCode"),
        ("close-1005", "InvalidCloseCode"),
        ("close-str", "InvalidCloseCode"),
        ("close-reason-long", "InvalidCloseReason"),
        ("close-reason-list", "InvalidCloseReason"),
    ],
)
async def test_a_code_or_reason_that_may_not_be_sent_is_an_error_at_the_call_and_nothing_is_sent(
    server: Uvicorn, script: str, error: str
) -> None:
    async with opened(server, script, kind="bare") as peer:
        assert await peer.message() == "still here"
        assert await peer.close_frame() == (1000, "")
        notes = await peer.notes()
    assert error in notes["websocket.close"][0][1]


async def test_all_that_waits_for_a_slow_peer_arrives_before_the_close(server: Uvicorn) -> None:
    query = {"size": 65536, "count": 100}
    async with opened(server, "flood", query=query, receive_buffer=4096) as peer:
        peer.stop_reading()
        await peer.notes(until="accepted")
        peer.go_on_reading()
        got = [int.from_bytes((await peer.frame()).payload[:4]) for _ in range(100)]
        assert await peer.close_frame() == (1000, "")
    assert got == list(range(100))


async def test_calls_after_an_own_close_are_refused_and_receive_repeats_the_end(server: Uvicorn) -> None:
    async with opened(server, "close", query={"code": 4001, "reason": "done"}) as peer:
        assert await peer.close_frame() == (4001, "done")
        peer.send(close(4001))
        assert await peer.end() == "FIN"
        notes = await peer.notes()
    assert notes["send"][0][0] == "RuntimeError"
    assert notes["close"][0][0] == "RuntimeError"
    assert notes["told"][0] == notes["told"][1]


async def test_a_handler_that_returns_has_its_connection_closed_with_1000(server: Uvicorn) -> None:
    async with opened(server, "return", kind="bare") as peer:
        assert await peer.close_frame() == (1000, "")
        peer.send(close())
        assert await peer.end() == "FIN"


@pytest.mark.handler_fails
@pytest.mark.parametrize(("handler", "kind"), [("fail", "ws"), ("raise", "bare")])
async def test_a_handler_that_raises_has_its_connection_closed_with_1011_and_the_error_logged_once(
    server: Uvicorn, handler: str, kind: str
) -> None:
    async with opened(server, handler, kind=kind) as peer:
        peer.send(text("x"))
        assert (await peer.close_frame())[0] == 1011
        peer.send(close(1011))
        assert await peer.end() == "FIN"
        await server.settle()
    log = "\n".join(server.lines())
    assert log.count("Traceback (most recent call last)") == 1
    assert log.count(f"RuntimeError: {peer.probe.id}") == 1
    assert log.count("ERROR") == 1


@pytest.mark.handler_fails
async def test_a_handler_that_raises_after_its_close_is_logged_and_nothing_more_is_sent(server: Uvicorn) -> None:
    async with opened(server, "raise-after-close", kind="bare") as peer:
        assert await peer.close_frame() == (4001, "")
        peer.send(close(4001))
        assert await peer.end() == "FIN"
        await server.settle()
    assert "\n".join(server.lines()).count(f"RuntimeError: {peer.probe.id}") == 1


async def test_messages_on_their_way_do_not_hold_up_the_application_s_close(server: Uvicorn) -> None:
    """They are in front of the peer's close frame, and nobody will receive them."""
    async with opened(server, "close_after_go") as peer:
        await peer.notes(until="ready")
        pushed = frame(BINARY, bytes(65536), mask=bytes(4)) * 64
        peer.send(pushed)
        await peer.go()
        assert await peer.close_frame() == (4001, "done")
        peer.send(close(4001))
        assert await peer.end() == "FIN"
        await peer.notes()


async def test_a_peer_that_does_not_answer_a_close_is_cut_off(hasty: Uvicorn) -> None:
    async with opened(hasty, "close", query={"code": 4001}) as peer:
        assert await peer.close_frame() == (4001, "")
        assert await peer.end() in ("FIN", "RST")
        await peer.notes()


async def test_a_peer_that_reads_no_close_frame_is_cut_off(hasty: Uvicorn) -> None:
    """The close frame waits behind all that the peer does not read, and so does another task's send."""
    async with opened(hasty, "close_behind_a_flood", receive_buffer=4096) as peer:
        peer.stop_reading()
        files = hasty.open_files()
        notes = await peer.notes()
        await hasty.until(lambda: hasty.open_files() < files)
    assert notes["waits"] == [True]
    assert notes["flood"][0] in ("OSError", "RuntimeError")


async def test_both_sides_may_close_at_once(server: Uvicorn) -> None:
    async with opened(server, "close_after_go") as peer:
        await peer.notes(until="ready")
        peer.send(close(4444, "mine"))
        await peer.close_frame()
        await peer.go()
        notes = await peer.notes()
    # The peer's frame came first, and the application has not yet been told.
    assert (notes["end"], notes.get("told", [])) in ((["OSError"], []), (["returned"], [[4444, "mine"]]))


# -- without a closing handshake


async def test_the_application_can_have_the_connection_reset(server: Uvicorn) -> None:
    async with opened(server, "abort") as peer:
        peer.send(text("now"))
        assert await peer.end() == "RST"
        notes = await peer.notes()
    assert "asgi_ws.abort" in notes["extensions"][0]
    assert notes["send"][0][0] in ("OSError", "RuntimeError")
    assert notes["told"] == [[1006, ""]] * 2


async def test_a_reset_is_to_be_had_before_accept_too(server: Uvicorn) -> None:
    async with asking(server, "abort_early") as peer:
        assert await peer.end() == "RST"
        notes = await peer.notes()
    assert notes["told"] == [[1006, ""]]
    assert notes["accept"][0][0] == "OSError"


async def test_a_reset_frees_a_send_that_waits(server: Uvicorn) -> None:
    async with opened(server, "abort", query={"stall": 1}, receive_buffer=4096) as peer:
        peer.stop_reading()
        peer.send(text("now"))
        notes = await peer.notes()
    assert notes["told"] == [[1006, ""]] * 2
    assert notes["flood"] == ["OSError"]
