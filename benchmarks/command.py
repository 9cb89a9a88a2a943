"""The command line of what measures: which scenarios, whom, how much, and where the results go."""

import argparse
import dataclasses
import re
import resource
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from . import crowd, imports, inprocess, instructions
from .budgets import print_verdicts
from .contestants import BY_NAME, Contestant, UnknownContestantError, named
from .machine import Cores, describe, pinned, versions
from .report import console, print_circumstances, print_tables
from .results import LeftOut, Results, ResultsError
from .scenarios import SCENARIOS
from .scenarios.base import FULL, QUICK, Effort, Scenario
from .schedule import Schedule

UNDER_LOAD: Final = {scenario.name: scenario for scenario in SCENARIOS}
SUMMARIES: Final = {
    "inprocess": "One message in and one out, in process: what a framework adds to a bare ASGI loop.",
    "instructions": "The same, and a publish, in processor instructions, which are steady where times vary.",
    "crowd": "1,000 and 10,000 members of a room that come and go at once, in process.",
    **{scenario.name: scenario.summary for scenario in SCENARIOS},
    "imports": "The time that the import takes.",
}
# In the quick set: what ends in a few minutes, and moves least from run to run.
QUICK_SET: Final = ("inprocess", "echo", "handshake", "fanout", "stall", "memory")
# Those that nobody is asked whether to leave out: without them there is nothing to compare.
_ALWAYS: Final = ("asgi_ws", "starlette")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the commands that measure."""
    parser.add_argument("--quick", action="store_true", help="fewer cases, contestants and repetitions")
    parser.add_argument(
        "--peers",
        nargs="+",
        metavar="NAME",
        help="who is measured beside asgi_ws and starlette: names, 'all' that are installed, or 'none'",
    )
    parser.add_argument("--repetitions", type=_positive(int), metavar="N", help="interleaved, of everything [3]")
    parser.add_argument("--seconds", type=_positive(float), metavar="S", help="of one measured section [0.8 or 1]")
    parser.add_argument("--members", type=_positive(int), metavar="N", help="of a room [1000]")
    parser.add_argument("--connections", type=_positive(int), metavar="N", help="that are idle [2000 or 10000]")
    parser.add_argument("--without", type=_pattern, metavar="REGEX", help="leave out the cases whose names match")
    parser.add_argument("--port", type=_port, default=0, metavar="N", help="of the servers [any that is free]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--update", action="store_true", help="keep what that file has of other scenarios")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw the results there, as SVG")


def _positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    def parsed(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = kind(0)
        if not 0 < number < float("inf"):
            raise argparse.ArgumentTypeError(f"{text!r} is no positive {'number' if kind is float else 'whole number'}")
        return number

    return parsed


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


def effort_of(arguments: argparse.Namespace) -> Effort:
    """Return the effort that the options ask for."""
    effort = QUICK if arguments.quick else FULL
    given = {
        "repetitions": arguments.repetitions,
        "seconds": arguments.seconds,
        "members": arguments.members,
        "connections": arguments.connections,
    }
    return dataclasses.replace(effort, **{name: value for name, value in given.items() if value is not None})


def chosen(name: str, *, quick: bool) -> Sequence[str]:
    """Return the scenarios that a name on the command line stands for."""
    if name != "all":
        return [name]
    return QUICK_SET if quick else [each for each in SUMMARIES if each != "imports"]


def who(scenario: Scenario, effort: Effort, peers: Sequence[str] | None) -> list[Contestant]:
    """Return the contestants that the options ask for.

    Raises:
        UnknownContestantError: for a name that nobody has.
    """
    if peers is None:
        return named(scenario.quick if effort.quick else scenario.full)
    if list(peers) == ["all"]:
        return named(scenario.full)
    asked = named([] if list(peers) == ["none"] else peers)
    return named([*_ALWAYS, *(each.name for each in asked if each.name in scenario.full)])


def main(scenarios: Sequence[str], arguments: argparse.Namespace) -> int:
    """Measure, print, write; the exit status: 1 when there is nothing of this package, 2 for what cannot be done."""
    # `timeout` and a closed terminal end the servers too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    effort = effort_of(arguments)
    cores = Cores.available()
    results = Results(
        command=shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=describe(cores),
        versions=versions(),
    )
    if "other work" in results.machine:
        console.print(f"warning: this machine is {results.machine['other work']}; expect disturbed figures")
    try:
        if arguments.update and arguments.json is None:
            raise ResultsError("--update needs a file to update: --json FILE")
        for name in UNDER_LOAD.keys() & scenarios:
            # For its error: a name that nobody has is told before anything is measured.
            who(UNDER_LOAD[name], effort, arguments.peers)
        for folder in _folders(arguments):
            _made(folder)
        before = Results.load(arguments.json) if arguments.update and arguments.json.is_file() else results
        _allow_open_files()
        for name in scenarios:
            _measure(name, effort, arguments, cores, results)
            results.settings[name]["taken"] = results.taken
            print_tables(results, name)
            print_verdicts(results, name)
            # After each, so that an hour is not lost with the next one.
            if arguments.json is not None:
                before.updated(results).save(arguments.json)
        print_circumstances(results)
        _draw(before.updated(results), arguments)
    except (UnknownContestantError, ResultsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        is_kept = arguments.json is not None and results.figures
        print(f"interrupted{f'; what was done is in {arguments.json}' if is_kept else ''}", file=sys.stderr)
        return 130
    finally:
        _kill_children()
    ours = {figure.scenario for figure in results.figures if figure.contestant.startswith("asgi_ws")}
    return 0 if ours >= {name for name in scenarios if name != "instructions"} else 1


def _kill_children() -> None:
    """Kill every process that is left, also one whose start was interrupted before its object existed."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children)


def _folders(arguments: argparse.Namespace) -> Iterator[Path]:
    """Yield the folders that results go to, so that a bad one is found now and not after an hour."""
    if arguments.json is not None:
        if arguments.json.is_dir():
            raise ResultsError(f"{arguments.json} is a directory")
        yield arguments.json.parent
    if arguments.plot is not None:
        yield arguments.plot


def _made(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"{folder} cannot be written to: {error.strerror}") from error


def _allow_open_files() -> None:
    """Raise the limit of open files: each connection takes one, here and in the servers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _measure(name: str, effort: Effort, arguments: argparse.Namespace, cores: Cores, results: Results) -> None:
    if name == "inprocess":
        sizes = inprocess.Sizes()
        with _progress(name, sizes.steps) as bar:
            inprocess.run(sizes, results, bar.advance)
    elif name == crowd.SCENARIO:
        many = crowd.Sizes(effort.repetitions)
        with _progress(name, many.steps) as bar:
            crowd.run(many, results, bar.advance)
    elif name == "imports":
        with _progress(name, imports.STEPS) as bar:
            imports.run(results, bar.advance)
    elif name == "instructions":
        with _progress(name, instructions.STEPS) as bar:
            instructions.run(results, bar.advance)
    else:
        _load(UNDER_LOAD[name], effort, arguments, cores, results)


def _load(scenario: Scenario, effort: Effort, arguments: argparse.Namespace, cores: Cores, results: Results) -> None:
    for name in arguments.peers or ():
        if name in BY_NAME and name not in scenario.full:
            results.left_out.append(LeftOut(scenario.name, name, "it takes no part in this scenario"))
    contestants = []
    for contestant in who(scenario, effort, arguments.peers):
        install = contestant.install()
        if install is None:
            contestants.append(contestant)
        else:
            results.left_out.append(LeftOut(scenario.name, contestant.name, f"not installed; {install}"))
    schedule = Schedule(scenario, effort, cores, port=arguments.port, without=arguments.without)
    results.bases[scenario.name] = [base for base in scenario.bases if base in {each.name for each in contestants}]
    results.settings[scenario.name] = dataclasses.asdict(effort)
    # This process and its progress bar leave the server's core alone.
    with pinned(cores.generator), _progress(scenario.name, schedule.steps(contestants)) as bar:
        schedule.advance, schedule.announce = bar.advance, bar.announce
        schedule.run(contestants, results)


@dataclass(frozen=True)
class _Bar:
    progress: Progress
    task: TaskID

    def advance(self, steps: int) -> None:
        self.progress.advance(self.task, steps)

    def announce(self, what: str) -> None:
        self.progress.update(self.task, description=what)


@contextmanager
def _progress(name: str, total: int) -> Iterator[_Bar]:
    columns = (
        BarColumn(20),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    # Drawn seldom: it shares its core with the load generator.
    with Progress(*columns, console=console, transient=True, refresh_per_second=1) as progress:
        yield _Bar(progress, progress.add_task(name, total=total))


def _draw(results: Results, arguments: argparse.Namespace) -> None:
    if arguments.json is not None:
        console.print(f"written: {arguments.json}", markup=False)
    if arguments.plot is not None:
        # matplotlib takes half a second to import.
        from .plots import draw  # noqa: PLC0415

        for path in draw(results, arguments.plot):
            console.print(f"drawn: {path}", markup=False)
