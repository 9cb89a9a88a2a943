"""Run other projects' test suites with the kit of asgi_ws, and compare with the list of deliberate differences.

    python -m tests.suites [starlette] [endpoints] [fastapi] [channels] [--tests ARGUMENT ...]

The suites come from the source distributions on PyPI; that of Channels, which has no tests, from the tag of its
repository. Each runs in an environment of its own under build/suites. With `--tests` what follows goes to pytest, and
nothing is compared.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from dataclasses import dataclass
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

    @property
    def project(self) -> str:
        return self.source.partition("==")[0]

    @property
    def directory(self) -> Path:
        return BUILD / self.source.replace("==", "-")


SUITES = {
    "starlette": Suite("starlette==1.10.0", "kit_for_starlette"),
    "endpoints": Suite(
        "starlette==1.10.0", "endpoints_ported", paths=("tests/test_endpoints.py", "tests/test_websockets.py")
    ),
    # The tests of telemetry that are left out start processes of their own, which do not have the kit.
    "fastapi": Suite(
        "fastapi==0.165.0", "kit_for_starlette", options=("-n", "2", "-k", "not _telemetry or websockets")
    ),
    "channels": Suite(
        "channels==4.3.2",
        "kit_for_channels",
        options=("--ignore", "tests/sample_project"),
        repository="https://github.com/django/channels",
    ),
}


def environment(project: str) -> Path:
    """Return the Python of an environment with a suite's requirements and this package, made where it is missing."""
    requirements = HERE / "requirements" / f"{project}.txt"
    home = BUILD / project / ".venv"
    python, stamp = home / "bin" / "python", home / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        venv.create(home, clear=True, with_pip=True)
        install: list[str | Path] = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--editable",
            f"{ROOT}[testing]",
            "-r",
            requirements,
        ]
        subprocess.run(install, check=True)
        shutil.copy(requirements, stamp)
    return python


def unpack(suite: Suite, python: Path) -> None:
    """Download a suite's source and unpack it, unless it is there."""
    if suite.directory.exists():
        return
    if suite.repository:
        tag = suite.source.partition("==")[2]
        clone: list[str | Path] = [
            "git",
            "clone",
            "--quiet",
            "--depth",
            "1",
            "--branch",
            tag,
            suite.repository,
            suite.directory,
        ]
        subprocess.run(clone, check=True)
        return
    download: list[str | Path] = [
        python,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-binary",
        ":all:",
        "--no-deps",
        "--dest",
        BUILD,
    ]
    subprocess.run([*download, suite.source], check=True)
    with tarfile.open(f"{suite.directory}.tar.gz") as archive:
        archive.extractall(BUILD, filter="data")


def run(name: str, arguments: list[str]) -> bool:
    """Run one suite; whether it went as the list of differences says."""
    suite = SUITES[name]
    python = environment(suite.project)
    unpack(suite, python)
    report = BUILD / f"{name}.json"
    report.unlink(missing_ok=True)
    command: list[str | Path] = [
        python,
        "-m",
        "pytest",
        "-p",
        "suites_report",
        "-p",
        suite.plugin,
        "-q",
        "--tb=short",
        "--timeout",
        "60",
    ]
    settings = {**os.environ, "PYTHONPATH": str(HERE / "plugins"), "SUITES_REPORT": str(report)}
    log = BUILD / f"{name}.log"
    print(f"{name}: running, see {log}", flush=True)
    with log.open("w") as output:
        subprocess.run(
            [*command, *suite.options, *(arguments or suite.paths)],
            cwd=suite.directory,
            env=settings,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if arguments:
        print(log.read_text())
        return True
    return compare(name, json.loads(report.read_text()))


def compare(name: str, outcomes: dict[str, str]) -> bool:
    """Say how a suite's outcomes differ from the list; whether they do not."""
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
    names, _, arguments = " ".join(sys.argv[1:]).partition("--tests")
    results = [run(name, arguments.split()) for name in names.split() or SUITES]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
