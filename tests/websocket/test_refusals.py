"""What a refused handshake looks like from outside, and which subprotocols may be accepted."""

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from asgi_ws import (
    SAME_ORIGIN,
    UNSAFE_ANY,
    InvalidSubprotocol,
    WebSocket,
    websocket_app,
)
from asgi_ws._asgi import Scope
from asgi_ws.security import check_subprotocol, offered_subprotocols
from asgi_ws.testing import WebSocketCommunicator

from ..asgi import websocket_scope
from ..outcomes import refusal
from ..samples import from_origin, handshake

# -- over an endpoint


async def refuse(scope: Scope, *, server: str = "spec", **policy: Any) -> tuple[int, bytes]:
    @websocket_app(**policy)
    async def never(ws: WebSocket) -> None:
        raise AssertionError("a refused handshake reached the handler")

    peer = WebSocketCommunicator(never, server=server)
    peer.scope["headers"] = scope["headers"]
    async with peer:
        answer = await refusal(peer)
    statistics = never.statistics()
    assert sum(statistics.refused.values()) == 1
    assert (statistics.accepted, statistics.open, statistics.failed) == (0, 0, 0)
    return answer


async def test_a_foreign_origin_is_refused_with_403_and_the_line_to_add(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asgi_ws")
    assert await refuse(from_origin("https://app.example.com")) == (403, b"origin not allowed")
    [record] = caplog.records
    assert record.levelno == logging.INFO
    assert "origins=['https://app.example.com']" in record.getMessage()


async def test_an_unlisted_host_is_refused_with_400_and_the_line_to_add(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asgi_ws")
    assert await refuse(handshake(("host", "rebound.org")), hosts=["example.org"]) == (400, b"host not allowed")
    assert "hosts=['rebound.org']" in caplog.text


async def test_a_server_without_denial_closes_instead() -> None:
    assert await refuse(from_origin("http://evil.org"), server="daphne") == (403, b"")


@pytest.mark.parametrize("origin", ["http://x\r\nERROR: forged line", "\x1b[2Jcleared", "http://\x85\u00e9"])
async def test_what_a_client_sent_is_escaped_in_the_log(origin: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asgi_ws")
    await refuse(from_origin(origin))
    [record] = caplog.records
    assert record.getMessage().isascii()
    assert record.getMessage().isprintable()


@pytest.mark.parametrize("origins", [SAME_ORIGIN, UNSAFE_ANY, ["http://testserver"]])
async def test_an_allowed_origin_reaches_the_handler(origins: Any) -> None:
    @websocket_app(origins=origins)
    async def greet(ws: WebSocket) -> None:
        await ws.accept()

    async with WebSocketCommunicator(greet, origin="http://testserver") as peer:
        assert (await peer.connect()).accepted


# -- subprotocols


@pytest.mark.parametrize(("offer", "expected"), [(["a", "b"], ["a", "b"]), ([""], []), (None, []), ((), [])])
def test_the_offered_subprotocols_keep_their_order(offer: Sequence[str] | None, expected: list[str]) -> None:
    assert offered_subprotocols({**websocket_scope(), "subprotocols": offer}) == expected


def test_a_scope_without_subprotocols_offers_none() -> None:
    scope = websocket_scope()
    del scope["subprotocols"]
    assert offered_subprotocols(scope) == []


def test_an_offered_token_may_be_accepted() -> None:
    check_subprotocol("chat.v1", websocket_scope(subprotocols=["other", "chat.v1"]))


@pytest.mark.parametrize("subprotocol", ["other", "CHAT", "", "a b", "chat\r\nset-cookie: a=1"])
def test_a_subprotocol_that_was_not_offered_or_is_no_token_may_not(subprotocol: str) -> None:
    scope = {**websocket_scope(), "subprotocols": ["chat", "a b", "chat\r\nset-cookie: a=1", ""]}
    with pytest.raises(InvalidSubprotocol) as raised:
        check_subprotocol(subprotocol, scope)
    assert raised.value.subprotocol == subprotocol
