"""Instructions for a message in and out, and for a publish, in process: a figure that is steady where times vary.

They are counted by `perf stat` where the machine has hardware counters, else by `valgrind --tool=callgrind`. Every
contestant runs in fresh processes, once with few messages and once with many; the difference is what the messages cost,
without start-up and shut-down. Hashes, environment and garbage collection are the same in all, so that a second run
counts the same to within a few thousandths.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from . import inprocess, publish
from .results import Figure, LeftOut, Results

SCENARIO: Final = "instructions"
INSTALL: Final = (
    "instructions are counted by perf with hardware counters, which are not here, or by valgrind, which is not "
    "installed: apt-get install valgrind, dnf install valgrind"
)
# So many that the start is over (caches are filled, the interpreter has specialised its code), and how many more are
# counted: what two counts of the same differ by, a few thousand instructions, is nothing beside theirs.
FEW: Final = 200
MESSAGES: Final = 5000
# Seconds, against a program that hangs: a run takes five under valgrind on a quiet machine.
PATIENCE: Final = 600
_ROOT: Final = Path(__file__).parent.parent
_CHILD: Final = """
import gc, sys
gc.disable()
from benchmarks.instructions import WORKS
WORKS[sys.argv[1]].do(int(sys.argv[2]))
"""


@dataclass(frozen=True)
class Work:
    """One thing that is counted.

    Attributes:
        case: in the results.
        contestant: in the results.
        do: does it so many times.
        share: of `FEW` and of the messages, for work that takes long.
    """

    case: str
    contestant: str
    do: Callable[[int], object]
    share: float = 1.0


def _works() -> Iterator[tuple[str, Work]]:
    for name, app in inprocess.CONTESTANTS.items():
        yield name, Work(inprocess.CASE, name, partial(inprocess.cost, app))
    for members, case, share in ((1, "publish to 1 member", 1.0), (1000, "publish to 1,000 members", 0.02)):
        for name in publish.CONTESTANTS:
            yield f"{name}, {case}", Work(case, name, partial(publish.publish, name, members), share)


WORKS: Final = dict(_works())
BASES: Final = (*inprocess.BASES, publish.BASE)
STEPS: Final = len(WORKS)


class CountError(Exception):
    """A run that gave no count. The text says why."""


class Counter(Protocol):
    """A program that counts the instructions of another."""

    @property
    def name(self) -> str: ...

    def command(self, output: Path) -> list[str]:
        """Return the words before the command that is counted. `output` is a file that they may use."""
        ...

    def count(self, output: Path) -> int:
        """Return the count, or raise ValueError if there is none."""
        ...


@dataclass(frozen=True)
class Perf:
    """The machine's own counters."""

    name: str = "perf stat"

    def command(self, output: Path) -> list[str]:
        return ["perf", "stat", "-x", ",", "-e", "instructions:u", "-o", str(output), "--"]

    def count(self, output: Path) -> int:
        lines = [line for line in output.read_text(encoding="utf-8").splitlines() if "instructions" in line]
        if not lines:
            raise ValueError("no count")
        # A processor with two kinds of cores has a line for each.
        return sum(int(line.split(",")[0]) for line in lines if not line.startswith("<not counted>"))


@dataclass(frozen=True)
class Callgrind:
    """A simulated processor, about thirty times slower."""

    name: str = "valgrind --tool=callgrind"

    def command(self, output: Path) -> list[str]:
        return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}"]

    def count(self, output: Path) -> int:
        lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
        line = next(line for line in reversed(lines) if line.startswith(("totals:", "summary:")))
        return int(line.split()[1])


def counter() -> Counter | None:
    """Return the better counter of those that work here, or None."""
    if shutil.which("perf"):
        with tempfile.TemporaryDirectory() as directory:
            try:
                _counted(Perf(), [sys.executable, "-S", "-c", ""], Path(directory))
            except CountError:
                pass
            else:
                return Perf()
    return Callgrind() if shutil.which("valgrind") else None


def _counted(by: Counter, command: list[str], directory: Path) -> int:
    """Return the instructions of this command.

    Raises:
        CountError: when it failed, or nothing was counted.
    """
    handle, name = tempfile.mkstemp(dir=directory)
    os.close(handle)
    output = Path(name)
    _run([*by.command(output), *command])
    try:
        return by.count(output)
    except (StopIteration, ValueError, IndexError) as error:
        raise CountError(f"{by.name} counted nothing here") from error


def _run(command: list[str]) -> None:
    # The environment's size and the order of hashes would show in the counts.
    kept = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
    environment = {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(
            command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CountError(f"{command[0]} did not run: {error}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing said"]
        raise CountError(f"{Path(command[0]).name} ended with {done.returncode}: {said[-1]}")


def measure(by: Counter, contestants: Iterable[str], messages: int, repetitions: int) -> Iterator[Figure | LeftOut]:
    """Count the instructions of these contestants, as many at a time as there are cores; each result as it comes.

    Args:
        by: who counts.
        contestants: keys of `WORKS`.
        messages: by how many the longer run is longer.
        repetitions: samples of each.
    """
    names = list(contestants)
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(_cores()) as pool:
        # The first run may compile modules; it counts for nothing.
        _run(_command(names[0], 1))
        samples: dict[Future[float], str] = {
            pool.submit(_sample, by, name, messages, Path(directory)): name
            for _ in range(repetitions)
            for name in names
        }
        found: dict[str, list[float]] = {name: [] for name in names}
        failed: set[str] = set()
        for future in _all(samples, pool):
            name = samples[future]
            try:
                found[name].append(future.result())
            except CountError as error:
                if name not in failed:
                    failed.add(name)
                    yield LeftOut(SCENARIO, name, str(error))
            if name not in failed and len(found[name]) == repetitions:
                yield Figure(SCENARIO, WORKS[name].case, WORKS[name].contestant, "instructions", tuple(found[name]))


def _all(samples: Iterable[Future[float]], pool: ThreadPoolExecutor) -> Iterator[Future[float]]:
    """Yield each count as it is done. An interruption waits for the counts under way only."""
    try:
        yield from as_completed(samples)
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _command(name: str, messages: int) -> list[str]:
    return [sys.executable, "-c", _CHILD, name, str(messages)]


def _sample(by: Counter, name: str, messages: int, directory: Path) -> float:
    share = WORKS[name].share
    fewer, more = max(1, round(FEW * share)), max(1, round(messages * share))
    few, many = (_counted(by, _command(name, count), directory) for count in (fewer, fewer + more))
    return (many - few) / more


def run(
    results: Results,
    advance: Callable[[int], None],
    *,
    messages: int = MESSAGES,
    contestants: Iterable[str] = WORKS,
) -> None:
    """Count, and put what was found into `results`; `advance` is called for each contestant that is done."""
    results.bases[SCENARIO] = list(BASES)
    by = counter()
    results.settings[SCENARIO] = {"messages": messages, "counter": by.name if by else "none"}
    if by is None:
        results.left_out.append(LeftOut(SCENARIO, "all", INSTALL))
        return
    names = list(contestants)
    found: dict[tuple[str, str], Figure] = {}
    try:
        for each in measure(by, names, messages, repetitions=1):
            advance(1)
            if isinstance(each, Figure):
                found[each.case, each.contestant] = each
            else:
                results.left_out.append(each)
    except CountError as error:
        results.left_out.append(LeftOut(SCENARIO, "all", str(error)))
    places = [(WORKS[name].case, WORKS[name].contestant) for name in names]
    results.figures += [found[place] for place in places if place in found]
