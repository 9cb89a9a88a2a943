"""Servers that tests share, and whose logs they read."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Final, Self

from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS, Server

FAST: Final = next(server for server in SERVERS if server.name == "uvicorn-asgi_ws")
# glibc keeps what was freed for later; with these a large block goes back at once, so that what a process holds is what
# the package and the server hold.
_HELD_BYTES: Final = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
# Lines of a log that report a problem.
_COMPLAINT: Final = re.compile(
    r".*(?:Traceback \(most recent call last\)|\b(?:ERROR|CRITICAL)\b|never retrieved|never awaited)(?:.*\n){0,30}"
)


class Servers:
    """Servers with one application, each started when it is first asked for; all are stopped at the end of the block.

    Args:
        app: the application as an import string.
    """

    def __init__(self, app: str) -> None:
        self._app = app
        self._stack = ExitStack()
        self._started: dict[str, ServerProcess] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            processes = self._started.values()
            time.sleep(max((process.server.seconds_to_settle for process in processes), default=0))
            # Together, since each may have something to wait for.
            for process in processes:
                process.terminate()
            assert [process for process in processes if not process.stop()] == [], "it did not stop when asked to"
            assert [found for process in processes for found in complaints(process.log())] == []

    @contextmanager
    def watched(self, server: Server) -> Iterator[ServerProcess]:
        """Start or reuse a server, and check that the block logs no complaint."""
        process = self._started.get(server.name)
        if process is None:
            process = self._stack.enter_context(ServerProcess(server, self._app, env=_HELD_BYTES))
            self._started[server.name] = process
        start = process.log_size()
        yield process
        assert complaints(process.log(start)) == []


@contextmanager
def served(server: Server, app: str) -> Iterator[ServerProcess]:
    """Start a server for one test, which may stop it."""
    with ServerProcess(server, app, env=_HELD_BYTES) as process:
        yield process
        assert complaints(process.log()) == []


def complaints(log: str) -> list[str]:
    """Return the reports of problems in a log, with the lines that follow each."""
    return _COMPLAINT.findall(log)
