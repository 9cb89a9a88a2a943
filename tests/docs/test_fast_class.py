"""The examples and tables of the page about the WebSocket class, checked on the class."""

import inspect
import re
import runpy
from collections.abc import Callable
from typing import Any, Final

import pytest
import uvicorn
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from asgi_ws.uvicorn_protocol import WebSocketProtocol
from tests.hanging import HANGING
from tests.servers.launch import ServerProcess
from tests.servers.program import PROJECT
from tests.servers.table import SERVERS

from .blocks import ALL_BLOCKS
from .test_claims import table
from .test_examples import EXAMPLES, ON_THE_FAST_CLASS, answer, page

PAGE: Final = "how-to/fast.md"
CLASS: Final = "asgi_ws.uvicorn_protocol:WebSocketProtocol"


def serve(app: str, *options: str) -> ServerProcess:
    """Return uvicorn with the options of the page."""
    return ServerProcess(SERVERS[0], app, options=["--app-dir=examples", *options])


# -- the examples


def check_fastapi_alone(server: ServerProcess) -> None:
    assert page(server, "/hello") == '{"message":"Hello from FastAPI"}'
    assert answer(server, "/echo/Ada", "hi") == "Ada: hi"


def check_hello(server: ServerProcess) -> None:
    assert page(server, "/hello") == "Hello, World!"
    assert answer(server, "/echo", "text") == "text"
    assert answer(server, "/echo", b"bytes") == b"bytes"


def check_in_fastapi(server: ServerProcess) -> None:
    assert page(server, "/hello") == '{"message":"Hello from FastAPI"}'
    assert answer(server, "/live/echo/Ada", "hi") == "Ada: 'hi'"


def check_starlette(server: ServerProcess) -> None:
    assert answer(server, "/chat", '{"a": 1}') == '{"you said":{"a":1}}'
    assert answer(server, "/shout", "hi") == "HI"


UNCHANGED: Final[dict[str, Callable[[ServerProcess], None]]] = {
    "fastapi_alone": check_fastapi_alone,
    "hello": check_hello,
    "in_fastapi": check_in_fastapi,
    "starlette_before": check_starlette,
}


@pytest.mark.parametrize("module", UNCHANGED)
def test_an_application_runs_on_the_class_unchanged(module: str) -> None:
    with serve(f"{module}:app", f"--ws={CLASS}") as server:
        UNCHANGED[module](server)
        # Only this class gives this answer.
        with pytest.raises(InvalidStatus) as refused:
            connect(server.url("/", "ws"), additional_headers={"X-Long": "x" * 9000}, open_timeout=HANGING)
        assert refused.value.response.status_code == 431
        server.stop()
        assert "ERROR" not in server.log()


def test_a_subclass_has_the_limits_that_the_page_shows() -> None:
    with serve("strict:app", "--ws=strict:Strict", "--ws-max-size=65536") as server:
        with connect(server.url("/echo", "ws"), open_timeout=HANGING) as ws:
            # The client ends such a message with a frame that is empty.
            ws.send(["x"] * 63)
            assert ws.recv(HANGING) == "x" * 63
            ws.send(["x"] * 64)
            with pytest.raises(ConnectionClosedError, match="1009"):
                ws.recv(HANGING)
        with connect(server.url("/echo", "ws"), open_timeout=HANGING, compression=None) as ws:
            ws.send("x" * 65_537)
            with pytest.raises(ConnectionClosedError, match="1009"):
                ws.recv(HANGING)


def test_the_subclass_runs_as_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: started.append((app, options)))
    namespace = runpy.run_path(str(EXAMPLES / "strict.py"), run_name="__main__")
    assert started == [(namespace["app"], {"ws": namespace["Strict"], "ws_max_size": 64 * 1024})]
    assert issubclass(namespace["Strict"], WebSocketProtocol)


def test_every_example_of_the_class_is_run_here_and_shown_on_the_page() -> None:
    assert {*UNCHANGED, "strict"} >= ON_THE_FAST_CLASS
    shown = {block.example for block in ALL_BLOCKS if block.page == f"docs/{PAGE}" and block.example}
    assert shown == {f"examples/{module}.py" for module in ON_THE_FAST_CLASS}


# -- the tables


def test_the_attributes_are_listed_with_their_defaults() -> None:
    shown = {name: value.replace(",", "") for name, value, _ in table(PAGE, "attribute", "default", "what it bounds")}
    assert shown == {
        name: str(value)
        for name, value in inspect.getmembers(WebSocketProtocol)
        if not name.startswith("_") and isinstance(value, (bool, int, float))
    }


def test_the_settings_are_uvicorn_s_own() -> None:
    settings = inspect.signature(uvicorn.Config).parameters
    rows = table(PAGE, "setting", "option", "what it does here")
    assert {name for name, _, _ in rows} <= set(settings)
    spelled = {"headers": "--header"}
    assert [option for _, option, _ in rows] == [spelled.get(name, f"--{name.replace('_', '-')}") for name, *_ in rows]


def test_the_versions_that_are_compared_are_those_that_the_tests_have() -> None:
    text = (PROJECT / "docs/explanation/uvicorn-class.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"uvicorn (\d+\.\d+), `websockets-sansio`", text)
    assert uvicorn.__version__.startswith(f"{named}.")
