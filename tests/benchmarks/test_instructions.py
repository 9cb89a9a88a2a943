"""Counting instructions, with whatever counts them here."""

from pathlib import Path

import pytest

from benchmarks import instructions
from benchmarks.instructions import BASES, Callgrind, Counter, Perf, counter
from benchmarks.results import LeftOut
from tests.benchmarks.samples import results


# Two runs of an interpreter in a simulated processor: seconds on a machine that does nothing else.
def test_the_instructions_of_a_message_are_counted() -> None:
    if counter() is None:
        pytest.skip("needs valgrind (the package of that name), or perf with hardware counters")
    run = results()
    run.figures, run.left_out = [], []
    steps: list[int] = []
    instructions.run(run, steps.append, messages=200, contestants=["bare"])
    assert run.left_out == []
    (bare,) = run.figures
    assert bare.contestant == "bare"
    # Some hundred bytecodes, of some ten instructions each.
    assert 500 < bare.samples[0] < 50_000
    assert steps == [1]
    assert run.bases["instructions"] == list(BASES)
    assert run.settings["instructions"]["messages"] == 200


def test_a_machine_that_cannot_count_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    run = results()
    run.figures, run.left_out = [], []
    instructions.run(run, lambda _: None)
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
