"""Rows of docs/how-to/starlette.md that no other test holds."""

from typing import Any

import pytest

from asgi_ws import App, InvalidMessage, Response, Route, Router, UnsupportedScope, WebSocket
from asgi_ws._asgi import Event, Scope
from tests.asgi import http

from .blocks import blocks_in


async def receive() -> Event:
    return {"type": "http.request"}


async def send(event: Event) -> None: ...


SCOPE: Scope = {"type": "websocket", "path": "/", "headers": []}


async def test_a_router_refuses_lifespan() -> None:
    with pytest.raises(UnsupportedScope):
        await Router([Route("/", Response())])({"type": "lifespan"}, receive, send)


@pytest.mark.parametrize("call", ["send_json", "receive_json"])
async def test_another_mode_is_an_invalid_message(call: str) -> None:
    ws = WebSocket(SCOPE, receive, send)
    mode: Any = {"mode": "text/plain"}
    with pytest.raises(InvalidMessage) as refused:
        await getattr(ws, call)(*([1] if call == "send_json" else []), **mode)
    assert isinstance(refused.value, TypeError)


def test_a_websocket_needs_a_running_event_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        WebSocket(SCOPE, receive, send)


@pytest.mark.parametrize(("extensions", "hints"), [({"http.response.early_hint": {}}, 1), ({}, 0)])
async def test_early_hints_go_out_as_the_page_shows(extensions: dict[str, Any], hints: int) -> None:
    namespace: dict[str, Any] = {}
    for block in blocks_in("python"):
        if block.page == "docs/how-to/starlette.md" and not block.example:
            exec(compile(block.text, block.page, "exec", dont_inherit=True), namespace)
    exchange = await http(App([Route("/", namespace["page"])]), extensions=extensions)
    types = [event["type"] for event in exchange.events]
    assert types == ["http.response.early_hint"] * hints + ["http.response.start", "http.response.body"]
