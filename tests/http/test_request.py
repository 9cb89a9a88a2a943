"""Requests, and errors of a handler: the client's response, and the lines in the server's log."""

from typing import Any

import pytest

from asgi_ws import (
    ClientDisconnected,
    HTTPError,
    InvalidMessage,
    JSONCodec,
    JSONResponse,
    Limits,
    Request,
    Response,
    StreamingResponse,
    UnsupportedScope,
    http_app,
)
from asgi_ws._asgi import ASGIApp

from ..asgi import Exchange, get, http, http_scope
from ..samples import pieces, posted


@http_app
async def echo(request: Request) -> Response:
    return Response(await request.body())


@http_app(limits=Limits(max_body_bytes=4))
async def small(request: Request) -> Response:
    return Response(await request.body())


@http_app(limits=Limits(max_body_bytes=None))
async def unlimited(request: Request) -> Response:
    return Response(await request.body())


# -- the body of a request


async def test_a_body_is_all_its_pieces() -> None:
    rows: list[list[bytes]] = [[b""], [b"abc"], [b"a", b"", b"bc"], [b"", b""]]
    for row in rows:
        assert (await posted(*row).run(echo)).body == b"".join(row)


async def test_a_body_can_be_asked_for_again_and_again_in_every_form() -> None:
    @http_app
    async def handler(request: Request) -> Response:
        first = await request.body()
        assert await request.body() is first
        assert [piece async for piece in request.stream()] == [first]
        assert await request.text() == "[1]"
        return JSONResponse(await request.json())

    assert (await posted(b"[", b"1]").run(handler)).body == b"[1]"


async def test_a_stream_gives_the_pieces_as_they_come_and_only_once() -> None:
    @http_app
    async def handler(request: Request) -> Response:
        assert [piece async for piece in request.stream()] == [b"a", b"b"]
        with pytest.raises(RuntimeError, match="already streamed"):
            await request.body()
        with pytest.raises(RuntimeError, match="already streamed"):
            await anext(request.stream())
        return Response("once")

    assert (await posted(b"a", b"", b"b").run(handler)).text == "once"


async def test_a_body_declared_too_large_is_413_without_reading_it() -> None:
    for declared in [b"5", b"9" * 20, b"9" * 5000]:
        exchange = Exchange(http_scope("POST", headers=[(b"content-length", declared)]), [b"12345"])
        await exchange.run(small)
        assert (exchange.status, exchange.reads) == (413, 0)
        assert exchange.text == "the request body is larger than 4 bytes"


async def test_a_body_that_grows_too_large_is_413_and_read_no_further() -> None:
    exchange = await posted(b"123", b"45", b"6" * 1000).run(small)
    assert (exchange.status, exchange.reads) == (413, 2)


async def test_a_body_of_just_the_limit_passes_whatever_was_declared() -> None:
    for declared in [b"4", b"", b"x", b"-5", b"\xb2"]:
        exchange = Exchange(http_scope("POST", headers=[(b"content-length", declared)]), [b"12", b"34"])
        assert (await exchange.run(small)).body == b"1234"


async def test_without_a_limit_every_body_passes() -> None:
    assert (await posted(b"x" * 2_000_000).run(unlimited)).body == b"x" * 2_000_000
    assert (await posted(b"x" * 2_000_000).run(echo)).status == 413


@pytest.mark.parametrize(
    ("method", "body", "answer"),
    [
        ("text", b"\xff", "the request body is not valid UTF-8 text"),
        ("json", b"{", "the request body is not valid JSON"),
        ("json", b"", "the request body is not valid JSON"),
        ("json", b"\xff", "the request body is not valid JSON"),
        ("json", b"NaN", "the request body is not valid JSON"),
        ("json", b"[" * 100_000, "the request body is not valid JSON"),
    ],
)
async def test_a_body_that_is_not_what_was_asked_for_is_400(
    method: str, body: bytes, answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    @http_app
    async def handler(request: Request) -> Response:
        await getattr(request, method)()
        raise AssertionError("the body was taken")

    exchange = await posted(body).run(handler)
    assert (exchange.status, exchange.text) == (400, answer)
    assert not caplog.records


async def test_json_is_read_by_the_codec_that_was_given() -> None:
    @http_app(json=JSONCodec(str, lambda data: data[::-1]))
    async def handler(request: Request) -> Response:
        return Response(await request.json())

    assert (await posted(b"abc").run(handler)).body == b"cba"


async def test_a_client_that_leaves_during_its_body_ends_the_handler_and_nothing_else() -> None:
    seen: list[BaseException] = []

    @http_app
    async def handler(request: Request) -> Response:
        try:
            return Response(await request.body())
        except ClientDisconnected as error:
            seen.append(error)
            # On some servers a receive after the disconnect never returns.
            assert (await request.receive())["type"] == "http.disconnect"
            raise

    exchange = await posted(b"half", leaves=True).run(handler)
    assert len(seen) == 1
    assert (exchange.events, exchange.reads) == ([], 2)


async def test_the_views_of_a_connection_are_those_of_a_request() -> None:
    @http_app
    async def handler(request: Request) -> Response:
        return Response(f"{request.method} {request.url} {request.headers['x-a']} {request.client}")

    answer = await http(handler, "PATCH", "/p", headers=[(b"x-a", b"1")])
    assert answer.text == "PATCH http://testserver/p 1 192.0.2.7:50000"


# -- errors of a handler


async def test_an_http_error_is_the_answer() -> None:
    @http_app
    async def handler(request: Request) -> Response:
        raise HTTPError(401, "who are you?", [(b"www-authenticate", b"Basic")])

    answer = await get(handler)
    assert (answer.status, answer.text, answer.headers["www-authenticate"]) == (401, "who are you?", "Basic")


async def test_an_exception_is_a_500_that_says_nothing_and_goes_on_to_the_server() -> None:
    @http_app
    async def handler(request: Request) -> Response:
        raise ValueError("secret")

    exchange = Exchange(http_scope())
    with pytest.raises(ValueError, match="secret"):
        await exchange.run(handler)
    assert (exchange.status, exchange.text, exchange.is_complete) == (500, "Internal Server Error", True)


@pytest.mark.parametrize("answer", [None, "text", 200, {"a": 1}])
async def test_an_answer_that_is_no_response_is_an_error_that_says_so(answer: Any) -> None:
    @http_app
    async def handler(request: Request) -> Any:
        return answer

    exchange = Exchange(http_scope())
    with pytest.raises(InvalidMessage, match="return value of handler: expected a Response, got"):
        await exchange.run(handler)
    assert exchange.status == 500


@pytest.mark.parametrize("error", [HTTPError(404), ClientDisconnected()])
async def test_a_client_that_is_gone_before_its_answer_is_no_error(error: Exception) -> None:
    @http_app
    async def handler(request: Request) -> Response:
        raise error

    await Exchange(http_scope(), send_error=ConnectionResetError()).run(handler)
    await Exchange(http_scope(), send_error=ConnectionResetError()).run(echo)


async def test_what_a_handler_raised_goes_on_even_if_the_client_is_gone() -> None:
    @http_app
    async def handler(request: Request) -> Response:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await Exchange(http_scope(), send_error=ConnectionResetError()).run(handler)


async def test_what_serves_http_says_so_of_another_scope() -> None:
    rows: list[ASGIApp] = [echo, Response("x"), StreamingResponse(pieces())]
    for app in rows:
        for scope_type in ["websocket", "lifespan"]:
            exchange = Exchange(http_scope(type=scope_type))
            with pytest.raises(UnsupportedScope, match="this application serves http"):
                await exchange.run(app)
            assert exchange.events == []
