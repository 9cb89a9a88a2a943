"""CPU and memory are those of all the server's processes, also of those that come and go."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.load.accounting import Cpu, Reading, Server
from benchmarks.load.jobs import Failure
from benchmarks.load.latency import summary

BURN = "import time\nwhile time.process_time() < 0.3: pass\nprint('burnt', flush=True)\ninput()"
PARENT = f"""
import subprocess, sys
kept = bytearray(b"x" * 20_000_000)
child = subprocess.Popen([sys.executable, "-c", {BURN!r}], stdin=subprocess.PIPE)
input()
child.communicate(b"\\n")
print("ended", flush=True)
input()
"""


@contextmanager
def parent() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_childs_cpu_counts_while_it_runs_and_after_its_end() -> None:
    with parent() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        server = Server(process.pid)
        start = server.cpu()
        assert process.stdout.readline() == "burnt\n"
        running = server.cpu()
        assert sum(running.since(start)) >= 0.25
        assert len(running.processes) == 2
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ended\n"
        ended = server.cpu()
        assert len(ended.processes) == 1
        assert sum(ended.since(start)) >= 0.25
        assert sum(ended.since(running)) < 0.25
        assert server.memory() > 20_000_000
        assert server.peak >= 20_000_000


def test_cpu_that_the_system_forgot_is_no_figure() -> None:
    start = Reading({1: Cpu(0, 1.0, 1.0, 0.0, 0.0), 2: Cpu(1, 2.0, 1.0, 0.0, 0.0)})
    with pytest.raises(Failure, match="a child of the server's process 1 ended, and its CPU time is lost"):
        Reading({1: Cpu(0, 1.5, 1.0, 0.0, 0.0)}).since(start)
    user, _ = Reading({1: Cpu(0, 1.5, 1.0, 2.1, 1.0)}).since(start)
    assert user == pytest.approx(2.6 - 2.0)


def test_a_server_that_has_ended_has_no_figures() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    server = Server(process.pid)
    process.wait()
    assert not server.alive()
    with pytest.raises(Failure, match=f"process {process.pid}"):
        server.cpu()
    with pytest.raises(Failure, match=f"no process {process.pid}"):
        Server(process.pid)


def test_percentiles_are_in_milliseconds() -> None:
    found = summary([*(each / 1000 for each in range(1, 101)), 2.0])
    assert found["count"] == 101
    assert found["p50"] == pytest.approx(51, rel=0.01)
    assert found["p99"] == pytest.approx(100, rel=0.01)
    assert found["max"] == pytest.approx(2000, rel=0.01)
