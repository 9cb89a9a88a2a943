"""Run the mutations: `python -m tests.mutations [NAME...] [--jobs 2]`; see the package.

The work tree is copied into a temporary folder and the faults are put into the copy, so nothing is left broken by an
interruption. Without NAME all rows run. A NAME is an area, a file of the package, a row's name, or a part of one.
"""

import argparse
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Final

from . import Mutation, rows_by_area

_ROOT: Final = Path(__file__).parents[2]
# Files that the tests do not need, or would write to.
_NOT_COPIED: Final = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "site", "node_modules", "__pycache__", ".hypothesis", ".*_cache"
)
# Seconds for the tests of one mutation. A timeout counts as found.
_MOST_SECONDS: Final = 300
# Of one test, so that most of those that hang name themselves.
_MOST_SECONDS_OF_A_TEST: Final = 30
_TESTS_FAILED: Final = 1
# The last line of the output of pytest.
_SUMMARY: Final = re.compile(r" in \d+\.\d+s")
# The process groups of the tests under way.
_running: Final[set[int]] = set()
_FIRST_FAILURE: Final = re.compile(r"^(?:FAILED|ERROR) (\S+::.*?)(?: - .*)?$", re.MULTILINE)


class BrokenRow(Exception):
    """A row that cannot be run as it is."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one row.

    Attributes:
        name: of the row, with its area.
        verdict: "found", "NOT FOUND" or "BROKEN".
        by: the test that failed, or the reason.
    """

    name: str
    verdict: str
    by: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.verdict:<9} {self.seconds:6.1f} s  {self.name}: {self.by}"


class Copy:
    """A copy of the work tree, in which one fault at a time is put."""

    def __init__(self, folder: Path) -> None:
        self._root = folder / "copy"
        shutil.copytree(_ROOT, self._root, ignore=_NOT_COPIED)

    def run(self, name: str, mutation: Mutation) -> Result:
        began = time.monotonic()
        path = self._root / "asgi_ws" / mutation.file
        try:
            text = self._mutated(path, mutation)
            original = path.read_text()
            try:
                _write(path, text)
                verdict, by = self.test(mutation.tests)
            finally:
                _write(path, original)
        except BrokenRow as error:
            verdict, by = "BROKEN", str(error)
        return Result(name, verdict, by, time.monotonic() - began)

    @staticmethod
    def _mutated(path: Path, mutation: Mutation) -> str:
        if not path.exists():
            raise BrokenRow(f"there is no asgi_ws/{mutation.file}")
        text = path.read_text()
        if (count := text.count(mutation.old)) != 1:
            raise BrokenRow(f"asgi_ws/{mutation.file} has the text {count} times, not once: {mutation.old!r}")
        mutated = text.replace(mutation.old, mutation.new)
        try:
            compile(mutated, mutation.file, "exec")
        except SyntaxError as error:
            raise BrokenRow(f"the mutation is a {error!r}") from None
        return mutated

    def test(self, tests: str) -> tuple[str, str]:
        """Run tests against the copy as it is; return the verdict, and which of them failed."""
        command = [sys.executable, "-m", "pytest", *tests.split(), "-x", "-q", "-p", "no:cacheprovider"]
        command += ["-p", "pytest_asyncio.plugin", "-p", "pytest_timeout"]
        command += ["--timeout", str(_MOST_SECONDS_OF_A_TEST)]
        # To import all plugins takes as long as most of these tests.
        env = os.environ | {"PYTHONPATH": str(self._root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        with subprocess.Popen(
            command,
            cwd=self._root,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as pytest:
            _running.add(pytest.pid)
            try:
                output, _ = pytest.communicate(timeout=_MOST_SECONDS)
            except subprocess.TimeoutExpired:
                return "found", f"still running after {_MOST_SECONDS} s"
            finally:
                # Servers that a test started may outlive it.
                _kill_group(pytest.pid)
                _running.discard(pytest.pid)
        if pytest.returncode == 0:
            return "NOT FOUND", tests
        failure = _FIRST_FAILURE.search(output)
        if pytest.returncode == _TESTS_FAILED and failure is not None:
            return "found", failure[1]
        if not _SUMMARY.search(output):
            return "found", "a test that hangs and had to be ended with its process"
        raise BrokenRow(f"pytest ran no test ({pytest.returncode}): {output[-600:]}")


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    # Of the same size and in the same second it would be taken for the text before.
    Path(importlib.util.cache_from_source(path)).unlink(missing_ok=True)


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _chosen(names: Iterable[str]) -> dict[str, Mutation]:
    every = {f"{area}: {row.name}": row for area, rows in rows_by_area().items() for row in rows}
    if not names:
        return every
    chosen: dict[str, Mutation] = {}
    for name in names:
        found = {full: row for full, row in every.items() if full.startswith(f"{name}:")} or {
            full: row for full, row in every.items() if name in full or name == row.file
        }
        if not found:
            sys.exit(f"there is no mutation {name!r}")
        chosen |= found
    return chosen


def _run(rows: dict[str, Mutation], jobs: int, *, trusts_tests: bool) -> int:
    """Run rows and print what became of them; return how many were not found."""
    copies: SimpleQueue[Copy] = SimpleQueue()

    def run(item: tuple[str, Mutation]) -> Result:
        copy = copies.get()
        try:
            result = copy.run(*item)
        finally:
            copies.put(copy)
        print(result, flush=True)  # noqa: T201 -- the output of a program
        return result

    with TemporaryDirectory(prefix="asgi_ws-mutations-") as folder, ThreadPoolExecutor(jobs) as workers:
        first, *others = [Copy(Path(folder) / str(job)) for job in range(jobs)]
        try:
            for tests in () if trusts_tests else dict.fromkeys(row.tests for row in rows.values()):
                verdict, by = first.test(tests)
                if verdict == "found":
                    sys.exit(f"without a mutation there is a failure already: {by}")
            for copy in (first, *others):
                copies.put(copy)
            results = list(workers.map(run, rows.items()))
        finally:
            for group in tuple(_running):
                _kill_group(group)
    bad = [result for result in results if result.verdict != "found"]
    print(f"{len(results) - len(bad)} of {len(results)} found", *bad, sep="\n")  # noqa: T201
    return len(bad)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="an area, a file of the package, or a part of a row's name"
    )
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=1, help="how many run at a time")
    parser.add_argument("--trust", action="store_true", help="do not run the tests without a mutation first")
    arguments = parser.parse_args()
    # A terminated run ends its tests and removes its copies too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(min(_run(_chosen(arguments.names), arguments.jobs, trusts_tests=arguments.trust), 1))


if __name__ == "__main__":
    main()
