"""HTTP to an application by `http_client`: the requests that it gets, and the errors for invalid responses."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.responses import StreamingResponse

from asgi_ws._asgi import ASGIApp, Receive, Scope, Send
from asgi_ws.testing import (
    LeakedTasks,
    LifespanManager,
    ProtocolViolation,
    TestClient,
    Unanswered,
    WaitTimeout,
    http_client,
)

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
BODY: dict[str, Any] = {"type": "http.response.body", "body": b"ok"}


def sends(*events: Any) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for event in events:
            await send(event)

    return app


async def get(app: ASGIApp, path: str = "/", **options: Any) -> Any:
    async with http_client(app, **options) as client:
        return await client.get(path)


async def scope_of(path: str = "/", **options: Any) -> Scope:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await sends(START, BODY)(scope, receive, send)

    await get(app, path, **options)
    return scopes[0]


# -- requests


async def test_the_scope_is_what_the_text_says() -> None:
    state = {"database": "open"}
    scope = await scope_of("/a%20b?q=%C3%A4", state=state, headers={"X-Name": "value"}, base_url="https://example.org")
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"q=%C3%A4")
    assert (scope["scheme"], scope["server"], scope["client"]) == ("https", ["example.org", 443], ["127.0.0.1", 50000])
    assert (b"x-name", b"value") in scope["headers"]
    assert scope["state"] == state
    assert scope["state"] is not state


async def test_a_peer_and_extensions_can_be_chosen() -> None:
    scope = await scope_of(client=None, extensions={"tls": {}})
    assert scope["client"] is None
    assert "tls" in scope["extensions"]


@pytest.mark.parametrize(
    ("server", "spec_version", "port", "has_state"), [("granian", "2.3", "7", True), ("daphne", None, 7, False)]
)
async def test_the_scope_is_that_of_the_chosen_server(
    server: str, spec_version: str | None, port: Any, has_state: bool
) -> None:
    scope = await scope_of(server=server, client=("192.0.2.1", 7))
    assert scope["asgi"].get("spec_version") == spec_version
    assert scope["client"] == ["192.0.2.1", port]
    assert ("state" in scope, "extensions" in scope) == (has_state, has_state)


async def test_an_unknown_server_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of spec, uvicorn"):
        http_client(sends(), server="apache")


async def test_a_body_arrives_whole_and_then_the_end() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event["more_body"]
        await send(START)
        await send({**BODY, "body": body})
        assert (await receive())["type"] == "http.disconnect"

    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async with http_client(app) as client:
        assert (await client.post("/", content=parts())).text == "onetwo"
        assert (await client.post("/", json={"a": 1})).json() == {"a": 1}


async def test_a_body_in_one_piece_is_one_event_as_from_a_server() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        events.append(await receive())
        await sends(START, BODY)(scope, receive, send)

    events: list[Any] = []
    async with http_client(app) as client:
        await client.get("/")
        await client.post("/", content=b"body")
    assert events == [
        {"type": "http.request", "body": b"", "more_body": False},
        {"type": "http.request", "body": b"body", "more_body": False},
    ]


async def test_a_url_that_is_none_of_http_is_refused() -> None:
    with pytest.raises(ValueError, match="expected http:// or https://"):
        await get(sends(START, BODY), "ftp://testserver/")


@pytest.mark.parametrize("kit", [TestClient, http_client, LifespanManager])
def test_a_timeout_that_is_no_bound_is_refused(kit: Any) -> None:
    with pytest.raises(ValueError, match="expected a positive number of seconds"):
        kit(sends(), timeout=0)


# -- responses


async def test_headers_may_come_from_an_iterator() -> None:
    headers = ((name, b"x") for name in (b"x-one", b"x-two"))
    response = await get(sends({**START, "headers": headers}, BODY))
    assert (response.headers["x-one"], response.headers["x-two"]) == ("x", "x")


@pytest.mark.parametrize(
    ("events", "status", "text"),
    [
        ([], 500, ""),
        ([START, {**BODY, "more_body": True}], 200, "ok"),
        ([{**START, "trailers": True}, BODY], 200, "ok"),
    ],
)
async def test_an_exception_is_answered_as_a_server_does_where_the_test_asks_for_that(
    events: list[Any], status: int, text: str
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sends(*events)(scope, receive, send)
        raise KeyError("own")

    response = await get(app, raise_server_exceptions=False, extensions={"http.response.trailers": {}})
    assert (response.status_code, response.text) == (status, text)


async def test_trailers_and_debugging_come_with_the_response() -> None:
    trailers = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": True}
    app = sends(
        {"type": "http.response.debug", "info": {"template": "index.html"}},
        {**START, "trailers": True},
        BODY,
        trailers,
        {**trailers, "more_trailers": False},
    )
    response = await get(app, extensions={"http.response.trailers": {}})
    assert response.extensions["http.response.trailers"] == [(b"x-sum", b"1")] * 2
    assert response.extensions["http.response.debug"] == {"template": "index.html"}


async def test_an_event_of_an_extension_is_let_through() -> None:
    app = sends(START, {"type": "http.response.push", "path": "/"}, BODY)
    assert (await get(app, extensions={"http.response.push": {}})).text == "ok"


# -- failures


async def test_an_application_that_hangs_is_told_where_and_what_had_come() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await asyncio.Event().wait()

    with pytest.raises(WaitTimeout, match="the application to answer and end") as late:
        await get(app, timeout=0.1)
    assert "http.response.start" in str(late.value)
    assert "await asyncio.Event().wait()" in str(late.value)


async def test_tasks_that_outlive_the_request_are_named() -> None:
    kept = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        kept.append(asyncio.create_task(asyncio.Event().wait(), name="pump"))
        await sends(START, BODY)(scope, receive, send)

    with pytest.raises(LeakedTasks, match="pump"):
        await get(app, timeout=0.1)
    assert (await get(app, timeout=0.1, check_leaks=False)).text == "ok"
    assert [task.cancelled() for task in kept] == [True, False]
    kept[-1].cancel()


@pytest.mark.parametrize(
    ("events", "text", "clause"),
    [
        ([], "returned without http.response.start", "Response Start"),
        ([START], "without an http.response.body without more_body", "Response Body"),
        ([START, {**BODY, "more_body": True}], "without an http.response.body without more_body", "Response Body"),
        ([{**START, "trailers": True}, BODY], "returned without http.response.trailers", "HTTP Trailers"),
    ],
)
async def test_an_application_that_returns_too_early_is_told_what_is_missing(
    events: list[Any], text: str, clause: str
) -> None:
    with pytest.raises(Unanswered, match=text) as raised:
        await get(sends(*events), extensions={"http.response.trailers": {}}, raise_server_exceptions=False)
    assert clause in raised.value.clause


@pytest.mark.parametrize(
    ("events", "why", "clause"),
    [
        ([BODY], "http.response.body before http.response.start", "Response Start"),
        ([START, START], "the response has begun already", "Response Start"),
        ([START, BODY, BODY], "after the response was complete", "Response Body"),
        ([{"type": "http.response.begin"}], "over HTTP", "Error Handling"),
        ([{"type": "http.response.trailers"}], "no 'http.response.trailers' in scope", "Extensions"),
        ([{**START, "trailers": True}], "no 'http.response.trailers' in scope", "HTTP Trailers"),
        ([None], "event: expected a dict, got NoneType", "Events"),
        ([{**START, "status": 103}], "200-599, not 103", "Response Start"),
        ([{**START, "headers": [(b"a",)]}], "a header is a pair", "Response Start"),
        ([START, {**BODY, "body": "text"}], "body: expected bytes, got str", "Response Body"),
        ([{"type": "http.response.debug"}], "info: expected a dict, got NoneType", "Debug"),
    ],
)
async def test_an_event_that_the_text_forbids_is_shown_with_its_clause(
    events: list[Any], why: str, clause: str
) -> None:
    with pytest.raises(ProtocolViolation, match=why) as raised:
        await get(sends(*events))
    assert clause in raised.value.clause


async def test_an_application_that_hides_its_mistake_fails_the_test_all_the_same() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(ProtocolViolation):
            await send(BODY)
        await sends(START, BODY)(scope, receive, send)

    with pytest.raises(ProtocolViolation):
        await get(app, raise_server_exceptions=False)


# -- applications that never wait


async def sends_for_ever(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    while True:
        await send({**BODY, "more_body": True})


async def receives_for_ever(scope: Scope, receive: Receive, send: Send) -> None:
    await sends(START, BODY)(scope, receive, send)
    while True:
        await receive()


async def streams_for_ever(scope: Scope, receive: Receive, send: Send) -> None:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            yield b"x"

    await StreamingResponse(parts())(scope, receive, send)


@pytest.mark.parametrize("app", [sends_for_ever, receives_for_ever, streams_for_ever])
async def test_an_application_that_never_waits_ends_in_time(app: ASGIApp) -> None:
    with pytest.raises(WaitTimeout, match="the application to answer and end"):
        await get(app, timeout=0.1)


async def test_an_endless_body_does_not_take_the_memory_that_there_is() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        for _ in range(65 if scope["path"] == "/long" else 63):
            await send({**BODY, "body": mebibyte, "more_body": True})
        await send(BODY)

    mebibyte = bytes(1024 * 1024)
    with pytest.raises(WaitTimeout, match=f"send waits: .* no more than {64 * len(mebibyte)} bytes"):
        await get(app, "/long", timeout=0.5)
    async with http_client(app) as client:
        assert len((await client.get("/")).content) == 63 * len(mebibyte) + 2
        assert (await client.head("/long")).content == b""


# -- without the libraries


@pytest.mark.parametrize("missing", ["httpx2", "asgiref"])
def test_who_lacks_a_library_is_told_the_line_that_installs_it(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; import asgi_ws.testing"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines()[-1].startswith(f"ImportError: asgi_ws.testing needs {missing}")
    assert ended.stderr.endswith(f"pip install {missing}\n")
