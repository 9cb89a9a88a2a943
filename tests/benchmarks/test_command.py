"""The command line from its arguments to its exit status, with real servers and a real load."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.__main__ import main
from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS
from tests.hanging import HANGING
from tests.servers.program import PROJECT

# Every scenario with real servers, in one process, with sections as short as they can be.
ALL_SCENARIOS = """
import sys
from dataclasses import replace
from benchmarks import __main__, command
from benchmarks.scenarios import idle

command.QUICK = replace(command.QUICK, repetitions=1, seconds=0.1, paced_seconds=0.2, warm_up=0.05)
command.QUICK_SET = tuple(command.UNDER_LOAD)
idle.PING = 0.2
sys.exit(__main__.main(["all", "--quick", "--peers", "none", *sys.argv[1:]]))
"""


def program(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        check=False,
        timeout=HANGING,
    )


def test_each_scenario_prints_its_tables_and_writes_its_results(tmp_path: Path) -> None:
    written = tmp_path / "run" / "results.json"
    small = ("--members=20", "--connections=20")
    ended = program("-c", ALL_SCENARIOS, *small, "--json", written, "--plot", tmp_path / "plots")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    results = Results.load(written)
    assert results.left_out == []
    figures = {(figure.scenario, figure.contestant) for figure in results.figures}
    assert figures == {(scenario.name, name) for scenario in SCENARIOS for name in ("asgi_ws", "starlette")}
    shown = " ".join(ended.stdout.split())
    assert [figure.case for figure in results.figures if figure.case not in shown] == []
    drawn = {path.name for path in (tmp_path / "plots").glob("*.svg")}
    assert drawn >= {f"{scenario.name}.svg" for scenario in SCENARIOS}
    assert main(["compare", str(written), str(written)]) == 0


def test_peers_that_are_not_installed_are_named_with_what_installs_them(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", "handshake", "--repetitions=1", "--seconds=0.1", "--peers", "node-ws"],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={"PATH": str(tmp_path), "PYTHONPATH": str(PROJECT)},
        check=False,
        timeout=HANGING,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "node-ws: not installed; install Node.js" in " ".join(ended.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["echo", "--peers", "nginx"], "no contestant is called nginx; there are asgi_ws, starlette"),
        (["echo", "--seconds", "-1"], "'-1' is no positive number"),
        (["echo", "--repetitions", "1.5"], "'1.5' is no positive whole number"),
        (["echo", "--port", "99999"], "'99999' is no port"),
        (["echo", "--without", "("], "'(' is no regular expression"),
        (["echo", "--update"], "--update needs a file to update: --json FILE"),
        (["ecko"], "invalid choice: 'ecko'"),
        (["compare", "missing.json", "missing.json"], "missing.json cannot be read: No such file or directory"),
        (["show", "missing.json"], "missing.json cannot be read: No such file or directory"),
        (["scaling", "missing.json"], "missing.json cannot be read: No such file or directory"),
    ],
)
def test_bad_arguments_end_with_a_clear_line_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status: int | str | None = main(arguments)
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    output = " ".join("".join(capsys.readouterr()).split())
    assert said in output
    assert "Traceback" not in output


def test_results_that_cannot_be_written_are_refused_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = program("-m", "benchmarks", "imports", "--json", tmp_path / "file" / "results.json")
    assert ended.returncode == 2
    assert "file cannot be written to: File exists" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_who_stops_a_run_leaves_no_server_behind(number: signal.Signals, status: int) -> None:
    # A shell lets what it starts in the background ignore SIGINT, and so all that this starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks", "handshake", "--peers", "none", "--seconds", "20"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        started = psutil.Process(process.pid)
        deadline = time.monotonic() + HANGING
        while not (servers := [each for each in started.children() if "uvicorn" in each.cmdline()]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=HANGING)
    assert process.returncode == status, said
    assert "Traceback" not in said
    assert not psutil.wait_procs(servers, timeout=HANGING)[1]


def test_a_signal_while_a_server_is_being_started_leaves_none_behind() -> None:
    # The signal comes when the process is there and no object of the run's knows it yet.
    interrupted_start = """
import os, signal, subprocess, sys
start = subprocess.Popen._execute_child

def start_interrupted(popen, arguments, *others):
    start(popen, arguments, *others)
    if "uvicorn" in arguments:
        print(popen.pid, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

subprocess.Popen._execute_child = start_interrupted
from benchmarks.__main__ import main
sys.exit(main(["handshake", "--peers", "none", "--seconds", "20"]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", interrupted_start], capture_output=True, text=True, cwd=PROJECT, check=False
    )
    assert ended.returncode == 143, ended.stderr
    assert not psutil.pid_exists(int(ended.stdout.split()[-1]))
