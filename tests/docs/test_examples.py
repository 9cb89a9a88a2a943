"""Every program in examples/ is run and used as the documentation describes."""

import runpy
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.request import urlopen

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from asgi_ws.testing import TestClient, WebSocketDenialResponse
from tests.hanging import HANGING
from tests.servers.launch import ServerProcess
from tests.servers.program import PROJECT
from tests.servers.table import SERVERS

EXAMPLES: Final = PROJECT / "examples"

T = TypeVar("T")
InMemory = Callable[[TestClient], None]
OnAServer = Callable[[ServerProcess], None]
IN_MEMORY: Final[dict[str, InMemory]] = {}
# Examples whose log the documentation shows, and Django, which is set up once in a process.
ON_A_SERVER: Final[dict[str, OnAServer]] = {}
# Examples about the WebSocket class; `test_fast_class` runs them.
ON_THE_FAST_CLASS: Final = {"fastapi_alone", "strict"}


def check_of(checks: dict[str, T], *modules: str) -> Callable[[T], T]:
    def register(check: T) -> T:
        checks.update(dict.fromkeys(modules, check))
        return check

    return register


# -- on a server


def answer(server: ServerProcess, path: str, message: str | bytes) -> str | bytes:
    with connect(server.url(path, "ws"), open_timeout=HANGING) as ws:
        ws.send(message)
        return ws.recv(timeout=HANGING)


def page(server: ServerProcess, path: str) -> str:
    with urlopen(server.url(path), timeout=HANGING) as response:
        text: str = response.read().decode()
        return text


@check_of(ON_A_SERVER, "hello")
def check_hello(server: ServerProcess) -> None:
    assert page(server, "/hello") == "Hello, World!"
    assert answer(server, "/echo", "text") == "text"
    assert answer(server, "/echo", b"bytes") == b"bytes"


@check_of(ON_A_SERVER, "first_server")
def check_first_server(server: ServerProcess) -> None:
    assert page(server, "/guests") == "[]"
    with connect(server.url("/sign", "ws"), open_timeout=HANGING) as ws:
        assert ws.recv(timeout=HANGING) == "Who are you?"
        ws.send("Ada")
        assert ws.recv(timeout=HANGING) == "Welcome, Ada! You are guest number 1."
    assert page(server, "/guests") == '["Ada"]'
    server.stop()
    assert "left with code 1000" in server.log()


@check_of(ON_A_SERVER, "before_django")
def check_before_django(server: ServerProcess) -> None:
    assert page(server, "/hello") == "Hello from Django"
    assert answer(server, "/echo", "hi") == "hi"
    with pytest.raises(InvalidStatus) as refused:
        connect(server.url("/hello", "ws"), open_timeout=HANGING)
    assert refused.value.response.status_code == 404


@pytest.mark.parametrize("module", sorted(ON_A_SERVER))
def test_an_example_does_on_a_real_server_what_the_documentation_says(module: str) -> None:
    with ServerProcess(SERVERS[0], f"{module}:app", options=["--app-dir=examples"]) as server:
        ON_A_SERVER[module](server)


# -- in memory


def echoed(client: TestClient, path: str, message: str) -> str:
    with client.websocket_connect(path) as ws:
        ws.send_text(message)
        return ws.receive_text()


def refusal(client: TestClient, path: str, **options: Any) -> tuple[int, str]:
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(path, **options):
        pass
    return refused.value.status_code, refused.value.text


@check_of(IN_MEMORY, "authentication")
def check_authentication(client: TestClient) -> None:
    with client.websocket_connect("/cookie", headers={"cookie": "session=s3cret"}) as ws:
        assert ws.receive_text() == "Hello, Ada!"
    with client.websocket_connect("/subprotocol", ["chat.v1", "token.s3cret"]) as ws:
        assert ws.accepted_subprotocol == "chat.v1"
        assert ws.receive_text() == "Hello, Ada!"
    with client.websocket_connect("/query?token=s3cret") as ws:
        assert ws.receive_text() == "Hello, Ada!"
    wrong = (401, "a valid token is needed")
    assert refusal(client, "/cookie") == wrong
    assert refusal(client, "/subprotocol", subprotocols=["chat.v1"]) == wrong
    assert refusal(client, "/subprotocol", subprotocols=["token.s3cret"]) == (400, "offer chat.v1")
    assert refusal(client, "/query?token=s3cre%C3%A9") == wrong


@check_of(IN_MEMORY, "calculator")
def check_calculator(client: TestClient) -> None:
    with client.websocket_connect("/") as ws:
        ws.send_text('{"add": [1, 2.5]}')
        assert ws.receive_json() == {"sum": 3.5}
        ws.send_bytes(b'{"add": []}')
        assert ws.receive_json() == {"sum": 0}
        ws.send_text('{"add": "12"}')
        assert ws.receive_json() == {"error": 'send {"add": [1, 2]}'}
        ws.send_text("{")
        assert ws.wait_closed()[0] == 1007


@check_of(IN_MEMORY, "chat_room")
def check_chat_room(client: TestClient) -> None:
    with (
        client.websocket_connect("/chat/tea") as ada,
        client.websocket_connect("/chat/tea") as bob,
        client.websocket_connect("/chat/coffee") as eve,
    ):
        ada.send_text("hello")
        bob.send_bytes(b"hi")
        assert [ada.receive_text(), ada.receive_bytes()] == ["hello", b"hi"]
        assert [bob.receive_text(), bob.receive_bytes()] == ["hello", b"hi"]
        assert eve.receive_nothing()


@check_of(IN_MEMORY, "clock")
def check_clock(client: TestClient) -> None:
    with client.virtual_time() as clock, client.websocket_connect("/") as ws:
        first = datetime.fromisoformat(ws.receive_text())
        clock.advance(0.9)
        assert ws.receive_nothing()
        clock.advance(0.1)
        assert first <= datetime.fromisoformat(ws.receive_text())


@check_of(IN_MEMORY, "fastapi_broadcast")
def check_fastapi_broadcast(client: TestClient) -> None:
    with (
        client.websocket_connect("/topics/tea") as ada,
        client.websocket_connect("/topics/tea") as bob,
        client.websocket_connect("/topics/coffee") as eve,
    ):
        assert client.post("/topics/tea", json={"headline": "It is ready"}).status_code == 202
        assert ada.receive_json() == bob.receive_json() == {"headline": "It is ready"}
        assert eve.receive_nothing()
    assert client.post("/topics/tea", json={"headline": "It is cold"}).status_code == 202


@check_of(IN_MEMORY, "guest_room")
def check_guest_room(client: TestClient) -> None:
    with client.websocket_connect("/sign") as ada:
        assert ada.receive_text() == "Who are you?"
        with client.websocket_connect("/sign") as bob:
            assert bob.receive_text() == "Who are you?"
            bob.send_text("Bob")
            assert ada.receive_text() == bob.receive_text() == "Bob is guest number 1."
        ada.send_text("Ada")
        assert ada.receive_text() == "Ada is guest number 2."
    assert client.get("/guests").json() == ["Bob", "Ada"]


@check_of(IN_MEMORY, "in_fastapi", "in_litestar")
def check_mounted(client: TestClient) -> None:
    assert client.get("/hello").json()["message"].startswith("Hello from ")
    assert echoed(client, "/live/echo/Ada", "hi") == "Ada: 'hi'"
    assert refusal(client, "/live/echo/Ada", headers={"origin": "https://elsewhere.example"})[0] == 403


@check_of(IN_MEMORY, "starlette_before", "starlette_after")
def check_port(client: TestClient) -> None:
    assert echoed(client, "/chat", '{"a": 1}') == '{"you said":{"a":1}}'
    assert echoed(client, "/shout", "hi") == "HI"


@pytest.mark.parametrize("module", sorted(IN_MEMORY))
def test_an_example_does_what_the_documentation_says(module: str) -> None:
    with TestClient(runpy.run_path(str(EXAMPLES / f"{module}.py"))["app"]) as client:
        IN_MEMORY[module](client)


def test_the_tutorials_own_tests_pass() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "test_first_server.py"]
    run = subprocess.run(command, cwd=EXAMPLES, capture_output=True, text=True, timeout=HANGING, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 passed" in run.stdout


def test_every_example_has_a_check() -> None:
    programs = {path.stem for path in EXAMPLES.glob("*.py") if not path.stem.startswith("test_")}
    assert programs == {*IN_MEMORY, *ON_A_SERVER, *ON_THE_FAST_CLASS}


def test_the_port_from_starlette_changes_the_imports_and_the_routes_alone() -> None:
    before, after = (
        (EXAMPLES / f"starlette_{name}.py").read_text(encoding="utf-8").splitlines() for name in ("before", "after")
    )
    changed = [line for line in after[1:] if line.strip() and line not in before]
    assert changed == [
        "from asgi_ws import (",
        "    App,",
        "    WebSocket,",
        "    WebSocketDisconnect,",
        "    WebSocketEndpoint,",
        "    WebSocketRoute,",
        "    websocket_app,",
        "@websocket_app",
        "app = App(",
        '        WebSocketRoute("/chat", Chat.as_asgi()),',
    ]
