"""The kinds of responses, and the headers and bodies that they do not send."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

import pytest
import starlette.responses

import asgi_ws
from asgi_ws import (
    HTMLResponse,
    InvalidHeader,
    InvalidMessage,
    InvalidStatus,
    JSONCodec,
    JSONResponse,
    RedirectResponse,
    Request,
    Response,
    StreamingResponse,
    http_app,
)
from asgi_ws._asgi import ASGIApp
from asgi_ws.testing import http_client

from ..asgi import get, http
from ..samples import pieces


@pytest.mark.parametrize(
    ("response", "status", "content_type", "body"),
    [
        (Response("é"), 200, "text/plain; charset=utf-8", "é".encode()),
        (Response(b"\x00", media_type="application/octet-stream"), 200, "application/octet-stream", b"\x00"),
        (Response(status=404), 404, None, b""),
        (Response("no", HTTPStatus.IM_A_TEAPOT), 418, "text/plain; charset=utf-8", b"no"),
        (HTMLResponse("<p>"), 200, "text/html; charset=utf-8", b"<p>"),
        (JSONResponse({"a": "é"}, 201), 201, "application/json", '{"a":"é"}'.encode()),
        (JSONResponse("\ud800"), 200, "application/json", b'"\\ud800"'),
        (JSONResponse(1, json=JSONCodec(lambda value: b"one", str)), 200, "application/json", b"one"),
        (RedirectResponse("/a b?c=é"), 307, None, b""),
    ],
)
async def test_a_response_has_its_status_its_type_and_its_length(
    response: Response, status: int, content_type: str | None, body: bytes
) -> None:
    for answer in (await get(response), await http(response, "HEAD")):
        assert answer.status == status
        assert type(answer.events[0]["status"]) is int
        assert answer.headers.get("content-type") == content_type
        assert answer.headers["content-length"] == str(len(body))
        assert answer.is_complete
    assert (await get(response)).body == body
    assert (await http(response, "HEAD")).body == b""


# Each of these calls has to give the same with our classes and with Starlette's classes of the same name.
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Response", {"content": b"x", "status_code": 201, "media_type": "image/png"}),
        ("PlainTextResponse", {"content": "é", "status_code": 404, "headers": {"x-a": "1"}}),
        ("HTMLResponse", {"content": "<p>"}),
        ("JSONResponse", {"content": None}),
        ("JSONResponse", {"content": {"a": 1}, "status_code": 418, "media_type": "application/problem+json"}),
        ("RedirectResponse", {"url": "/a b", "status_code": 303}),
        ("RedirectResponse", {"url": "/a b"}),
        ("StreamingResponse", {"status_code": 203, "media_type": "text/csv"}),
    ],
)
async def test_a_response_is_made_as_starlettes(name: str, arguments: dict[str, Any]) -> None:
    own, starlettes = getattr(asgi_ws, name), getattr(starlette.responses, name)
    streamed = [{"content": pieces()} if name == "StreamingResponse" else {} for _ in range(2)]
    ours, theirs = own(**arguments, **streamed[0]), starlettes(**arguments, **streamed[1])
    assert ours.status_code == theirs.status_code
    answers = [await get(ours), await get(theirs)]
    assert answers[0].body == answers[1].body
    assert sorted(answers[0].headers.multi_items()) == sorted(answers[1].headers.multi_items())
    # By position too.
    if "url" not in arguments and "media_type" in arguments:
        again = own(
            pieces() if streamed[0] else arguments["content"], arguments["status_code"], {}, arguments["media_type"]
        )
        assert (await get(again)).headers["content-type"] == answers[1].headers["content-type"]


@pytest.mark.parametrize(
    ("make", "ours", "theirs"),
    [
        (Response, {"body": b"x", "status": 201}, {"content": b"x", "status_code": 201}),
        (JSONResponse, {"value": 1, "status": 201}, {"content": 1, "status_code": 201}),
        (StreamingResponse, {"pieces": pieces(), "status": 201}, {"content": pieces(), "status_code": 201}),
        (partial(RedirectResponse, "/"), {"status": 303}, {"status_code": 303}),
    ],
)
async def test_a_parameter_with_two_names_is_given_under_one_of_them(
    make: Callable[..., Any], ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    one, other = await get(make(**ours)), await get(make(**theirs))
    assert (one.status, one.body, one.headers) == (other.status, other.body, other.headers)
    for own, starlettes in zip(ours, theirs, strict=True):
        both = {**ours, starlettes: theirs[starlettes]}
        with pytest.raises(TypeError, match=f"^{starlettes} and {own} are the same parameter"):
            make(**both)


@pytest.mark.parametrize("make", [JSONResponse, StreamingResponse])
def test_a_response_that_needs_its_content_says_so(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r"^missing argument: give one of content and (value|pieces)$"):
        make()


@pytest.mark.parametrize("response", [Response("x"), StreamingResponse(pieces())])
async def test_the_status_can_be_set_under_both_of_its_names(response: Response | StreamingResponse) -> None:
    response.status_code = 404
    assert (response.status, (await get(response)).status) == (404, 404)
    with pytest.raises(InvalidStatus, match="expected 200-599"):
        response.status_code = 42
    response.status = 410
    assert response.status_code == 410


async def test_a_response_without_content_has_neither_a_body_nor_a_length() -> None:
    for status in [204, 205, 304, HTTPStatus.NO_CONTENT]:
        answer = await get(Response("body", status, {"x-a": "1"}))
        assert (answer.status, answer.body, answer.headers["x-a"]) == (status, b"", "1")
        assert "content-length" not in answer.headers


def test_what_is_no_status_of_a_response_is_refused() -> None:
    status: Any
    for status in (0, 100, 101, 199, 600, 1000, -200, True, "200", 200.0, None):
        for make in (Response, HTMLResponse, lambda _, status: StreamingResponse(pieces(), status)):
            with pytest.raises(InvalidStatus, match="expected 200-599"):
                make("", status)


def test_a_header_that_would_break_the_response_is_refused() -> None:
    for value in ["a\r\nset-cookie: b=1", "a\nb", "a\x00", "a\x85b", "€"]:
        makers: list[Callable[[str], object]] = [
            lambda text: Response("", 200, {"x-a": text}),
            lambda text: JSONResponse(1, headers=[("x-a", text)]),
            lambda text: RedirectResponse("/", headers={"x-a": text}),
            lambda text: StreamingResponse(pieces(), 200, {"x-a": text}),
            lambda text: Response("x", media_type=f"text/html{text}"),
            lambda text: StreamingResponse(pieces(), media_type=f"text/html{text}"),
        ]
        for make in makers:
            with pytest.raises(InvalidHeader):
                make(value)


def test_a_body_of_another_type_is_refused() -> None:
    rows: list[Any] = [5, None, ["a"], {"a": 1}]
    for body in rows:
        with pytest.raises(InvalidMessage, match="str or bytes"):
            Response(body)


async def test_a_redirect_encodes_what_no_url_may_have() -> None:
    rows: list[tuple[str, str]] = [
        ("/a b", "/a%20b"),
        ("/a%20b", "/a%20b"),
        ("/é", "/%C3%A9"),
        ("https://example.org/?a=1&b=[2]#c", "https://example.org/?a=1&b=[2]#c"),
        ("/a\r\nset-cookie: b=1", "/a%0D%0Aset-cookie:%20b=1"),
        ("/\\evil.org", "/%5Cevil.org"),
    ]
    for url, location in rows:
        assert (await get(RedirectResponse(url))).headers["location"] == location


async def test_a_redirect_has_one_of_the_statuses_for_it() -> None:
    for status in [301, 302, 303, 307, 308]:
        answer = await get(RedirectResponse("/", status, [("x-a", "1")]))
        assert (answer.status, answer.headers["x-a"]) == (status, "1")


def test_a_redirect_with_another_status_is_refused() -> None:
    for status in [200, 300, 304, 404]:
        with pytest.raises(InvalidStatus, match="301, 302, 303, 307 or 308"):
            RedirectResponse("/", status)


# -- through a client


async def test_a_real_client_takes_every_kind_of_response() -> None:
    @http_app
    async def handler(request: Request) -> ASGIApp:
        kinds: dict[str, Callable[[], ASGIApp]] = {
            "/json": lambda: JSONResponse([1, "é"]),
            "/stream": lambda: StreamingResponse(pieces()),
            "/redirect": lambda: RedirectResponse("/json"),
            "/empty": lambda: Response(status=204),
        }
        return kinds[request.url.path]()

    async with http_client(handler, follow_redirects=True) as client:
        assert (await client.get("/json")).json() == [1, "é"]
        assert (await client.get("/stream")).text == "é\x01"
        assert (await client.get("/redirect")).json() == [1, "é"]
        assert (await client.get("/empty")).content == b""
        assert (await client.head("/json")).headers["content-length"] == "8"
