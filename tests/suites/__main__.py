"""Run other projects' test suites with the kit of asgi_ws, and compare with the list of deliberate differences.

    python -m tests.suites [SUITE ...] [--tests ARGUMENT ...]

The suites come from the source distributions on PyPI. Those of Channels have no tests: its suite comes from the tag of
its repository. Each runs in an environment of its own under build/suites. A source that is there is not fetched again.
Arguments after `--tests` go to pytest, and nothing is compared.

A suite that cannot be installed or fetched is left out, by name and with the reason, and the others run. The exit
status is 0 if every suite ran and ended as listed, 1 if a test differs from the list, and 3 if none does and a suite
was left out.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .differences import expected

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "suites"
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Suite:
    """One suite: where its tests come from, and how the kit gets into them."""

    source: str
    plugin: str
    paths: tuple[str, ...] = ("tests",)
    options: tuple[str, ...] = ()
    # A repository with the tests, where the source distribution has none.
    repository: str = ""
    # Further variables of the environment, for the plugin.
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def project(self) -> str:
        return self.source.partition("==")[0]

    @property
    def directory(self) -> Path:
        return BUILD / self.source.replace("==", "-")


# FastAPI's tests that open a WebSocket. Of its telemetry tests, those about WebSockets.
ON_SERVER = (
    "tests/test_dependency_after_yield_websockets.py",
    "tests/test_dependency_yield_scope_websockets.py",
    "tests/test_frontend.py",
    "tests/test_http_connection_injection.py",
    "tests/test_multiple_parameter_models.py",
    "tests/test_parameter_extraction.py",
    "tests/test_path_alias_choices.py",
    "tests/test_query_optional_models.py",
    "tests/test_request_body_limits.py",
    "tests/test_route_scope.py",
    "tests/test_security_http_base_optional.py",
    "tests/test_security_http_bearer.py",
    "tests/test_security_websockets.py",
    "tests/test_telemetry/test_websockets.py",
    "tests/test_tutorial/test_websockets",
    "tests/test_validation_error_context.py",
    "tests/test_ws_dependencies.py",
    "tests/test_ws_router.py",
)
SUITES = {
    "starlette": Suite("starlette==1.10.0", "kit_for_starlette"),
    "endpoints": Suite(
        "starlette==1.10.0", "endpoints_ported", paths=("tests/test_endpoints.py", "tests/test_websockets.py")
    ),
    # The telemetry tests that are left out start their own processes, which do not have the kit.
    "fastapi": Suite(
        "fastapi==0.165.0", "kit_for_starlette", options=("-n", "2", "-k", "not _telemetry or websockets")
    ),
    "uvicorn": Suite("fastapi==0.165.0", "server_for_fastapi", paths=ON_SERVER, settings={"SUITES_WS": "auto"}),
    "asgi_ws": Suite(
        "fastapi==0.165.0",
        "server_for_fastapi",
        paths=ON_SERVER,
        settings={"SUITES_WS": "asgi_ws.uvicorn_protocol:WebSocketProtocol"},
    ),
    # The tests beside WebSockets. Left out: those that need Docker, and those of the client with await.
    "litestar": Suite(
        "litestar==2.13.0",
        "kit_for_litestar",
        paths=(
            "tests/e2e/test_dependency_injection",
            "tests/unit/test_channels/test_plugin.py",
            "tests/unit/test_connection",
            "tests/unit/test_contrib/test_opentelemetry.py",
            "tests/unit/test_contrib/test_prometheus.py",
            "tests/unit/test_controller.py",
            "tests/unit/test_guards.py",
            "tests/unit/test_handlers/test_websocket_handlers",
            "tests/unit/test_kwargs",
            "tests/unit/test_middleware",
            "tests/unit/test_testing/test_test_client.py",
            "tests/unit/test_websocket_class_resolution.py",
        ),
        options=("-n", "2", "-k", "not redis and not postgres and not AsyncTestClient and not _async"),
    ),
    "channels": Suite(
        "channels==4.3.2",
        "kit_for_channels",
        options=("--ignore", "tests/sample_project"),
        repository="https://github.com/django/channels",
    ),
}


class LeftOut(Exception):
    """A suite cannot run here: its requirements or its source cannot be had."""


def step(*command: str | Path) -> None:
    """Run a command that a suite needs.

    Raises:
        LeftOut: it failed; with the last line that it wrote.
    """
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as failed:
        written = (getattr(failed, "stderr", None) or str(failed)).strip().splitlines()
        raise LeftOut(f"`{' '.join(map(str, command[:5]))} ...` failed: {written[-1]}") from failed


def environment(project: str) -> Path:
    """Return the Python of an environment with a suite's requirements and this package, made where it is missing."""
    requirements = HERE / "requirements" / f"{project}.txt"
    home = BUILD / project / ".venv"
    python, stamp = home / "bin" / "python", home / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        venv.create(home, clear=True, with_pip=True)
        step(python, "-m", "pip", "install", "--editable", f"{ROOT}[testing]", "-r", requirements)
        shutil.copy(requirements, stamp)
    return python


def unpack(suite: Suite, python: Path) -> None:
    """Download a suite's source and unpack it, unless it is there."""
    if suite.directory.exists():
        return
    # An interrupted download must not look like a complete one.
    part = BUILD / "part"
    shutil.rmtree(part, ignore_errors=True)
    if suite.repository:
        tag = suite.source.partition("==")[2]
        step("git", "clone", "--depth", "1", "--branch", tag, suite.repository, part / suite.directory.name)
    else:
        step(python, "-m", "pip", "download", "--no-binary", suite.project, "--no-deps", "--dest", part, suite.source)
        with tarfile.open(part / f"{suite.directory.name}.tar.gz") as archive:
            archive.extractall(part, filter="data")
    (part / suite.directory.name).rename(suite.directory)


def run(name: str, arguments: list[str]) -> bool:
    """Run one suite. Return True if it ended as the list of differences says.

    Raises:
        LeftOut: it cannot run here.
    """
    suite = SUITES[name]
    python = environment(suite.project)
    unpack(suite, python)
    report = BUILD / f"{name}.json"
    report.unlink(missing_ok=True)
    command: list[str | Path] = [python, "-m", "pytest", "-p", "suites_report", "-p", suite.plugin]
    command += ["-q", "--tb=short", "--timeout", "60", *suite.options, *(arguments or suite.paths)]
    settings = {**os.environ, **suite.settings, "PYTHONPATH": str(HERE / "plugins"), "SUITES_REPORT": str(report)}
    log = BUILD / f"{name}.log"
    print(f"{name}: running, see {log}", flush=True)
    with log.open("w") as output:
        subprocess.run(command, cwd=suite.directory, env=settings, stdout=output, stderr=subprocess.STDOUT, check=False)
    if arguments:
        print(log.read_text())
        return True
    if not report.exists():
        print(f"{name}: pytest ended without a result, see {log}")
        return False
    return compare(name, json.loads(report.read_text()))


def compare(name: str, outcomes: dict[str, str]) -> bool:
    """Print the differences between a suite's outcomes and the list. Return True if there are none."""
    failed = {test for test, outcome in outcomes.items() if outcome == "failed"}
    passed = {test for test, outcome in outcomes.items() if outcome == "passed"}
    listed = expected(name)
    for test in sorted(failed - listed):
        print(f"{name}: fails, and is not in differences.toml: {test}")
    for test in sorted(listed - failed):
        print(f"{name}: {'passes' if test in passed else 'was not run'}, and is in differences.toml: {test}")
    print(f"{name}: {len(passed)} of {len(passed | failed)} pass; {len(listed)} are listed as different on purpose")
    return failed == listed


def main() -> int:
    """Run the suites that the command line names, or all."""
    parser = argparse.ArgumentParser("python -m tests.suites", description="Run other projects' test suites.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument(
        "--tests", nargs=argparse.REMAINDER, default=[], metavar="ARGUMENT", help="run pytest with these"
    )
    given = parser.parse_args()
    if unknown := set(given.suites) - set(SUITES):
        parser.error(f"unknown suite {', '.join(sorted(unknown))}: expected {', '.join(SUITES)}")
    as_listed, left_out = True, []
    for name in given.suites or SUITES:
        try:
            as_listed &= run(name, given.tests)
        except LeftOut as reason:
            left_out.append(f"{name}: left out: {reason}")
    # Last, so that nobody misses them.
    print(*left_out, sep="\n", end="\n" if left_out else "")
    if not as_listed:
        return 1
    return 3 if left_out else 0


if __name__ == "__main__":
    sys.exit(main())
