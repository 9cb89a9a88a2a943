"""Run a scenario: everyone in turn, again and again, each time with a fresh server, and read what the generator says.

A failure of one contestant is reported and voids its row. The others continue.
"""

import json
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tests.servers.program import PROJECT, Program

from .contestants import Contestant
from .machine import Cores, pinned
from .results import Figure, LeftOut, Results
from .scenarios.base import Case, Effort, Scenario, UselessError

GENERATOR: Final = (sys.executable, "-m", "benchmarks.load")
# The generator bounds each of its steps; this is for a generator that hangs itself.
_GENERATOR_SECONDS: Final = 180.0


class FailedError(Exception):
    """A contestant could not be started or measured, or did something wrong. The text is one line."""


class NotStartedError(FailedError):
    """A contestant's server could not be started."""


@dataclass
class Schedule:
    """One scenario on its way.

    Attributes:
        scenario: what is run.
        effort: how much of it.
        cores: where the server and the generator run.
        port: of every server, one after the other; 0 is any free one.
        without: what the name of a case that is left out matches.
        advance: called after each measurement, or for each that is left out, with their number.
        announce: called with what is being measured.
    """

    scenario: Scenario
    effort: Effort
    cores: Cores
    port: int = 0
    without: re.Pattern[str] | None = None
    advance: Callable[[int], None] = lambda _: None
    announce: Callable[[str], None] = lambda _: None
    # By case, contestant and metric, a sample for each repetition.
    _samples: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    # By contestant and case, why the row is missing.
    _void: dict[tuple[str, str], str] = field(default_factory=dict)

    def steps(self, contestants: Sequence[Contestant]) -> int:
        """Return the number of measurements, for a progress bar."""
        return self.effort.repetitions * len(contestants) * len(self.cases)

    @property
    def cases(self) -> Sequence[Case]:
        without = self.without
        return [case for case in self.scenario.cases(self.effort) if without is None or not without.search(case.name)]

    def run(self, contestants: Sequence[Contestant], results: Results) -> None:
        """Measure everyone, interleaved, and put the figures into `results`."""
        for repetition in range(self.effort.repetitions):
            # There and back, so that what drifts with the time favours nobody.
            for contestant in contestants if repetition % 2 == 0 else reversed(contestants):
                for cases in self._servings(contestant):
                    self._serve(contestant, cases)
        results.figures += self._figures(contestants)
        results.left_out += self._left_out(contestants)

    def _servings(self, contestant: Contestant) -> Iterator[Sequence[Case]]:
        """Return the cases of each server that is started."""
        cases = [case for case in self.cases if self._takes_part(contestant, case)]
        self.advance(len(self.cases) - len(cases))
        if self.scenario.fresh:
            yield from ([case] for case in cases)
            return
        for ping in dict.fromkeys(case.ping for case in cases):
            yield [case for case in cases if case.ping == ping]

    def _takes_part(self, contestant: Contestant, case: Case) -> bool:
        if case.deflate and not contestant.deflates:
            self._void[contestant.name, case.name] = "it has no permessage-deflate"
        return (contestant.name, case.name) not in self._void

    def _serve(self, contestant: Contestant, cases: Sequence[Case]) -> None:
        """Measure these cases with one server, and with a new one after each failure."""
        left = deque(cases)
        while left:
            try:
                with self._server(contestant, left[0].ping) as server:
                    while left:
                        self._measure(contestant, left[0], server)
                        left.popleft()
                        self.advance(1)
            except NotStartedError as error:
                self._void |= {(contestant.name, case.name): str(error) for case in left}
                self.advance(len(left))
                return
            except FailedError as error:
                self._void[contestant.name, left.popleft().name] = str(error)
                self.advance(1)

    @contextmanager
    def _server(self, contestant: Contestant, ping: float) -> Iterator[Program]:
        program = Program(contestant.name, contestant.started_with(ping=ping), port=self.port, cwd=PROJECT)
        try:
            try:
                with pinned(self.cores.server):
                    program.__enter__()
            except (RuntimeError, OSError) as error:
                lines = [line for line in str(error).splitlines() if line.strip()]
                said = dict.fromkeys((lines[0].removesuffix("; its log:"), lines[-1]))
                raise NotStartedError(": ".join(said)) from None
            yield program
        finally:
            # Nothing is lost with a server under test, and thousands of connections take their time to close.
            program.kill()
            program.__exit__(None, None, None)

    def _measure(self, contestant: Contestant, case: Case, server: Program) -> None:
        self.announce(f"{self.scenario.name}: {contestant.name}, {case.name}")
        job = case.asked_of(contestant, server.port) | {"pid": server.pid, "core": self.cores.generator}
        outcome = ask(job)
        if "error" in outcome:
            raise FailedError(outcome["error"])
        if not server.running:
            raise FailedError("the server ended")
        try:
            figures = dict(case.figures(outcome))
        except UselessError as error:
            raise FailedError(str(error)) from None
        before = self._samples.get((case.slowed_from or "", contestant.name, "p99"), [])
        if "p99" in figures and len(before) > len(self._samples.get((case.name, contestant.name, "p99"), [])):
            figures["slowdown"] = figures["p99"] / before[-1]
        for metric, sample in figures.items():
            self._samples.setdefault((case.name, contestant.name, metric), []).append(sample)

    def _figures(self, contestants: Sequence[Contestant]) -> Iterator[Figure]:
        """Return the figures that every repetition has, by case, then by contestant."""
        for case in self.cases:
            for contestant in contestants:
                if (contestant.name, case.name) in self._void:
                    continue
                for (of_case, of_contestant, metric), samples in self._samples.items():
                    whole = len(samples) == self.effort.repetitions
                    if whole and (of_case, of_contestant) == (case.name, contestant.name):
                        yield Figure(self.scenario.name, case.name, contestant.name, metric, tuple(samples))

    def _left_out(self, contestants: Sequence[Contestant]) -> Iterator[LeftOut]:
        """Return one line for a contestant that failed alike everywhere, else one for each case."""
        for contestant in contestants:
            reasons = {case: why for (name, case), why in self._void.items() if name == contestant.name}
            if len(reasons) == len(self.cases) and len(set(reasons.values())) == 1:
                yield LeftOut(self.scenario.name, contestant.name, next(iter(reasons.values())))
                continue
            for case, why in reasons.items():
                yield LeftOut(self.scenario.name, contestant.name, f"{case}: {why}")


def ask(job: Mapping[str, Any], generator: Sequence[str] = GENERATOR) -> dict[str, Any]:
    """Run a job in the load generator, a process of its own, and return its answer.

    Raises:
        FailedError: when it ended without an answer.
    """
    try:
        ended = subprocess.run(
            generator,
            input=json.dumps(dict(job)),
            capture_output=True,
            text=True,
            cwd=PROJECT,
            timeout=_GENERATOR_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FailedError(f"the load generator gave no answer in {_GENERATOR_SECONDS:g} s") from None
    try:
        outcome: dict[str, Any] = json.loads(ended.stdout)
    except ValueError:
        complaint = (ended.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
        raise FailedError(f"the load generator ended with status {ended.returncode}: {complaint}") from None
    return outcome
