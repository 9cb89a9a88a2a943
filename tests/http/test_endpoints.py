"""HTTP handlers as classes and as functions."""

import asyncio
import threading
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any, ClassVar

import pytest

from asgi_ws import (
    App,
    HTTPEndpoint,
    HTTPError,
    InvalidEndpoint,
    JSONCodec,
    JSONResponse,
    Limits,
    Request,
    Response,
    Route,
    http_app,
)
from asgi_ws._asgi import ASGIApp, Receive, Scope, Send

from ..asgi import Exchange, fetch, http, http_scope
from ..samples import posted

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"]


class Everything(HTTPEndpoint):
    """An endpoint that answers each method with its name."""

    async def answer(self, request: Request) -> Response:
        return Response(request.method)

    get = post = put = patch = delete = trace = connect = query = answer


class OnlyPost(HTTPEndpoint):
    async def post(self, request: Request) -> Response:
        return Response("posted")


async def test_each_method_goes_to_the_method_of_its_name() -> None:
    for method in METHODS:
        assert (await fetch(Everything.as_asgi(), method=method)).text == method


async def test_head_is_answered_by_get_without_its_body() -> None:
    answer = await fetch(Everything.as_asgi(), method="HEAD")
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "4", b"")


async def test_a_head_of_its_own_comes_before_get() -> None:
    class Page(Everything):
        async def head(self, request: Request) -> Response:
            return Response(headers={"x-own": "1"})

    assert (await fetch(Page.as_asgi(), method="HEAD")).headers["x-own"] == "1"


async def test_a_method_that_is_not_there_is_405_with_those_that_are() -> None:
    for method in ["GET", "HEAD", "DELETE", "post", "BREW", "AS_ASGI", "__INIT__"]:
        answer = await http(OnlyPost.as_asgi(), method)
        assert (answer.status, answer.headers["allow"]) == (405, "OPTIONS, POST")


async def test_options_is_answered_with_the_methods_unless_there_is_one() -> None:
    class Own(OnlyPost):
        async def options(self, request: Request) -> Response:
            return Response("own")

    answer = await fetch(OnlyPost.as_asgi(), method="OPTIONS")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, "OPTIONS, POST", b"")
    assert (await fetch(Everything.as_asgi(), method="OPTIONS")).headers["allow"] == ", ".join(
        sorted([*METHODS, "HEAD", "OPTIONS"])
    )
    assert (await fetch(Own.as_asgi(), method="OPTIONS")).text == "own"


async def test_every_request_has_an_instance_of_its_own_made_with_init() -> None:
    class Counter(HTTPEndpoint):
        def __init__(self, start: int) -> None:
            self.count = start

        async def get(self, request: Request) -> Response:
            self.count += 1
            return Response(str(self.count))

    app = Counter.as_asgi(init={"start": 5})
    assert [(await fetch(app)).text for _ in range(2)] == ["6", "6"]


async def test_limits_and_codec_of_an_endpoint_are_those_of_its_requests() -> None:
    class Page(HTTPEndpoint):
        async def post(self, request: Request) -> Response:
            return JSONResponse(await request.json())

    app = Page.as_asgi(limits=Limits(max_body_bytes=3), json=JSONCodec(str, len))
    assert (await fetch(app, method="POST", body=b"abc")).content == b"3"
    assert (await fetch(app, method="POST", body=b"abcd")).status_code == 413


@pytest.mark.parametrize("init", [{"start": 1, "more": 2}, {}])
def test_arguments_that_do_not_fit_are_refused_where_they_are_written(init: dict[str, int]) -> None:
    class Page(HTTPEndpoint):
        def __init__(self, start: int) -> None:
            self.start = start

    with pytest.raises(InvalidEndpoint, match="Page: init does not fit"):
        Page.as_asgi(init=init)


@pytest.mark.parametrize("where", ["__init__", "get"])
async def test_an_exception_of_an_endpoint_is_500_and_goes_on(where: str) -> None:
    def fail(*_: object) -> None:
        raise ValueError(where)

    broken: Any = type("Broken", (Everything,), {where: fail})
    exchange = Exchange(http_scope())
    with pytest.raises(ValueError, match=where):
        await exchange.run(broken.as_asgi())
    assert exchange.status == 500


def test_an_endpoint_is_named_after_its_class_and_a_function_after_itself() -> None:
    @http_app
    async def hello(request: Request) -> Response:
        return Response("")

    assert repr(Everything.as_asgi()) == "<HTTPApp Everything>"
    assert repr(hello) == "<HTTPApp hello>"
    assert repr(http_app(partial(answer_with, "x"))) == "<HTTPApp http>"


def answer_with(text: str, request: Request) -> Response:
    return Response(text)


variable: ContextVar[str] = ContextVar("variable", default="unset")


@pytest.mark.parametrize("kind", ["class", "function", "function with arguments", "partial"])
async def test_a_plain_function_runs_in_a_thread_with_the_context_of_its_request(kind: str) -> None:
    def where(request: Request) -> Response:
        return Response(f"{threading.current_thread() is threading.main_thread()} {variable.get()} {request.method}")

    class Page(HTTPEndpoint):
        def get(self, request: Request) -> Response:
            return where(request)

    apps: dict[str, ASGIApp] = {
        "class": Page.as_asgi(),
        "function": http_app(where),
        "function with arguments": http_app(limits=Limits())(where),
        "partial": http_app(partial(where)),
    }

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        variable.set("set")
        await apps[kind](scope, receive, send)

    assert (await fetch(middleware)).text == "False set GET"


async def test_a_blocking_function_holds_up_nobody_else() -> None:
    release = threading.Event()

    @http_app
    def blocking(request: Request) -> Response:
        assert release.wait(5)
        return Response("released")

    waiting = asyncio.create_task(fetch(blocking))
    assert (await fetch(http_app(partial(answer_with, "meanwhile")))).text == "meanwhile"
    assert not waiting.done()
    release.set()
    assert (await waiting).text == "released"


async def test_a_plain_wrapper_around_a_coroutine_function_is_awaited() -> None:
    def logged(handler: Any) -> Any:
        @wraps(handler)
        def wrapper(*args: Any) -> Any:
            return handler(*args)

        return wrapper

    @http_app
    @logged
    async def hello(request: Request) -> Response:
        return Response("hello")

    assert (await fetch(hello)).text == "hello"


async def test_a_plain_function_may_raise_the_answer() -> None:
    @http_app
    def teapot(request: Request) -> Response:
        raise HTTPError(418, "short and stout")

    answer = await fetch(teapot)
    assert (answer.status_code, answer.text) == (418, "short and stout")


async def test_a_refusal_in_a_group_is_the_answer() -> None:
    @http_app
    async def handler(request: Request) -> Response:
        async with asyncio.TaskGroup() as group:
            group.create_task(request.json())
        return Response()

    exchange = await posted(b"{{{").run(handler)
    assert (exchange.status, exchange.body) == (400, b"the request body is not valid JSON")


async def test_a_group_with_a_mistake_in_it_is_500_and_goes_on() -> None:
    group = ExceptionGroup("both", [HTTPError(404), LookupError()])

    @http_app
    async def handler(request: Request) -> Response:
        raise group

    exchange = posted()
    with pytest.raises(ExceptionGroup) as raised:
        await exchange.run(handler)
    assert raised.value is group
    assert exchange.status == 500
    assert handler.statistics().failed == 1


async def test_a_body_over_the_limit_is_counted() -> None:
    @http_app(limits=Limits(max_body_bytes=2))
    async def handler(request: Request) -> Response:
        return Response(await request.body())

    exchange = await posted(b"123").run(handler)
    assert exchange.status == 413
    app = App([Route("/", handler)])
    assert app.statistics().refused == {"BODY_BYTES": 1}


async def test_a_plain_function_that_lets_an_iterator_run_out_is_a_mistake_and_not_a_hang() -> None:
    @http_app
    def handler(request: Request) -> Response:
        return next(iter(()))

    exchange = posted()
    with pytest.raises(RuntimeError, match="StopIteration"):
        await exchange.run(handler)
    assert exchange.status == 500


def test_an_attribute_that_is_no_method_is_an_error_where_the_endpoint_is_made() -> None:
    class Odd(HTTPEndpoint):
        options: ClassVar[dict[str, str]] = {}

    with pytest.raises(InvalidEndpoint, match="Odd: options is not a method"):
        Odd.as_asgi()
