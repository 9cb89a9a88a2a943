import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, TypeAlias

import pytest

from tests.servers.client import SECONDS, http, opened
from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS, Server

from . import matrix

# What a log has where something went wrong that somebody ought to look at.
_COMPLAINT: Final = re.compile(
    r"Traceback \(most recent call last\)|\b(?:ERROR|CRITICAL)\b|never retrieved|never awaited"
)
_POLL_SECONDS: Final = 0.02

Observe: TypeAlias = Callable[[str], None]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "row(title): the test observes this row of docs/servers-table.md")
    config.addinivalue_line("markers", "handler_fails: the server logs an error, which the test accounts for")
    config.addinivalue_line("markers", "server_complains: the server may log an error of its own about the client")
    config.stash.setdefault(matrix.OBSERVED, {})


@pytest.fixture(scope="session", params=SERVERS, ids=lambda server: server.name)
def process(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """Each server in turn, started once for all tests, with the probe application."""
    server: Server = request.param
    with ServerProcess(server, "tests.servers.probe_app:app") as process:
        yield process
        assert process.stop(), f"{server.name} did not stop when asked to"


@pytest.fixture
def observed(request: pytest.FixtureRequest) -> Observe:
    """Takes what a test saw of its row on its server, and holds it against the committed table."""
    title = request.node.get_closest_marker("row").args[0]
    server: Server = request.node.callspec.params.get("process") or request.node.callspec.params["server"]
    writes = matrix.WRITES in request.config.stash

    def observe(cell: str) -> None:
        request.config.stash[matrix.OBSERVED].setdefault(title, {})[server.title] = cell
        if not writes:
            committed = matrix.read().get(title, {}).get(server.title)
            assert cell == committed, f"docs/servers-table.md has {committed!r}; {matrix.HOW_TO_WRITE}"

    return observe


@pytest.fixture(autouse=True)
async def no_client_stays_open() -> AsyncIterator[None]:
    """A test that fails leaves its clients as they are; their warnings would hide why."""
    yield
    while opened:
        opened.pop().transport.abort()


class Log:
    """What a server has logged since a test began."""

    def __init__(self, process: ServerProcess) -> None:
        self._process = process
        self._start = process.log_size()

    def text(self) -> str:
        return self._process.log(self._start)

    def complaints(self) -> list[str]:
        return [line for line in self.text().splitlines() if _COMPLAINT.search(line)]

    async def count(self, wanted: str) -> int:
        """How often a text is there, once it is there and the server has gone on to other work."""
        async with asyncio.timeout(SECONDS):
            while wanted not in self.text():
                await asyncio.sleep(_POLL_SECONDS)
        async with http(self._process) as client:
            await client.get("/hello")
        return self.text().count(wanted)


@pytest.fixture(autouse=True)
def log(request: pytest.FixtureRequest) -> Iterator[Log | None]:
    """The server's log; a complaint there fails the test unless it has one of the two marks."""
    if "process" not in request.fixturenames:
        yield None
        return
    process: ServerProcess = request.getfixturevalue("process")
    log = Log(process)
    yield log
    if not {"handler_fails", "server_complains"} & {mark.name for mark in request.node.iter_markers()}:
        assert not log.complaints(), log.text()
