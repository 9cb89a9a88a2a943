"""Responses that are made while they are sent, and requests that are read meanwhile."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from asgi_ws import (
    ClientDisconnected,
    HTTPApp,
    HTTPError,
    InvalidMessage,
    Limits,
    Request,
    Response,
    StreamingResponse,
    http_app,
)
from asgi_ws._asgi import ASGIApp

from ..asgi import Exchange, get, http, http_scope
from ..hanging import HANGING
from ..samples import pieces, posted

# -- streaming


async def test_a_stream_goes_out_piece_by_piece_and_no_piece_is_empty() -> None:
    answer = await get(StreamingResponse(pieces()))
    assert [event["body"] for event in answer.events[1:]] == ["é".encode(), b"\x01", b""]
    assert [event["more_body"] for event in answer.events[1:]] == [True, True, False]
    assert answer.headers.multi_items() == [("content-type", "text/plain; charset=utf-8")]


async def test_a_stream_keeps_the_type_that_its_headers_name() -> None:
    answer = await get(StreamingResponse(pieces(), 201, {"Content-Type": "text/event-stream"}))
    assert answer.headers.getlist("content-type") == ["text/event-stream"]
    assert answer.status == 201


async def test_any_async_iterable_can_be_streamed() -> None:
    class Pieces:
        def __aiter__(self) -> AsyncIterator[str | bytes]:
            return pieces()

    assert (await get(StreamingResponse(Pieces()))).body == "é\x01".encode()


async def test_an_iterator_that_is_no_generator_needs_no_closing() -> None:
    class Two:
        left = 2

        def __aiter__(self) -> "Two":
            return self

        async def __anext__(self) -> bytes:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return b"x"

    assert (await get(StreamingResponse(Two()))).body == b"xx"


def test_what_is_no_async_iterable_is_refused() -> None:
    rows: list[Any] = [["a"], "text", None, iter("a")]
    for value in rows:
        with pytest.raises(InvalidMessage, match="an async iterable"):
            StreamingResponse(value)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_where_no_body_may_go_the_iterator_is_not_even_begun(method: str, status: int) -> None:
    begun: list[None] = []

    async def never() -> AsyncIterator[bytes]:
        begun.append(None)
        yield b""

    answer = await http(StreamingResponse(never(), status), method)
    assert begun == []
    assert (answer.status, answer.body, answer.is_complete) == (status, b"", True)


async def test_a_stream_ends_and_its_generator_is_closed_when_the_client_leaves() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            exchange.gone.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    exchange = Exchange(http_scope())

    @http_app
    async def handler(request: Request) -> StreamingResponse:
        return StreamingResponse(endless())

    await exchange.run(handler)
    assert closed.is_set()
    assert exchange.body == b"first"
    assert not exchange.is_complete


async def test_a_generator_is_closed_when_the_server_cannot_send() -> None:
    closed = asyncio.Event()

    async def two() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            exchange.send_error = BrokenPipeError()
            yield b"second"
        finally:
            closed.set()

    exchange = Exchange(http_scope())

    @http_app
    async def handler(request: Request) -> StreamingResponse:
        return StreamingResponse(two())

    await exchange.run(handler)
    assert closed.is_set()


@pytest.mark.parametrize("error", [ValueError("late"), HTTPError(404)])
async def test_an_error_after_the_start_goes_to_the_server_and_the_response_stays_incomplete(error: Exception) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"first"
        raise error

    @http_app
    async def handler(request: Request) -> StreamingResponse:
        return StreamingResponse(failing())

    exchange = Exchange(http_scope())
    with pytest.raises(type(error)) as raised:
        await exchange.run(handler)
    assert raised.value is error
    assert (exchange.status, exchange.body, exchange.is_complete) == (200, b"first", False)


@pytest.mark.parametrize("piece", [5, None, ["a"]])
async def test_a_piece_of_another_type_is_an_error_and_no_zero_bytes(piece: Any) -> None:
    async def wrong() -> AsyncIterator[Any]:
        yield piece

    with pytest.raises(InvalidMessage):
        await get(StreamingResponse(wrong()))


# -- reading the request while the response goes out


def echoing(*, begin: Callable[[Request], Any], limits: Limits | None = None) -> HTTPApp:
    """Return a handler that awaits `begin` in its response, and then streams the request back."""

    @http_app(limits=limits or Limits())
    async def handler(request: Request) -> StreamingResponse:
        async def answer() -> AsyncIterator[bytes]:
            yield b">"
            await begin(request)
            async for piece in request.stream():
                yield piece

        return StreamingResponse(answer())

    return handler


async def turns(request: Request) -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_streamed_response_may_read_the_request_late() -> None:
    rows: list[list[bytes]] = [[b""], [b"abc"], [b"a", b"b", b"c"]]
    for body in rows:
        exchange = await posted(*body).run(echoing(begin=turns))
        assert exchange.body == b">" + b"".join(body)
        assert exchange.is_complete


async def test_no_piece_is_lost_that_comes_while_the_stream_waits_for_its_turn() -> None:
    inbox: asyncio.Queue[bytes] = asyncio.Queue()
    sent: list[bytes] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": await inbox.get(), "more_body": len(sent) < 2}

    async def send(event: Any) -> None:
        if event["type"] == "http.response.body":
            sent.append(event["body"])

    task = asyncio.ensure_future(echoing(begin=turns)(http_scope("POST"), receive, send))
    async with asyncio.timeout(HANGING):
        for piece in (b"1", b"2"):
            for _ in range(40):
                await asyncio.sleep(0)
            inbox.put_nowait(piece)
        while b"2" not in sent:
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert sent[:3] == [b">", b"1", b"2"]


@pytest.mark.parametrize("max_body_bytes", [3, None])
async def test_what_is_read_ahead_counts_against_the_limit(max_body_bytes: int | None) -> None:
    exchange = posted(b"12", b"34", b"56")
    app = echoing(begin=turns, limits=Limits(max_body_bytes=max_body_bytes))
    if max_body_bytes is None:
        assert (await exchange.run(app)).body == b">123456"
    else:
        # It is too late for a status, and not an error of the handler. The response stays unfinished.
        assert (await exchange.run(app)).body == b">12"
        assert not exchange.is_complete
        assert app.statistics().refused == {"BODY_BYTES": 1}


async def test_a_two_way_stream_answers_what_came_while_it_was_away() -> None:
    inbox: asyncio.Queue[bytes] = asyncio.Queue()
    sent: list[bytes] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": await inbox.get(), "more_body": True}

    async def send(event: Any) -> None:
        if event["type"] == "http.response.body":
            sent.append(event["body"])

    task = asyncio.ensure_future(echoing(begin=turns)(http_scope("POST"), receive, send))
    async with asyncio.timeout(HANGING):
        inbox.put_nowait(b"1")
        while sent != [b">", b"1"]:
            await asyncio.sleep(0)
        inbox.put_nowait(b"2")
        while sent != [b">", b"1", b"2"]:
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


async def test_a_body_without_a_limit_is_not_read_ahead_without_one() -> None:
    reads = 0
    go_on = asyncio.Event()

    async def receive() -> Any:
        nonlocal reads
        reads += 1
        return {"type": "http.request", "body": bytes(512 * 1024), "more_body": reads < 8}

    async def wait(request: Request) -> None:
        await go_on.wait()

    received = 0

    async def send(event: Any) -> None:
        nonlocal received
        received += len(event.get("body", b""))

    app = echoing(begin=wait, limits=Limits(max_body_bytes=None))
    task = asyncio.ensure_future(app(http_scope("POST"), receive, send))
    for _ in range(50):
        await asyncio.sleep(0)
    assert reads == 2
    go_on.set()
    async with asyncio.timeout(HANGING):
        while received < 8 * 512 * 1024:
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


async def test_a_client_that_left_is_seen_by_who_reads_later() -> None:
    seen: list[str] = []

    async def answer(request: Request) -> AsyncIterator[bytes]:
        try:
            yield b">"
            await asyncio.Event().wait()
        finally:
            try:
                await request.body()
            except ClientDisconnected:
                seen.append("gone")

    @http_app
    async def handler(request: Request) -> StreamingResponse:
        return StreamingResponse(answer(request))

    exchange = await posted(b"half", leaves=True).run(handler)
    assert seen == ["gone"]
    assert exchange.reads == 2


async def test_an_asgi_application_returned_by_a_handler_gets_the_body() -> None:
    @http_app
    async def echo(request: Request) -> Response:
        return Response(await request.body())

    @http_app
    async def handler(request: Request) -> ASGIApp:
        return echo

    assert (await posted(b"a", b"b").run(handler)).body == b"ab"


async def test_a_stream_that_was_left_early_lets_the_response_see_the_client_leave_and_keeps_no_more() -> None:
    rest = bytes(range(64))
    held = sys.getrefcount(rest)
    requests: list[Request] = []

    @http_app
    async def handler(request: Request) -> StreamingResponse:
        requests.append(request)
        stream = request.stream()
        assert await anext(stream) == b"a"
        await stream.aclose()  # type: ignore[attr-defined]  # it is an async generator

        async def endless() -> AsyncIterator[bytes]:
            yield b"x"
            await asyncio.Event().wait()

        return StreamingResponse(endless())

    exchange = posted(b"a", rest, leaves=True)
    assert (await exchange.run(handler)).body == b"x"
    assert exchange.reads == 3
    exchange.pieces = ()
    assert sys.getrefcount(rest) == held


async def each_piece(request: Request) -> AsyncIterator[bytes]:
    async for piece in request.stream():
        yield b"%d " % len(piece)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("pieces_of", [lambda request: request.stream(), each_piece])
async def test_a_stream_of_the_request_ends_with_it_however_the_pieces_come(pieces_of: Any, count: int) -> None:
    @http_app
    async def handler(request: Request) -> StreamingResponse:
        return StreamingResponse(pieces_of(request))

    inbox: asyncio.Queue[Any] = asyncio.Queue()
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    task = asyncio.ensure_future(handler(http_scope("POST"), inbox.get, send))
    for number in range(count):
        for _ in range(10):
            await asyncio.sleep(0)
        inbox.put_nowait({"type": "http.request", "body": b"ab", "more_body": number + 1 < count})
    async with asyncio.timeout(HANGING):
        await task
    assert len([event for event in sent if event.get("body")]) == count
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
