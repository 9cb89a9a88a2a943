"""The warning of a MemoryBroker that is not alone, as far as a worker process can see that."""

import logging
import sys
import time
from pathlib import Path

import pytest

from asgi_ws.brokers import MemoryBroker
from tests.hanging import HANGING
from tests.servers.program import PROJECT, Program

WORDS = "worker processes, and rooms that are in the memory of each"
VARIABLES = ("WEB_CONCURRENCY", "UVICORN_WORKERS", "GRANIAN_WORKERS")
APP = """
from contextlib import asynccontextmanager

from asgi_ws import App
from asgi_ws.brokers import MemoryBroker


async def nothing(*_: object) -> None: ...


@asynccontextmanager
async def broker():
    memory = MemoryBroker()
    await memory.start(nothing, nothing)
    print("a broker has started", flush=True)
    yield
    await memory.stop()


app = App([], lifespan=[broker])
"""


async def nothing(*_: object) -> None: ...


@pytest.mark.parametrize(
    ("arguments", "environment", "workers"),
    [
        ([], {}, 1),
        (["app:app", "--workers", "4"], {}, 4),
        (["--workers=2", "app:app"], {}, 2),
        (["-w", "3"], {}, 3),
        (["-w3"], {}, 3),
        (["--workers", "1"], {"WEB_CONCURRENCY": "4"}, 1),
        (["--workers", "1", "--workers", "2"], {}, 2),
        ([], {"WEB_CONCURRENCY": "4"}, 4),
        ([], {"WEB_CONCURRENCY": "1", "UVICORN_WORKERS": "2"}, 2),
        ([], {"GRANIAN_WORKERS": "2"}, 2),
        ([], {"WEB_CONCURRENCY": "auto"}, 1),
        ([], {"WEB_CONCURRENCY": ""}, 1),
        (["--workers-lifetime", "4"], {}, 1),
        (["--workers", "many"], {}, 1),
        (["--workers"], {}, 1),
        (["--port", "8000", "-W", "4"], {}, 1),
        (["my-w3"], {}, 1),
        (["-w3x"], {}, 1),
    ],
)
async def test_a_broker_warns_where_more_than_one_worker_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    arguments: list[str],
    environment: dict[str, str],
    workers: int,
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["server", *arguments])
    await MemoryBroker().start(nothing, nothing)
    if workers == 1:
        assert caplog.records == []
    else:
        assert [(record.name, record.levelno) for record in caplog.records] == [("asgi_ws", logging.WARNING)]
        assert caplog.messages[0].startswith(f"{workers} {WORDS}: ")


@pytest.mark.parametrize("workers", [["--workers", "2"], []], ids=["two", "one"])
@pytest.mark.parametrize(
    "command",
    [
        ["uvicorn", "app:app", "--port={port}"],
        ["asgi_ws", "app:app", "--port={port}"],
        ["hypercorn", "app:app", "--bind=127.0.0.1:{port}"],
        ["granian", "app:app", "--interface=asgi", "--port={port}"],
    ],
    ids=lambda command: command[0],
)
def test_the_worker_of_a_real_server_warns_if_it_is_not_alone(
    monkeypatch: pytest.MonkeyPatch, command: list[str], workers: list[str], tmp_path: Path
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    # What ends by force, below, cannot write down what was covered.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    environment = {"PYTHONPATH": f"{tmp_path}:{PROJECT}"}
    with Program(command[0], [sys.executable, "-m", *command, *workers], cwd=tmp_path, env=environment) as program:
        # A server may listen before its workers run.
        deadline = time.monotonic() + HANGING
        while (log := program.log()).count("a broker has started") < (2 if workers else 1):
            assert time.monotonic() < deadline, log
            time.sleep(0.02)
        if command[0] == "granian":
            # Asked to stop while a worker starts, it may never do so.
            program.kill()
    assert log.count(f"2 {WORDS}") == (2 if workers else 0)
