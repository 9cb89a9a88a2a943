"""Every program in examples/ is started on a real uvicorn and talked to, as the documentation says one can."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final
from urllib.request import urlopen

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.servers.launch import PROJECT, ServerProcess
from tests.servers.table import SERVERS

EXAMPLES: Final = PROJECT / "examples"
SECONDS: Final = 10

Check = Callable[[ServerProcess], None]
CHECKS: Final[dict[str, Check]] = {}


def check_of(*modules: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        CHECKS.update(dict.fromkeys(modules, check))
        return check

    return register


@contextmanager
def served(module: str) -> Iterator[ServerProcess]:
    with ServerProcess(SERVERS[0], f"{module}:app", options=["--app-dir=examples"]) as server:
        yield server


def socket_to(server: ServerProcess, path: str, **options: object) -> ClientConnection:
    return connect(server.url(path, "ws"), open_timeout=SECONDS, **options)  # type: ignore[no-any-return, call-overload] # options go on as they are


def answer(server: ServerProcess, path: str, message: str | bytes) -> str | bytes:
    with socket_to(server, path) as ws:
        ws.send(message)
        return ws.recv(timeout=SECONDS)


def page(server: ServerProcess, path: str) -> str:
    with urlopen(server.url(path), timeout=SECONDS) as response:
        text: str = response.read().decode()
        return text


def refusal(server: ServerProcess, path: str, **options: object) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused, socket_to(server, path, **options):
        pass
    return refused.value.response.status_code, refused.value.response.body.decode()


@check_of("hello")
def check_hello(server: ServerProcess) -> None:
    assert page(server, "/hello") == "Hello, World!"
    assert answer(server, "/echo", "text") == "text"
    assert answer(server, "/echo", b"bytes") == b"bytes"


@check_of("first_server")
def check_first_server(server: ServerProcess) -> None:
    assert page(server, "/guests") == "[]"
    with socket_to(server, "/sign") as ws:
        assert ws.recv(timeout=SECONDS) == "Who are you?"
        ws.send("Ada")
        assert ws.recv(timeout=SECONDS) == "Welcome, Ada! You are guest number 1."
    assert page(server, "/guests") == '["Ada"]'
    server.stop()
    assert "left with code 1000" in server.log()


@check_of("authentication")
def check_authentication(server: ServerProcess) -> None:
    with socket_to(server, "/cookie", additional_headers={"Cookie": "session=s3cret"}) as ws:
        assert ws.recv(timeout=SECONDS) == "Hello, Ada!"
    offered = [Subprotocol("chat.v1"), Subprotocol("token.s3cret")]
    with socket_to(server, "/subprotocol", subprotocols=offered) as ws:
        assert ws.subprotocol == "chat.v1"
        assert ws.recv(timeout=SECONDS) == "Hello, Ada!"
    with socket_to(server, "/query?token=s3cret") as ws:
        assert ws.recv(timeout=SECONDS) == "Hello, Ada!"
    wrong = (401, "a valid token is needed")
    assert refusal(server, "/cookie") == wrong
    assert refusal(server, "/subprotocol", subprotocols=[Subprotocol("chat.v1")]) == wrong
    assert refusal(server, "/subprotocol", subprotocols=[Subprotocol("token.s3cret")]) == (400, "offer chat.v1")
    assert refusal(server, "/query?token=s3cre%C3%A9") == wrong
    server.stop()
    assert "Traceback" not in server.log()


@check_of("calculator")
def check_calculator(server: ServerProcess) -> None:
    with socket_to(server, "/") as ws:
        conversation: list[tuple[str | bytes, object]] = [
            ('{"add": [1, 2.5]}', {"sum": 3.5}),
            (b'{"add": []}', {"sum": 0}),
            ('{"add": "12"}', {"error": 'send {"add": [1, 2]}'}),
        ]
        for message, expected in conversation:
            ws.send(message)
            assert json.loads(ws.recv(timeout=SECONDS)) == expected
        ws.send("{")
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(timeout=SECONDS)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1007


@check_of("clock")
def check_clock(server: ServerProcess) -> None:
    with socket_to(server, "/") as ws:
        first, second = (datetime.fromisoformat(str(ws.recv(timeout=SECONDS))) for _ in range(2))
    assert first < second
    server.stop()
    assert "Traceback" not in server.log()


@check_of("in_fastapi", "in_litestar")
def check_mounted(server: ServerProcess) -> None:
    assert json.loads(page(server, "/hello"))["message"].startswith("Hello from ")
    assert answer(server, "/live/echo/Ada", "hi") == "Ada: 'hi'"
    assert refusal(server, "/live/echo/Ada", origin="https://elsewhere.example")[0] == 403


@check_of("before_django")
def check_before_django(server: ServerProcess) -> None:
    assert page(server, "/hello") == "Hello from Django"
    assert answer(server, "/echo", "hi") == "hi"
    assert refusal(server, "/hello")[0] == 404


@check_of("starlette_before", "starlette_after")
def check_port(server: ServerProcess) -> None:
    assert answer(server, "/chat", '{"a": 1}') == '{"you said":{"a":1}}'
    assert answer(server, "/shout", "hi") == "HI"


@pytest.mark.parametrize("module", sorted(CHECKS))
def test_an_example_does_on_a_real_server_what_the_documentation_says(module: str) -> None:
    with served(module) as server:
        CHECKS[module](server)


def test_the_tutorials_own_tests_pass() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "test_first_server.py"]
    run = subprocess.run(command, cwd=EXAMPLES, capture_output=True, text=True, timeout=50, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 passed" in run.stdout


def test_every_example_has_a_check() -> None:
    programs = {path.stem for path in EXAMPLES.glob("*.py") if not path.stem.startswith("test_")}
    assert programs == set(CHECKS)


def test_the_port_from_starlette_changes_the_imports_and_the_routes_alone() -> None:
    before, after = (
        (EXAMPLES / f"starlette_{name}.py").read_text(encoding="utf-8").splitlines() for name in ("before", "after")
    )
    changed = [line for line in after[1:] if line.strip() and line not in before]
    assert changed == [
        "from asgi_ws import App, WebSocket, WebSocketDisconnect, WebSocketEndpoint, WebSocketRoute, websocket_app",
        "@websocket_app",
        "app = App(",
        '        WebSocketRoute("/chat", Chat.as_asgi()),',
    ]
