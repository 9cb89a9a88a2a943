"""Nothing outlives the suite: each process that a test starts is found by its environment, ended, and reported.

A guard beside the suite does it when the suite ends, however that happens, even by SIGKILL.
"""

import os
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final

import psutil
import pytest

from .hanging import HANGING

MARK: Final = "ASGI_WS_SUITE"
_POLL_SECONDS: Final = 0.05


def marked(mark: str) -> list[psutil.Process]:
    """Return the processes that were started by the suite of that mark, except this one and zombies."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.pid != os.getpid():
                found.append(process)
        except psutil.Error:
            continue
    return found


def end(mark: str, seconds: float) -> list[str]:
    """Wait until all processes of the mark have ended, then kill what is left; return the command lines of that."""
    until = time.monotonic() + seconds
    while (left := marked(mark)) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    lines = []
    for process in left:
        try:
            lines.append(f"{process.pid}: {' '.join(process.cmdline())}")
            process.kill()
        except psutil.Error:
            continue
    return lines


class Guard:
    """A pytest plugin of the process that gives the tests out: runs the guard for as long as the suite runs.

    Args:
        grace: Seconds that processes have for ending by themselves after the suite.
    """

    def __init__(self, grace: float = HANGING / 10) -> None:
        self._grace = grace
        self._process: subprocess.Popen[str] | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        mark = f"{os.getpid()}-{time.time_ns()}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, mark, str(self._grace)],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # A session of its own: Ctrl-C is for the suite alone.
            start_new_session=True,
        )
        os.environ[MARK] = mark

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        yield
        if self._process is not None:
            left, _ = self._process.communicate(timeout=self._grace + HANGING)
            if left:
                sys.stderr.write(f"\nstill running after the suite, and killed:\n{left}\n")
                session.exitstatus = pytest.ExitCode.TESTS_FAILED


if __name__ == "__main__":
    # The end of the suite closes the pipe, also where the suite was killed.
    sys.stdin.read()
    sys.stdout.write("\n".join(end(sys.argv[1], float(sys.argv[2]))))
