import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, TypeAlias

import pytest

from tests.servers.client import SECONDS, hang_up, http, opened
from tests.servers.launch import ServerProcess
from tests.servers.program import PROJECT
from tests.servers.table import SERVERS, Server

from . import matrix

# Lines of a log that report a problem.
_COMPLAINT: Final = re.compile(
    r"Traceback \(most recent call last\)|\b(?:ERROR|CRITICAL)\b|never retrieved|never awaited"
)
# A frame of a traceback in the package itself; the directory of the checkout may be called asgi_ws too.
_OUR_FRAME: Final = f'File "{PROJECT / "asgi_ws"}{os.sep}'
_POLL_SECONDS: Final = 0.02

Observe: TypeAlias = Callable[[str], None]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "row(title): the test observes this row of the table of servers")
    config.addinivalue_line("markers", "handler_fails: the server logs an error, which the test accounts for")
    config.addinivalue_line("markers", "server_complains: the server may log an error of its own about the client")
    config.addinivalue_line("markers", "only_where(holds=): the test is for those parameters for which `holds` does")
    config.stash.setdefault(matrix.OBSERVED, {})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what `only_where` leaves out. Pairs of parameters would start each server for each test."""
    items[:] = [
        item
        for item in items
        if all(mark.kwargs["holds"](**item.callspec.params) for mark in item.iter_markers("only_where"))  # type: ignore[attr-defined] # of functions
    ]


@pytest.fixture(scope="session", params=SERVERS, ids=lambda server: server.name)
def process(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """Start each server once for all tests, with the probe application."""
    server: Server = request.param
    with ServerProcess(server, "tests.servers.probe_app:app") as process:
        yield process
        assert process.stop(), f"{server.name} did not stop when asked to"


@pytest.fixture
def observed(request: pytest.FixtureRequest) -> Observe:
    """Return a function that compares a test's observation with the committed table."""
    title = request.node.get_closest_marker("row").args[0]
    server: Server = request.node.callspec.params.get("process") or request.node.callspec.params["server"]
    writes = matrix.WRITES in request.config.stash

    def observe(cell: str) -> None:
        request.config.stash[matrix.OBSERVED].setdefault(title, {})[server.title] = cell
        if not writes:
            committed = matrix.read().get(title, {}).get(server.title)
            assert cell == committed, f"the table of servers has {committed!r}; {matrix.HOW_TO_WRITE}"

    return observe


@pytest.fixture(autouse=True)
async def no_client_stays_open(log: "Log | None") -> AsyncIterator[None]:
    """Hang up clients that a failed test left open; their warnings would hide the failure.

    This fixture depends on `log`, which then reads the lines of the server about their end.
    """
    yield
    while opened:
        hang_up(opened.pop())


def names_us(log: str) -> bool:
    """Return True if a traceback goes through the package."""
    return _OUR_FRAME in log


class Log:
    """The lines that a server has logged since a test began, or since it started."""

    def __init__(self, process: ServerProcess) -> None:
        self._process = process
        self._start = 0

    def text(self) -> str:
        return self._process.log(self._start)

    async def count(self, wanted: str) -> int:
        """Wait for a text and for the server to settle; return how often the text is logged."""
        async with asyncio.timeout(SECONDS):
            while wanted not in self.text():
                await asyncio.sleep(_POLL_SECONDS)
        await self.settle()
        return self.text().count(wanted)

    async def settle(self) -> None:
        """Wait until the server, if it runs, has gone on to other work and so has logged what it had to."""
        if self._process.running:
            async with http(self._process) as client:
                await client.get("/hello")

    def go_on(self) -> str:
        """Return the text so far, and start after it for the next test."""
        end = self._process.log_size()
        text = self.text()
        self._start = end
        return text

    def check(self, *, server_complains: bool = False) -> None:
        """Fail for a complaint, or with `server_complains` only for one in which the package has a part."""
        text = self.go_on()
        assert server_complains or not _COMPLAINT.search(text), text
        assert not names_us(text), text


@pytest.fixture(scope="session")
def process_log(process: ServerProcess) -> Iterator[Log]:
    """Share one log between all tests of a server, so that no line falls between two of them."""
    log = Log(process)
    yield log
    time.sleep(process.server.seconds_to_settle)
    log.check()


@pytest.fixture(autouse=True)
async def log(request: pytest.FixtureRequest) -> AsyncIterator[Log | None]:
    """Check the server's log after a test; a complaint fails it, unless it has one of the two marks."""
    if "process" not in request.fixturenames:
        yield None
        return
    process: ServerProcess = request.getfixturevalue("process")
    log: Log = request.getfixturevalue("process_log")
    marks = {mark.name for mark in request.node.iter_markers()}
    if "handler_fails" in marks:
        # An error of a test before that comes late must not pass for the one that this test expects.
        await asyncio.sleep(process.server.seconds_to_settle)
        log.check()
    yield log
    await log.settle()
    if "handler_fails" in marks:
        log.go_on()
    else:
        log.check(server_complains="server_complains" in marks)
