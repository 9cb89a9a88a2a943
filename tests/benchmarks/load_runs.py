"""Runs of the load generator against `load_server`."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from websockets.sync.client import connect

from benchmarks.load.__main__ import answer
from tests.hanging import HANGING


@dataclass(frozen=True)
class Target:
    """A running server."""

    process: subprocess.Popen[str]
    ports: Mapping[str, int]

    def url(self, path: str, server: str = "plain") -> str:
        return f"ws://127.0.0.1:{self.ports[server]}{path}"

    def counts(self) -> Mapping[str, int]:
        with connect(self.url("/counts")) as ws:
            counts: Mapping[str, int] = json.loads(ws.recv())
        return counts

    def run(self, workload: str, path: str, *, server: str = "plain", **fields: Any) -> dict[str, Any]:
        job = json.dumps(self.job(workload, path, server=server, **fields))
        # The open loop takes the interval timer, which pytest-timeout needs: it gets a process of its own.
        done = perform(job) if "rate" in fields else None
        outcome: dict[str, Any] = json.loads(done.stdout) if done is not None else answer(job)
        return outcome

    def job(self, workload: str, path: str, *, server: str = "plain", **fields: Any) -> dict[str, Any]:
        defaults = {"workload": workload, "url": self.url(path, server), "pid": self.process.pid, "seconds": 0.1}
        return {**defaults, "patience": 0.5, **fields}

    def echo(self, path: str, **fields: Any) -> dict[str, Any]:
        return self.run("echo", path, **{"connections": 2, "in_flight": 4, "size": 32, **fields})


def perform(job: str) -> subprocess.CompletedProcess[str]:
    """Run the load program with `job` on its standard input."""
    command = [sys.executable, "-m", "benchmarks.load"]
    return subprocess.run(command, input=job, capture_output=True, text=True, check=False, timeout=HANGING)


@contextmanager
def running_server() -> Iterator[Target]:
    """Start a load server in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.load_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Target(process, json.loads(process.stdout.readline()))
        finally:
            process.kill()
