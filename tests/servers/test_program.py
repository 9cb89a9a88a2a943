"""Programs end with the run that started them."""

import signal
import subprocess
import sys

import psutil
import pytest

from .program import PROJECT

_RUN = """
import os, signal, sys, time
from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS

with ServerProcess(SERVERS[0], "asgi_ws:app") as process:
    print(process.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_program_ends_with_the_run_that_started_it(how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _RUN], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        assert run.stdout is not None
        server = psutil.Process(int(run.stdout.readline()))
        run.send_signal(how)
        server.wait(timeout=30)
