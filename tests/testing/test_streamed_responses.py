"""Responses that the test reads piece by piece, by the client without await and by `http_client`."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from typing import Any

import pytest
from starlette.responses import StreamingResponse

from asgi_ws._asgi import ASGIApp, Receive, Scope, Send
from asgi_ws.testing import ProtocolViolation, TestClient, Unanswered, WaitTimeout, http_client

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}


def part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


class Ticker:
    """An application that sends "1", "2", ... without end, and records the last number and its own end."""

    def __init__(self) -> None:
        self.sent = 0
        self.ended: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(START)
            while True:
                await send(part(str(self.sent + 1).encode()))
                self.sent += 1
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise


def sends(*events: Any, error: Exception | None = None) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for event in events:
            await send(event)
        if error is not None:
            raise error

    return app


def read_one_and_leave(client: TestClient) -> None:
    with client.stream("GET", "/") as response:
        pieces = response.iter_raw()
        assert next(pieces) == b"hello"


def test_an_endless_response_is_read_piece_by_piece_and_waits_for_its_reader() -> None:
    ticker = Ticker()
    with TestClient(ticker).stream("GET", "/") as response:
        assert response.status_code == 200
        pieces = response.iter_raw()
        assert [next(pieces) for _ in range(3)] == [b"1", b"2", b"3"]
        assert ticker.sent <= 3
    assert ticker.ended == ["OSError"]


def test_a_response_is_there_before_its_first_piece() -> None:
    release = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        assert await asyncio.to_thread(release.wait, 10)
        await send(part(b"hello", more=False))

    with TestClient(app).stream("GET", "/") as response:
        release.set()
        assert response.read() == b"hello"


@pytest.mark.parametrize("server", ["spec", "uvicorn", "hypercorn"])
def test_an_application_that_looks_for_the_disconnect_ends_when_the_client_leaves(server: str) -> None:
    async def wait_for_news() -> AsyncIterator[bytes]:
        yield b"news"
        await asyncio.sleep(0.01 if server == "spec" else 3600)
        yield b"more"

    client = TestClient(StreamingResponse(wait_for_news()), server=server)
    with client.stream("GET", "/") as response:
        pieces = response.iter_raw()
        assert next(pieces) == b"news"


def test_an_application_that_does_not_notice_is_cancelled() -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await sends(START, part(b"hello"))(scope, receive, send)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    read_one_and_leave(TestClient(app, timeout=0.5))
    assert ended == ["cancelled"]


def test_one_that_refuses_to_end_fails_the_test() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sends(START, part(b"hello"))(scope, receive, send)
        for _ in range(2):
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        await asyncio.Event().wait()

    with closing(TestClient(app, timeout=0.2)) as client, pytest.raises(WaitTimeout, match="to end"):
        read_one_and_leave(client)


@pytest.mark.parametrize("how", ["block", "close"])
def test_a_client_that_ends_cancels_the_responses_that_are_open(how: str) -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            ended.append("lifespan")
            await send({"type": "lifespan.shutdown.complete"})
            return
        try:
            await sends(START, part(b"hello", more=False))(scope, receive, send)
            await asyncio.Event().wait()
        finally:
            ended.append("request")

    client = TestClient(app)
    with client if how == "block" else closing(client):
        response = client.send(client.build_request("GET", "/"), stream=True)
        pieces = response.iter_raw()
        assert next(pieces) == b"hello"
    assert ended == ["request", "lifespan"][: 2 if how == "block" else 1]
    response.close()


def test_a_response_that_was_closed_has_no_more_pieces() -> None:
    with TestClient(Ticker()).stream("GET", "/") as response:
        pieces = response.iter_raw()
        assert next(pieces) == b"1"
        response.close()
        assert next(pieces, None) is None


def test_a_complete_response_is_left_when_the_application_has_ended() -> None:
    done: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sends(START, part(b"hello", more=False))(scope, receive, send)
        await asyncio.sleep(0.05)
        done.append(True)
        raise KeyError("own")

    with pytest.raises(KeyError, match="own"):
        read_one_and_leave(TestClient(app))
    read_one_and_leave(TestClient(app, raise_server_exceptions=False))
    assert done == [True, True]


@pytest.mark.parametrize(
    ("app", "error"),
    [
        (sends(START, error=KeyError("own")), KeyError),
        (sends(START, part(b"x"), error=KeyError("own")), KeyError),
        (sends(), Unanswered),
        (sends({"type": "http.response.begin"}), ProtocolViolation),
    ],
)
async def test_a_failure_is_raised_where_the_test_reads(app: ASGIApp, error: type[BaseException]) -> None:
    with pytest.raises(error), TestClient(app).stream("GET", "/") as response:
        response.read()
    async with http_client(app) as client:
        with pytest.raises(error):
            async with client.stream("GET", "/") as streamed:
                await streamed.aread()


def test_an_exception_before_the_start_is_answered_where_the_test_asks_for_that() -> None:
    client = TestClient(sends(error=KeyError("own")), raise_server_exceptions=False)
    with client.stream("GET", "/") as response:
        assert (response.status_code, response.read()) == (500, b"")


def test_a_piece_that_does_not_come_is_told_with_the_line_that_waits() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await asyncio.Event().wait()

    client = TestClient(app, timeout=0.1)
    with (
        pytest.raises(WaitTimeout, match="more of the response; the application is at"),
        client.stream("GET", "/") as response,
    ):
        response.read()


@pytest.mark.parametrize(("method", "body"), [("GET", b""), ("HEAD", b"x")])
def test_pieces_without_content_are_left_out_and_wait_for_the_reader_all_the_same(method: str, body: bytes) -> None:
    sent: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        for number in range(200):
            await send(part(body))
            sent.append(number)
        await send(part(b"", more=False))

    with TestClient(app).stream(method, "/") as response:
        assert sent == []
        assert response.read() == b""
    assert len(sent) == 200


async def test_extensions_are_seen_as_they_come() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
        await send({**START, "trailers": True})
        await send({"type": "http.response.debug", "info": {"template": "a.html"}})
        await send(part(b"x", more=False))
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]})

    with TestClient(app, extensions={"http.response.early_hint": {}}).stream("GET", "/") as response:
        assert response.extensions["http.response.early_hint"] == [b"</a.css>; rel=preload"]
        assert response.extensions["http.response.trailers"] == []
        response.read()
        assert response.extensions["http.response.trailers"] == [(b"x-sum", b"1")]
        assert response.extensions["http.response.debug"] == {"template": "a.html"}


@pytest.mark.parametrize("server", ["uvicorn", "daphne"])
def test_what_is_sent_to_a_client_that_has_left_goes_nowhere_on_servers(server: str) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await sends(START, part(b"x"), part(b"y"), part(b"z", more=False))(scope, receive, send)
        seen.append((await receive())["type"])

    with TestClient(app, server=server).stream("GET", "/") as response:
        pieces = response.iter_raw()
        assert next(pieces) == b"x"
    assert seen == ["http.disconnect"]
