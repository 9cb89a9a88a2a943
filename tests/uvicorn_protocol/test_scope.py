"""The scope, the default headers and the lines in the log."""

import json
from typing import Any, Final

import pytest

from tests.servers.client import handshake
from tests.wire.streams import close

from .conftest import Serve, Start
from .peer import Head, Peer, asking, dialled, opened, text
from .served import Uvicorn


async def _scope(server: Uvicorn, target: str = "/ws/scope", lines: bytes = b"") -> Any:
    async with dialled(server, handshake(target)[:-2] + lines + b"\r\n") as peer:
        assert (await peer.head()).status == 101
        scope = json.loads(str(await peer.message()))
        scope["is_its_client"] = scope["client"] == list(peer.writer.get_extra_info("sockname"))
        return scope


async def test_the_scope_has_the_keys_of_the_asgi_text_and_a_state_of_its_own(server: Uvicorn) -> None:
    scope = await _scope(server)
    assert (await _scope(server))["state"] == {"greeting": "hello"}
    headers = scope.pop("headers")
    scope.pop("client")
    assert scope.pop("extensions").keys() >= {"websocket.http.response", "asgi_ws.abort"}
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/ws/scope",
        "raw_path": "/ws/scope",
        "root_path": "",
        "query_string": "",
        "server": ["127.0.0.1", server.port],
        "subprotocols": [],
        "state": {"greeting": "hello"},
        "is_its_client": True,
    }
    assert ["host", "127.0.0.1"] in headers
    assert ["upgrade", "websocket"] in headers


PATHS: Final = {
    "/ws/scope/%C3%A9": "/ws/scope/é",
    "/ws/scope/a%2Fb%20c": "/ws/scope/a/b c",
    "/ws/scope/%FF": "/ws/scope/\ufffd",
    "/ws/scope/%25": "/ws/scope/%",
    "/ws/scope/a+b": "/ws/scope/a+b",
    "/ws/scope/%zz": "/ws/scope/%zz",
    "/ws/scope//a/../b": "/ws/scope//a/../b",
}


@pytest.mark.parametrize(("target", "path"), PATHS.items())
async def test_a_path_is_decoded_and_kept_raw(server: Uvicorn, target: str, path: str) -> None:
    scope = await _scope(server, f"{target}?a=%C3%A9&b=c+d?e")
    assert (scope["path"], scope["raw_path"]) == (path, target)
    assert scope["query_string"] == "a=%C3%A9&b=c+d?e"


async def test_headers_come_in_order_in_lower_case_and_as_latin_1(server: Uvicorn) -> None:
    lines = "X-Probe: one\r\nx-other:  spaced  \r\nX-PROBE: caf\xe9\r\nX-Empty:\r\n".encode("latin-1")
    headers = (await _scope(server, lines=lines))["headers"]
    assert headers[-4:] == [["x-probe", "one"], ["x-other", "spaced"], ["x-probe", "caf\xe9"], ["x-empty", ""]]


async def test_subprotocols_of_several_lines_come_in_order(server: Uvicorn) -> None:
    lines = b"Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b ,c\r\n"
    assert (await _scope(server, lines=lines))["subprotocols"] == ["a", "b", "c"]


async def test_a_root_path_stands_before_the_path(serve: Serve) -> None:
    scope = await _scope(serve("--root-path=/r"), "/ws/scope/%C3%A9")
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/r", "/r/ws/scope/é", "/r/ws/scope/%C3%A9")


async def test_a_trusted_proxy_names_the_client_and_the_scheme(server: Uvicorn) -> None:
    # uvicorn's middleware does this for every application.
    scope = await _scope(server, lines=b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: wss\r\n")
    assert (scope["client"], scope["scheme"]) == (["192.0.2.1", 0], "wss")


# -- default headers


async def _head(server: Uvicorn, handler: str, kind: str) -> Head:
    async with asking(server, handler, kind=kind) as peer:
        return await peer.head()


ANSWERS: Final = [("echo", "ws", 101), ("deny", "bare", 401), ("close-early", "bare", 403)]


@pytest.mark.parametrize(("handler", "kind", "status"), ANSWERS)
async def test_every_answer_has_uvicorn_s_default_headers_which_can_be_left_out(
    serve: Serve, handler: str, kind: str, status: int
) -> None:
    head = await _head(serve("--header=X-Default:yes"), handler, kind)
    assert (head.status, head.value("x-default"), head.value("server")) == (status, "yes", "uvicorn")
    assert head.value("date") is not None
    head = await _head(serve("--no-date-header", "--no-server-header"), handler, kind)
    assert (head.status, head.values("server"), head.values("date")) == (status, [], [])


# Headers that belong to the answer itself, and invalid ones.
_BAD_DEFAULTS: Final = [
    "Connection: keep-alive",
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Upgrade: h2c",
    "Sec-WebSocket-Accept: x",
    "Sec-WebSocket-Extensions: permessage-deflate",
    "Sec-WebSocket-Protocol: chat",
    "Sec-WebSocket-Version: 12",
    "X-Odd: a\x85b",
    "X Odd: b",
]


@pytest.mark.handler_fails
async def test_default_headers_that_an_answer_cannot_have_are_left_out_and_logged_once(start: Start) -> None:
    defaults = [*_BAD_DEFAULTS, "Upgrade: h3c", "X-Good:yes", "Content-Type:text/x"]
    server, bad_key = start(*(f"--header={header}" for header in defaults)), b"Sec-WebSocket-Key: x\r\n"
    for _ in range(2):
        async with opened(server, "echo") as peer:
            peer.send(text("x"))
            assert await peer.message() == "x"
        for handler, kind, line, status in (("deny", "bare", b"", 401), ("echo", "ws", bad_key, 400)):
            async with asking(server, handler, line, kind=kind) as peer:
                head, body = await peer.head(), await peer.rest()
            assert (head.status, head.value("connection"), head.value("x-good")) == (status, "close", "yes")
            assert head.value("content-length") == str(len(body))
            names = {name for name, _ in head.headers}
            assert names.isdisjoint({"transfer-encoding", "upgrade", "x-odd", "x odd"})
            assert not any(name.startswith("sec-websocket-") for name in names)
        assert head.value("content-type") == "text/plain; charset=utf-8"
    lines = [line for line in server.lines() if "default header" in line]
    assert len(lines) == len(_BAD_DEFAULTS)
    assert all(line.isascii() and line.isprintable() for line in lines)


# -- the log


async def _line(server: Uvicorn, peer: Peer) -> str:
    """Return the only line about a connection, from the client's address on."""
    await server.settle()
    address = f"127.0.0.1:{peer.writer.get_extra_info('sockname')[1]}"
    (line,) = [line for line in server.lines() if address in line]
    return line.partition(address)[2]


async def test_an_accepted_connection_is_one_line_like_uvicorn_s_own(server: Uvicorn) -> None:
    async with opened(server, "echo", query={"a": "b c"}) as peer:
        peer.send(close())
        await peer.close_frame()
        assert await _line(server, peer) == f' - "WebSocket {peer.probe.target(a="b c")}" [accepted]'


@pytest.mark.parametrize(("handler", "kind", "status"), ANSWERS[1:])
async def test_a_refused_connection_is_one_line_with_its_status(
    server: Uvicorn, handler: str, kind: str, status: int
) -> None:
    async with asking(server, handler, kind=kind) as peer:
        await peer.rest()
        assert await _line(server, peer) == f' - "WebSocket {peer.probe.target()}" {status}'


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/ws/echo/%0D%0AERROR:%20forged%1B%5B31m%C3%A9%22", "/ws/echo/%0D%0AERROR:%20forged%1B%5B31m%C3%A9%22"),
        ("/ws/echo/" + "a" * 4000, "/ws/echo/" + "a" * 488 + "..."),
    ],
    ids=["escapes", "length"],
)
async def test_a_path_is_logged_as_it_was_sent_and_cut(server: Uvicorn, target: str, shown: str) -> None:
    async with dialled(server, handshake(target)) as peer:
        assert (await peer.head()).status == 101
        assert await _line(server, peer) == f' - "WebSocket {shown}" [accepted]'


@pytest.mark.handler_fails
@pytest.mark.parametrize("target", [b"/ws/echo?\x85=\xff", b"/ws/echo/\xff", b"/ws/echo?a\x0bb"])
async def test_a_target_that_is_not_ascii_is_not_an_error_of_the_server(server: Uvicorn, target: bytes) -> None:
    # uvicorn's HTTP class may refuse it, and logs its own warning.
    async with dialled(server, handshake("*").replace(b"*", target, 1)) as peer:
        first = await peer.reader.readline()
        await server.settle()
    assert first.split()[1] in (b"101", b"400")
    assert all(line.isascii() and line.isprintable() for line in server.lines())
    assert server.complaints() in ([], ["WARNING:  Invalid HTTP request received."])
