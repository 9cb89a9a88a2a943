"""Counting instructions, with whatever counts them here."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import instructions
from benchmarks.instructions import BASES, Callgrind, Counter, Perf, counter
from benchmarks.results import LeftOut, Results
from tests.benchmarks.samples import results


class Messages(Callgrind):
    """Counts ten instructions for each message that the command is told to do, and a thousand for its start."""

    def command(self, output: Path) -> list[str]:
        return ["sh", "-c", f'"$@" && for last; do :; done && echo "totals: $((1000 + 10 * last))" > {output}', "sh"]


def counted(monkeypatch: pytest.MonkeyPatch, by: Counter | None, **options: Any) -> Results:
    monkeypatch.setattr(instructions, "counter", lambda: by)
    run = results()
    run.figures, run.left_out = [], []
    instructions.run(run, lambda _: None, messages=200, **options)
    return run


def test_a_figure_is_what_more_messages_cost_without_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    run = counted(monkeypatch, Messages(), contestants=["bare", "asgi_ws"])
    assert run.left_out == []
    assert [(figure.contestant, figure.samples) for figure in run.figures] == [("bare", (10.0,)), ("asgi_ws", (10.0,))]
    assert run.bases["instructions"] == list(BASES)
    assert run.settings["instructions"]["messages"] == 200


def needed_counter() -> Counter:
    if (by := counter()) is None:
        pytest.skip("needs valgrind (the package of that name), or perf with hardware counters")
    return by


def test_the_counter_of_this_machine_counts_a_program(tmp_path: Path) -> None:
    by = needed_counter()
    for program in ("true", "false"):
        ended = subprocess.run([*by.command(tmp_path / program), program], capture_output=True, check=False)
        assert ended.returncode == (program == "false")
        assert 10_000 < by.count(tmp_path / program) < 10_000_000


@pytest.mark.slow  # Two runs of an interpreter in a simulated processor.
def test_the_instructions_of_a_message_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    run = counted(monkeypatch, needed_counter(), contestants=["bare"])
    assert run.left_out == []
    # Some hundred bytecodes, of some ten instructions each.
    assert 500 < run.figures[0].samples[0] < 50_000


def test_a_machine_that_cannot_count_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    run = counted(monkeypatch, counter())
    (left_out,) = run.left_out
    assert "install valgrind" in left_out.reason
    assert run.figures == []


def test_a_contestant_that_fails_is_left_out_with_what_it_said(tmp_path: Path) -> None:
    class Failing(Callgrind):
        def command(self, output: Path) -> list[str]:
            return ["sh", "-c", "echo it broke >&2; exit 3"]

    (left_out,) = instructions.measure(Failing(), ["asgi_ws"], messages=1, repetitions=2)
    assert left_out == LeftOut("instructions", "asgi_ws", "sh ended with 3: it broke")


@pytest.mark.parametrize(
    ("by", "text", "count"),
    [
        (Callgrind(), "version: 1\nevents: Ir\nsummary: 12\n\nfn=(1)\n3 4\ntotals: 626362124\n", 626362124),
        (Perf(), "# started on Sat\n\n417293,,instructions:u,1042,100.00,,\n", 417293),
        (Perf(), "417293,,cpu_core/instructions/u,1042,100.00,,\n", 417293),
    ],
)
def test_what_was_counted_is_read(tmp_path: Path, by: Counter, text: str, count: int) -> None:
    (tmp_path / "output").write_text(text, encoding="utf-8")
    assert by.count(tmp_path / "output") == count


def test_an_event_that_the_machine_does_not_count_is_no_count(tmp_path: Path) -> None:
    (tmp_path / "output").write_text("<not supported>,,instructions:u,0,100.00,,\n", encoding="utf-8")
    with pytest.raises(ValueError, match="not supported"):
        Perf().count(tmp_path / "output")
