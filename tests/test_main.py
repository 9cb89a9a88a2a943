"""`python -m asgi_ws`: the default application or another one, on uvicorn."""

import asyncio
import pkgutil
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from typing import Final

import httpx2
import pytest
from websockets.asyncio.client import connect

from asgi_ws.testing.servers.profiles import ASGI_WS, UVICORN, ServerProfile
from asgi_ws.uvicorn_protocol import WebSocketProtocol
from tests.servers.client import Probe, close_frame
from tests.servers.launch import ServerProcess
from tests.servers.table import Server

from .hanging import HANGING

DEFAULT: Final = Server(
    name="default", title="python -m asgi_ws", profile=ASGI_WS, arguments=("asgi_ws", "--port={port}")
)
NAMED: Final = Server(
    name="named", title="python -m asgi_ws module:app", profile=ASGI_WS, arguments=("asgi_ws", "{app}", "--port={port}")
)
OWN_CLASS: Final = "asgi_ws.uvicorn_protocol:WebSocketProtocol"


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "asgi_ws", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANGING, check=False)


async def test_without_an_application_the_default_one_is_served() -> None:
    with ServerProcess(DEFAULT, "") as server:
        async with httpx2.AsyncClient() as client:
            assert (await client.get(server.url("/hello"))).text == "Hello, World!"
            assert "asgi_ws" in (await client.get(server.url("/"))).text
        async with asyncio.timeout(HANGING), connect(server.url("/ws", "ws")) as ws:
            await ws.send("anything")
            assert await ws.recv() == "OK!"


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (("{app}", "--port={port}"), {}),
        (("--port", "{port}", "{app}"), {}),
        (("--port", "{port}", "--", "{app}"), {}),
        (("--port={port}",), {"UVICORN_APP": "tests.demo.mounted:app"}),
        (("--factory", "--port={port}", "tests.demo.mounted:make"), {}),
        (("--reload", "--reload-dir=tests/demo", "--port={port}", "{app}"), {}),
    ],
    ids=["first", "last", "after two dashes", "in the environment", "as a factory", "with a reloader"],
)
async def test_an_application_is_served_wherever_it_is_named(arguments: tuple[str, ...], env: dict[str, str]) -> None:
    named = replace(NAMED, arguments=("asgi_ws", *arguments))
    with ServerProcess(named, "tests.demo.mounted:app", env=env) as server:
        async with httpx2.AsyncClient() as client:
            assert (await client.get(server.url("/below/hello"))).text == "Hello, World!"
            assert (await client.get(server.url("/hello"))).status_code == 404


@pytest.mark.parametrize(
    ("options", "env", "profile"),
    [
        ([], {}, ASGI_WS),
        (["--workers=2"], {}, ASGI_WS),
        (["--ws=auto"], {}, UVICORN),
        ([], {"UVICORN_WS": "websockets-sansio"}, UVICORN),
    ],
    ids=["by default", "in a worker process", "unless an option names another", "unless the environment does"],
)
async def test_the_package_s_own_websocket_class_serves(
    options: list[str], env: dict[str, str], profile: ServerProfile
) -> None:
    with ServerProcess(NAMED, "tests.servers.probe_app:app", options=options, env=env) as server:
        # The two classes differ only for an application that returns without a close.
        code, _ = await close_frame(await Probe(server, "return", kind="bare").connect())
    assert code == profile.code_of_return


def test_the_class_that_is_named_as_the_default_is_there() -> None:
    names = runpy.run_module("asgi_ws", run_name="imported")
    assert names["DEFAULT_WS"] == OWN_CLASS
    assert pkgutil.resolve_name(OWN_CLASS) is WebSocketProtocol


@pytest.mark.parametrize("application", [[], ["asgi_ws:app"]])
def test_help_shows_uvicorn_s_options_under_our_name(
    application: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["__main__.py", *application, "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("asgi_ws", run_name="__main__")
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "python -m asgi_ws" in shown
    assert "--port" in shown
    assert re.search(rf"--ws .*\[default:\s+{re.escape(OWN_CLASS)}\]", shown, re.DOTALL)


def test_version_is_told() -> None:
    ended = run("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "uvicorn" in ended.stdout


def test_importing_it_starts_nothing() -> None:
    assert callable(runpy.run_module("asgi_ws", run_name="imported")["main"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_module_and_app"], 'Import string "no_module_and_app" must be in format "<module>:<attribute>"'),
        (["no_such_module:app"], 'Could not import module "no_such_module"'),
        (["asgi_ws:no_such_app"], 'Attribute "no_such_app" not found in module "asgi_ws"'),
        (["--no-such-option"], "No such option"),
        (["--port=none"], "Invalid value for '--port'"),
    ],
)
def test_what_cannot_be_served_is_named_and_the_exit_status_is_not_zero(arguments: list[str], message: str) -> None:
    ended = run(*arguments)
    assert ended.returncode != 0
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
