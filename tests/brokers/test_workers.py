"""The warning of a MemoryBroker that is not alone, as far as a worker process can see that."""

import logging

import pytest

from asgi_ws.brokers import MemoryBroker

WORDS = "worker processes, and rooms live in one process"
VARIABLES = ("WEB_CONCURRENCY", "UVICORN_WORKERS", "GRANIAN_WORKERS")


async def nothing(*_: object) -> None: ...


@pytest.mark.parametrize(
    ("environment", "workers"),
    [
        ({}, 1),
        ({"WEB_CONCURRENCY": "4"}, 4),
        ({"WEB_CONCURRENCY": "1", "UVICORN_WORKERS": "2"}, 2),
        ({"GRANIAN_WORKERS": "2"}, 2),
        ({"WEB_CONCURRENCY": "auto"}, 1),
        ({"WEB_CONCURRENCY": ""}, 1),
    ],
)
async def test_a_broker_warns_where_the_environment_asks_for_more_than_one_worker(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, environment: dict[str, str], workers: int
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    await MemoryBroker().start(nothing, nothing)
    if workers == 1:
        assert caplog.records == []
    else:
        assert [(record.name, record.levelno) for record in caplog.records] == [("asgi_ws", logging.WARNING)]
        assert caplog.messages[0].startswith(f"{workers} {WORDS}: ")
