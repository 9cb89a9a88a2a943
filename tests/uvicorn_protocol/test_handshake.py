"""The opening handshake: what is refused and how, and what an application answers with."""

import asyncio
import re

import pytest

from asgi_ws.sizes import KIB
from tests.servers.client import SECONDS, Probe, handshake
from tests.wire.streams import close

from .conftest import Serve
from .handlers import BAD_ACCEPTS
from .peer import asking, dialled, opened, request, text
from .served import Uvicorn

# -- what is refused


# One for each status; the tests of `wire.handshake` have the others.
BAD_HANDSHAKES: dict[str, tuple[int, bytes, dict[str, str | None]]] = {
    "no key": (400, b"", {"sec_websocket_key": None}),
    "two hosts": (400, b"Host: elsewhere\r\n", {}),
    "version 12": (426, b"", {"sec_websocket_version": "12"}),
    "a body": (400, b"Content-Length: 5\r\n", {}),
    "an extension list that is none": (400, b"Sec-WebSocket-Extensions: a;;b\r\n", {}),
    "a header of 9 KiB": (431, b"X-Long: " + b"x" * 9 * KIB + b"\r\n", {}),
    "200 headers": (431, b"X-Many: x\r\n" * 200, {}),
}


@pytest.mark.parametrize(("status", "lines", "replaced"), BAD_HANDSHAKES.values(), ids=BAD_HANDSHAKES)
async def test_a_bad_handshake_is_answered_and_closed_and_never_seen_by_the_application(
    server: Uvicorn, status: int, lines: bytes, replaced: dict[str, str | None]
) -> None:
    async with dialled(server, request(Probe(server, "echo"), lines, None, **replaced)) as peer:
        head = await peer.head()
        body = await peer.rest()
    assert head.status == status
    assert "close" in str(head.value("connection"))
    assert head.value("content-length") == str(len(body))
    if status == 426:
        assert head.value("sec-websocket-version") == "13"


async def test_the_bounds_of_a_handshake_are_attributes_that_a_subclass_may_change(
    server: Uvicorn, hasty: Uvicorn
) -> None:
    for process, status, target, lines in (
        (server, 414, "/ws/echo?" + "x" * 9 * KIB, b""),
        (hasty, 101, "/ws/echo", b"Cookie: " + b"c" * 31 * KIB + b"\r\n"),
        (hasty, 431, "/ws/echo", b"Cookie: " + b"c" * 33 * KIB + b"\r\n"),
        (hasty, 431, "/ws/echo", b"X: " + b"x" * 30 * KIB + b"\r\nX: " + b"x" * 20 * KIB + b"\r\n"),
        (hasty, 431, "/ws/echo", b"X: x\r\n" * 10),
        (hasty, 414, "/ws/echo?" + "x" * KIB, b""),
    ):
        async with dialled(process, handshake(target)[:-2] + lines + b"\r\n") as peer:
            assert (await peer.head()).status == status


async def test_another_method_than_get_is_refused(server: Uvicorn) -> None:
    async with dialled(server, b"POST" + handshake("/ws/echo")[3:]) as peer:
        assert (await peer.head()).status in (400, 405)


async def test_what_browsers_and_proxies_send_is_taken(server: Uvicorn) -> None:
    async with opened(server, "echo", b"", connection="keep-alive, upgrade", upgrade="WebSocket") as peer:
        peer.send(text("x"))
        assert await peer.message() == "x"


# -- the application's answer


async def test_headers_of_an_accept_are_sent_one_by_one_and_a_subprotocol_that_was_offered(server: Uvicorn) -> None:
    async with asking(server, "accept-headers", kind="bare") as peer:
        assert (await peer.head()).values("x-probe") == ["one", "two"]
    offered = b"Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b, c\r\n"
    async with asking(server, "accept-subprotocol", offered, kind="bare") as peer:
        assert (await peer.head()).values("sec-websocket-protocol") == ["b"]


async def test_a_bad_accept_is_an_error_at_the_call_and_nothing_of_it_is_sent(server: Uvicorn) -> None:
    offered = b"Sec-WebSocket-Protocol: a, b\r\n"
    for how in BAD_ACCEPTS:
        async with asking(server, "accept_badly", offered, query={"how": how}) as peer:
            head = await peer.head()
            assert head.status == 101, how
            assert head.values("x-evil") == head.values("x-probe") == head.values("sec-websocket-protocol") == []
            assert await peer.message() == "accepted"
            notes = await peer.notes()
        assert notes["bad"][0][1] in ("InvalidHeader", "InvalidMessage", "InvalidSubprotocol"), how


@pytest.mark.handler_fails
async def test_a_bad_accept_that_the_application_does_not_catch_is_a_500(server: Uvicorn) -> None:
    async with asking(server, "accept_badly", query={"how": "line break in a value", "raise": 1}) as peer:
        head = await peer.head()
        assert head.status == 500
        assert head.values("x-evil") == []
        await server.settle()
    assert "\n".join(server.lines()).count("ERROR") == 1


async def test_what_may_not_come_before_accept_is_a_runtime_error_and_accept_still_works(server: Uvicorn) -> None:
    for script in ("send-early", "unknown-type-early", "body-early"):
        async with opened(server, script, kind="bare") as peer:
            assert await peer.message() == "still here"
            notes = await peer.notes()
        first = next(facts for word, facts in notes.items() if word not in ("receive", "websocket.accept"))
        assert first[0][0] == "RuntimeError", script


async def test_a_close_before_accept_is_a_403(server: Uvicorn) -> None:
    async with asking(server, "close-early", kind="bare") as peer:
        head = await peer.head()
        body = await peer.rest()
        notes = await peer.notes()
    assert head.status == 403
    assert head.value("content-length") == str(len(body))
    assert [event["type"] for event in notes["receive"]] == [
        repr("websocket.connect"),
        *[repr("websocket.disconnect")] * 2,
    ]
    assert [event["code"] for event in notes["receive"][1:]] == [1006, 1006]


@pytest.mark.handler_fails
@pytest.mark.parametrize("script", ["return-early", "raise-early"])
async def test_an_application_that_ends_before_it_accepts_is_a_500_and_one_error(server: Uvicorn, script: str) -> None:
    async with asking(server, script, kind="bare") as peer:
        assert (await peer.head()).status == 500
        assert b"Traceback" not in await peer.rest()
        await server.settle()
    log = "\n".join(server.lines())
    assert log.count("ERROR") == 1
    assert ("Traceback" in log) == (script == "raise-early")


async def test_a_denial_in_one_part_has_its_length(server: Uvicorn) -> None:
    async with asking(server, "deny", kind="bare") as peer:
        head = await peer.head()
        assert (head.status, head.value("x-probe")) == (401, "denied")
        assert await peer.rest() == b"who are you?"
    assert head.value("content-length") == "12"
    assert head.value("connection") == "close"


@pytest.mark.parametrize("length", [None, 13])
async def test_a_denial_is_streamed(server: Uvicorn, length: int | None) -> None:
    query = {} if length is None else {"length": length}
    async with asking(server, "deny_in_parts", query=query) as peer:
        head = await peer.head()
        chunked = length is None
        assert head.values("transfer-encoding") == (["chunked"] if chunked else [])
        assert head.values("content-length") == ([] if chunked else ["13"])
        # The first part is here before the application goes on.
        assert await peer.reader.readexactly(9 if chunked else 4) == (b"4\r\none \r\n" if chunked else b"one ")
        await peer.notes(until="ready")
        await peer.go()
        rest = await peer.rest()
        told = await peer.told()
    assert rest == (b"4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n" if chunked else b"two three")
    assert told == [[1006, ""]] * 2


async def test_a_denial_without_a_body_ends(server: Uvicorn) -> None:
    async with asking(server, "deny-without-body", kind="bare") as peer:
        assert (await peer.head()).value("content-length") == "0"
        assert await peer.rest() == b""


@pytest.mark.handler_fails
@pytest.mark.parametrize("script", ["deny-and-return", "deny-and-raise"])
async def test_a_denial_that_is_begun_and_not_finished_is_closed_and_logged(server: Uvicorn, script: str) -> None:
    async with asking(server, script, kind="bare") as peer:
        answer = await peer.rest()
        await server.settle()
    # Nothing of the response had to be sent before its body.
    assert answer == b"" or answer.split()[1] in (b"401", b"500")
    assert "\n".join(server.lines()).count("ERROR") == 1


# -- time


@pytest.mark.handler_fails
async def test_an_application_that_never_accepts_is_answered_for_and_told(hasty: Uvicorn) -> None:
    async with asking(hasty, "pending") as peer:
        assert (await peer.head()).status == 503
        await peer.rest()
        assert await peer.told() == [[1006, ""]] * 2
    # It is a fault of the application.
    assert [line.partition(":")[0] for line in hasty.complaints()] == ["WARNING"]


@pytest.mark.handler_fails
async def test_an_application_that_accepts_too_late_is_told_at_the_call(hasty: Uvicorn) -> None:
    async with asking(hasty, "pending_and_deaf") as peer:
        assert (await peer.head()).status == 503
        await peer.rest()
        await peer.go()
        notes = await peer.notes()
    assert notes["accept"][0][0] == "OSError"
    assert notes["told"] == [[1006, ""]]


async def test_a_client_that_leaves_before_accept_is_told(server: Uvicorn) -> None:
    for how in ("FIN", "RST"):
        async with asking(server, "pending") as peer:
            await peer.notes(until="connect")
            peer.leave(how)
            assert await peer.told() == [[1006, ""]] * 2


async def test_an_accept_in_time_is_not_undone_later(hasty: Uvicorn) -> None:
    async with opened(hasty, "echo") as peer:
        with pytest.raises(TimeoutError):
            await peer.frame(seconds=0.8)
        peer.send(text("x"))
        assert await peer.message() == "x"
        peer.send(close())


@pytest.mark.handler_fails
async def test_connections_past_the_limit_are_answered_with_503_until_one_ends(serve: Serve) -> None:
    """As many as uvicorn's HTTP class takes: one less than the limit, since it counts the one that asks."""
    server = serve("--limit-concurrency=4")
    async with opened(server, "echo"), opened(server, "echo"):
        async with opened(server, "echo") as third, asking(server, "echo") as fourth:
            assert (await fourth.head()).status == 503
            await fourth.rest()
            third.send(close())
            await third.close_frame()
            await third.end()
        async with asyncio.timeout(SECONDS):
            while await _status(server) != 101:
                await asyncio.sleep(0.02)
    # As uvicorn's HTTP class says it.
    (line,) = {re.sub(r"[\d.]+:\d+", "ADDRESS", line) for line in server.complaints()}
    assert line == "WARNING:  ADDRESS - WebSocket handshake refused: 503 Exceeded concurrency limit."


async def _status(server: Uvicorn) -> int:
    async with asking(server, "echo") as peer:
        return (await peer.head()).status
