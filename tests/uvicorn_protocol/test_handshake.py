"""The opening handshake: refusals, the application's answers, and the time for them.

The contract suite has the plain answers: headers, subprotocols, denials, closes before accept, applications that end.
"""

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

# -- refusals


# One for each status; the tests of `wire.handshake` have the others.
BAD_HANDSHAKES: dict[str, tuple[int, bytes, dict[str, str | None]]] = {
    "no key": (400, b"", {"sec_websocket_key": None}),
    "two hosts": (400, b"Host: elsewhere\r\n", {}),
    "version 12": (426, b"", {"sec_websocket_version": "12"}),
    "a body": (400, b"Content-Length: 5\r\n", {}),
    "a malformed list of extensions": (400, b"Sec-WebSocket-Extensions: a;;b\r\n", {}),
    "a header of 9 KiB": (431, b"X-Long: " + b"x" * 9 * KIB + b"\r\n", {}),
    "200 headers": (431, b"X-Many: x\r\n" * 200, {}),
}


@pytest.mark.parametrize(("status", "lines", "replaced"), BAD_HANDSHAKES.values(), ids=BAD_HANDSHAKES)
async def test_a_bad_handshake_is_answered_and_closed(
    server: Uvicorn, status: int, lines: bytes, replaced: dict[str, str | None]
) -> None:
    async with dialled(server, request(Probe(server, "echo"), lines, None, **replaced)) as peer:
        head = await peer.head()
        body = await peer.rest()
    assert head.status == status
    assert "close" in str(head.value("connection"))
    assert head.value("content-length") == str(len(body))
    assert head.value("sec-websocket-version") == ("13" if status == 426 else None)


BOUNDS: dict[str, tuple[bool, int, str, bytes]] = {
    "a target of 9 KiB by default": (False, 414, "/ws/echo?" + "x" * 9 * KIB, b""),
    "a target of 1 KiB": (True, 414, "/ws/echo?" + "x" * KIB, b""),
    "a header of 31 KiB": (True, 101, "/ws/echo", b"Cookie: " + b"c" * 31 * KIB + b"\r\n"),
    "a header of 33 KiB": (True, 431, "/ws/echo", b"Cookie: " + b"c" * 33 * KIB + b"\r\n"),
    "a head of 50 KiB": (True, 431, "/ws/echo", b"X: " + b"x" * 30 * KIB + b"\r\nX: " + b"x" * 20 * KIB + b"\r\n"),
    "15 headers": (True, 431, "/ws/echo", b"X: x\r\n" * 10),
}


@pytest.mark.parametrize("bound", BOUNDS)
async def test_the_bounds_of_a_handshake_are_attributes_that_a_subclass_may_change(
    server: Uvicorn, hasty: Uvicorn, bound: str
) -> None:
    is_hasty, status, target, lines = BOUNDS[bound]
    async with dialled(hasty if is_hasty else server, handshake(target)[:-2] + lines + b"\r\n") as peer:
        assert (await peer.head()).status == status


async def test_another_method_than_get_is_refused(server: Uvicorn) -> None:
    async with dialled(server, b"POST" + handshake("/ws/echo")[3:]) as peer:
        assert (await peer.head()).status in (400, 405)


async def test_the_headers_of_browsers_and_proxies_are_accepted(server: Uvicorn) -> None:
    async with opened(server, "echo", b"", connection="keep-alive, upgrade", upgrade="WebSocket") as peer:
        peer.send(text("x"))
        assert await peer.message() == "x"


# -- the application's answer


@pytest.mark.parametrize("how", BAD_ACCEPTS)
async def test_a_bad_accept_is_an_error_at_the_call_and_nothing_of_it_is_sent(server: Uvicorn, how: str) -> None:
    async with asking(server, "accept_badly", b"Sec-WebSocket-Protocol: a, b\r\n", query={"how": how}) as peer:
        head = await peer.head()
        assert head.status == 101
        assert head.values("x-evil") == head.values("x-probe") == head.values("sec-websocket-protocol") == []
        assert await peer.message() == "accepted"
        notes = await peer.notes()
    assert notes["bad"][0][1] in ("InvalidHeader", "InvalidMessage", "InvalidSubprotocol")


@pytest.mark.handler_fails
async def test_a_bad_accept_that_the_application_does_not_catch_is_a_500(server: Uvicorn) -> None:
    async with asking(server, "accept_badly", query={"how": "line break in a value", "raise": 1}) as peer:
        head = await peer.head()
        assert (head.status, head.values("x-evil")) == (500, [])
        await server.settle()
    assert "\n".join(server.lines()).count("ERROR") == 1


async def test_a_close_before_accept_is_a_403_with_the_length_of_its_body(server: Uvicorn) -> None:
    async with asking(server, "close-early", kind="bare") as peer:
        head = await peer.head()
        assert (head.status, head.value("content-length")) == (403, str(len(await peer.rest())))


@pytest.mark.handler_fails
@pytest.mark.parametrize("script", ["return-early", "raise-early", "deny-and-return", "deny-and-raise"])
async def test_an_application_that_ends_before_it_has_answered_is_a_500_and_one_error(
    server: Uvicorn, script: str
) -> None:
    async with asking(server, script, kind="bare") as peer:
        answer = await peer.rest()
        await server.settle()
    # The head of a denial may wait for its body.
    assert (answer == b"" and script.startswith("deny")) or answer.split()[1] in (b"500", b"401")
    assert b"Traceback" not in answer
    log = "\n".join(server.lines())
    assert log.count("ERROR") == 1
    assert ("Traceback" in log) == script.endswith(("raise", "raise-early"))


@pytest.mark.parametrize("length", [None, 13])
async def test_a_denial_is_streamed(server: Uvicorn, length: int | None) -> None:
    chunked = length is None
    async with asking(server, "deny_in_parts", query={} if chunked else {"length": length}) as peer:
        head = await peer.head()
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


# -- time


@pytest.mark.handler_fails
async def test_an_application_that_never_accepts_is_answered_for_and_receives_the_end(hasty: Uvicorn) -> None:
    async with asking(hasty, "pending") as peer:
        assert (await peer.head()).status == 503
        await peer.rest()
        assert await peer.told() == [[1006, ""]] * 2
    assert [line.partition(":")[0] for line in hasty.complaints()] == ["WARNING"]


@pytest.mark.handler_fails
async def test_an_accept_that_is_too_late_is_an_error_at_the_call(hasty: Uvicorn) -> None:
    async with asking(hasty, "pending_and_deaf") as peer:
        assert (await peer.head()).status == 503
        await peer.rest()
        await peer.go()
        notes = await peer.notes()
    assert notes["accept"][0][0] == "OSError"
    assert notes["told"] == [[1006, ""]]


@pytest.mark.parametrize("how", ["FIN", "RST"])
async def test_an_application_receives_the_end_of_a_client_that_leaves_before_accept(server: Uvicorn, how: str) -> None:
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
    # uvicorn's HTTP class accepts one less than the limit too, since it counts the new connection.
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
    # As uvicorn's HTTP class logs it.
    (line,) = {re.sub(r"[\d.]+:\d+", "ADDRESS", line) for line in server.complaints()}
    assert line == "WARNING:  ADDRESS - WebSocket handshake refused: 503 Exceeded concurrency limit."


async def _status(server: Uvicorn) -> int:
    async with asking(server, "echo") as peer:
        return (await peer.head()).status
