"""The handshake."""

from typing import Any

import pytest

from tests.servers.client import Probe, next_client_is_served
from tests.servers.launch import ServerProcess

from .conftest import Log, Observe


@pytest.fixture
async def notes(process: ServerProcess) -> dict[str, Any]:
    """Return the notes of the handler that makes every call in the wrong state."""
    probe = Probe(process, "early")
    ws = await probe.connect()
    notes = await probe.notes()
    await ws.close()
    return notes


@pytest.mark.row("`send`, `receive` before `accept`")
async def test_calls_before_accept_are_lifecycle_errors_and_spoil_nothing(
    notes: dict[str, Any], observed: Observe
) -> None:
    assert {notes[call] for call in ("send", "receive", "wait_closed")} == {"LifecycleError"}
    assert notes["accept"] == "returned"
    observed("`LifecycleError`")


@pytest.mark.row("`accept`, `deny` after `accept`")
async def test_a_second_accept_and_a_deny_after_accept_are_lifecycle_errors(
    notes: dict[str, Any], observed: Observe
) -> None:
    assert (notes["accept again"], notes["deny"]) == ("LifecycleError", "LifecycleError")
    observed("`LifecycleError`")


@pytest.mark.row("headers of `accept`")
async def test_headers_of_accept_are_sent_where_the_server_sends_them(
    process: ServerProcess, observed: Observe
) -> None:
    ws = await Probe(process, "early").connect()
    assert ws.response is not None
    values = ws.response.headers.get_all("x-probe")
    await ws.close()
    assert values == (["one", "two"] if process.server.profile.sends_accept_headers else [])
    observed("sent" if values else "dropped by the server")


@pytest.mark.row("a subprotocol that the client offered")
async def test_an_offered_subprotocol_is_negotiated(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "subprotocol")
    ws = await probe.connect(query={"name": "two"}, subprotocols=["one", "two"])
    assert ws.subprotocol == "two"
    await ws.close()
    assert (await probe.notes())["end"] == "CONNECTED"
    observed("negotiated")


@pytest.mark.handler_fails
@pytest.mark.row("a subprotocol that the client did not offer")
async def test_a_subprotocol_that_was_not_offered_is_an_error_at_the_call(
    process: ServerProcess, observed: Observe, log: Log
) -> None:
    offers: dict[str, list[str] | None] = {"three": None, "four": ["one", "two"]}
    for name, offered in offers.items():
        probe = Probe(process, "subprotocol")
        response = await probe.refusal(query={"name": name}, subprotocols=offered)
        assert response.status_code == process.server.denies(500)
        assert (await probe.notes())["end"] == "CONNECTING"
        assert await log.count(f"InvalidSubprotocol: subprotocol '{name}' was not offered") == 1
        observed(f"`InvalidSubprotocol`, HTTP {response.status_code}")


@pytest.mark.row('`deny(401, "who are you?")`')
async def test_a_denial_has_its_status_body_and_headers(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "deny")
    response = await probe.refusal()
    assert response.status_code == process.server.denies(401)
    if process.server.profile.denial_response:
        assert response.body == b"who are you?"
        assert response.headers["www-authenticate"] == "Bearer"
    assert (await probe.notes())["send"] == "ConnectionClosed 1006"
    observed(f"HTTP {response.status_code}" + (" with the body" if response.body == b"who are you?" else ""))


@pytest.mark.row("`close(4001)` before `accept`")
async def test_a_close_before_accept_is_a_403_and_keeps_its_code(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "close-early")
    response = await probe.refusal()
    notes = await probe.notes()
    assert (response.status_code, notes["end"], notes["receive"]) == (403, 4001, "ConnectionClosed 4001")
    observed("HTTP 403, `close_code` 4001")


@pytest.mark.handler_fails
@pytest.mark.row("handler raises before `accept`")
async def test_a_handler_that_raises_before_accept_is_a_500_and_one_traceback(
    process: ServerProcess, observed: Observe, log: Log
) -> None:
    probe = Probe(process, "raise-early")
    response = await probe.refusal()
    assert response.status_code == process.server.denies(500)
    assert await log.count(f"RuntimeError: {probe.id}") == 1
    observed(f"HTTP {response.status_code}, one traceback")


@pytest.mark.row("handler returns before `accept`")
async def test_a_handler_that_returns_before_accept_is_a_403(process: ServerProcess, observed: Observe) -> None:
    response = await Probe(process, "return-early").refusal()
    assert response.status_code == 403
    observed("HTTP 403")


@pytest.mark.row("handler does not accept within `Limits.accept_timeout`")
async def test_a_handler_that_never_accepts_is_refused_in_time(
    process: ServerProcess, observed: Observe, log: Log
) -> None:
    probe = Probe(process, "never-accept")
    response = await probe.refusal()
    assert response.status_code == process.server.denies(503)
    await probe.events()
    assert await log.count("was not accepted within 0.3 s") == 1
    observed(f"HTTP {response.status_code}")


@pytest.mark.row("a path without a route")
async def test_a_path_without_a_route_is_a_404_denial(process: ServerProcess, observed: Observe) -> None:
    response = await Probe(process, "nowhere").refusal()
    assert response.status_code == process.server.denies(404)
    observed(f"HTTP {response.status_code}")


@pytest.mark.row("a page from another origin")
async def test_a_foreign_origin_is_refused_with_403_and_one_info_line(
    process: ServerProcess, observed: Observe, log: Log
) -> None:
    probe = Probe(process, "endpoint")
    response = await probe.refusal(origin="https://elsewhere.example")
    assert response.status_code == 403
    line = "INFO asgi_ws: refused WebSocket from origin 'https://elsewhere.example'; to let it in: origins="
    assert await log.count(line) == 1
    await next_client_is_served(process)
    observed("HTTP 403")


async def test_the_same_origin_connects_and_a_foreign_one_where_any_may(process: ServerProcess) -> None:
    await (await Probe(process, "endpoint").connect(origin=process.url(""))).close()
    await (await Probe(process, "any-origin").connect(origin="https://elsewhere.example")).close()


@pytest.mark.row("type of the client's port")
async def test_the_views_of_the_scope_are_the_same(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "view")
    ws = await probe.connect(query={"x": "1 & 2"}, headers={"Cookie": "a=1; b=2"}, subprotocols=["one", "two"])
    view = await ws.recv()
    port = ws.local_address[1]
    await ws.close()
    assert view == (
        f'{{"client":["127.0.0.1",{port}],"path":"/ws/view","query":{{"id":"{probe.id}","x":"1 & 2"}},'
        '"cookies":{"a":"1","b":"2"},"subprotocols":["one","two"],"state":{"greeting":"hello"}}'
    )
    observed("int")
