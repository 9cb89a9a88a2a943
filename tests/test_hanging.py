"""A test that hangs is ended, also one that swallows exceptions, and no process outlives the suite, however it ends."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil
import pytest

from .hanging import HANGING

PROJECT: Final = Path(__file__).parents[1]
CONFTEST: Final = """
from tests import leftovers, stuck

def pytest_configure(config):
    config.pluginmanager.register(stuck)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(leftovers.Guard(grace=0.1))
"""
STARTS: Final = """
import asyncio, os, pathlib, subprocess, time, pytest

def start():
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    pathlib.Path("started.tmp").write_text(f"{process.pid} {os.getpid()}")
    os.rename("started.tmp", "started")

"""
SPINS: Final = """
def test_that_starts_a_process():
    start()

@pytest.mark.timeout(0.5)
def test_that_spins():
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            # As an event loop does, which takes the exception for that of a task.
            pass

def test_after_it():
    pass
"""
LEAVES: Final = """
def test_that_leaves_a_process():
    start()
    # Nobody waits for it.
    subprocess._active.clear()
"""
HANGS: Final = """
def test_that_hangs():
    start()
    asyncio.run(asyncio.sleep(1000))
"""

Suite = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Start a suite of one file on one worker, with the plugins of this one."""

    def start(tests: str) -> "subprocess.Popen[str]":
        (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
        (tmp_path / "test_file.py").write_text(STARTS + tests, encoding="utf-8")
        # The mark of this suite ends what is left if this test fails.
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", "-n", "1", "-p", "no:cacheprovider"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + HANGING
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_test_that_swallows_the_signal_fails_alone_and_what_it_started_ends_with_the_suite(
    suite: Suite, tmp_path: Path
) -> None:
    with suite(SPINS) as process:
        said, _ = process.communicate(timeout=HANGING)
    assert process.returncode == pytest.ExitCode.TESTS_FAILED, said
    assert "crashed while running 'test_file.py::test_that_spins'" in said
    assert "1 failed, 2 passed" in said
    started = (tmp_path / "started").read_text().split()[0]
    assert f"still running after the suite, and killed:\n{started}: sleep 1000" in said
    wait_until(lambda: not is_running(int(started)))


def test_a_suite_fails_that_leaves_a_process_behind_though_its_tests_pass(suite: Suite) -> None:
    with suite(LEAVES) as process:
        said, _ = process.communicate(timeout=HANGING)
    assert "1 passed" in said
    assert "killed:" in said
    assert process.returncode == pytest.ExitCode.TESTS_FAILED, said


def test_nothing_outlives_a_suite_that_is_killed(suite: Suite, tmp_path: Path) -> None:
    with suite(HANGS) as process:
        wait_until((tmp_path / "started").exists)
        process.kill()
    pids = [int(pid) for pid in (tmp_path / "started").read_text().split()]
    wait_until(lambda: not any(map(is_running, pids)))
