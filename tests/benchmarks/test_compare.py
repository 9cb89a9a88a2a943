"""The comparison of two runs: the changes that it shows, and its exit status."""

import argparse
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import compare as module
from benchmarks.chance import chance, smallest
from benchmarks.compare import Comparison, Verdict, compare, print_comparison
from benchmarks.results import Figure, LeftOut, Results
from tests.benchmarks.samples import results

BASE = (10.0, 11.0, 9.0)


def echo(metric: str = "cpu", base: Sequence[float] = BASE, **samples: Sequence[float]) -> Results:
    run = results()
    run.settings = {"echo": {"seconds": 1.5}}
    run.bases = {"echo": ["starlette"]}
    run.left_out = []
    contestants = {"starlette": base, **samples}
    run.figures = [Figure("echo", "a case", name, metric, tuple(each)) for name, each in contestants.items()]
    return run


def verdict(old: Results, new: Results, share: float = 0.1) -> Verdict:
    (change,) = compare(old, new, share).changes
    return change.verdict


def times(factors: Sequence[float], base: Sequence[float] = BASE) -> list[float]:
    return [factor * each for factor, each in zip(factors, base, strict=True)]


def printed(comparison: Comparison) -> str:
    to = io.StringIO()
    print_comparison(comparison, Console(file=to, width=120))
    return to.getvalue()


def test_a_run_beside_itself_moved_nothing() -> None:
    comparison = compare(results(), results())
    assert {change.verdict for change in comparison.changes} == {Verdict.NOISE}
    assert not comparison.regressed
    assert (comparison.warnings, comparison.appeared, comparison.gone) == ([], [], [])


def test_a_gated_figure_that_got_worse_by_more_than_the_share_is_a_regression() -> None:
    old, new = echo(asgi_ws=times((0.40, 0.41, 0.42))), echo(asgi_ws=times((0.50, 0.49, 0.48)))
    assert verdict(old, new) is Verdict.REGRESSION
    assert verdict(old, new, share=0.3) is Verdict.WORSE
    assert verdict(new, old) is Verdict.BETTER
    assert compare(old, new).regressed


def test_a_slower_hour_is_no_regression_where_the_base_was_slower_too() -> None:
    slower = tuple(2 * each for each in BASE)
    factors = (0.40, 0.41, 0.42)
    assert verdict(echo(asgi_ws=times(factors)), echo(base=slower, asgi_ws=times(factors, slower))) is Verdict.NOISE


def test_three_samples_that_overlap_are_noise_however_far_the_medians_are_apart() -> None:
    assert verdict(echo(asgi_ws=times((0.4, 0.4, 0.7))), echo(asgi_ws=times((0.6, 0.8, 0.8)))) is Verdict.NOISE


def test_one_stray_repetition_of_five_hides_no_regression() -> None:
    base = (10.0,) * 5
    old = echo(base=base, asgi_ws=times((0.40, 0.41, 0.42, 0.41, 0.60), base))
    new = echo(base=base, asgi_ws=times((0.50, 0.51, 0.49, 0.52, 0.50), base))
    assert verdict(old, new) is Verdict.NOISE
    new = echo(base=base, asgi_ws=times((0.50, 0.51, 0.49, 0.52, 0.61), base))
    assert verdict(old, new) is Verdict.REGRESSION


def test_times_with_fewer_than_three_samples_are_not_judged() -> None:
    old, new = echo(base=(10.0,), asgi_ws=(4.0,)), echo(base=(10.0,), asgi_ws=(8.0,))
    assert verdict(old, new) is Verdict.TOO_FEW
    assert "run three repetitions or more" in printed(compare(old, new))
    assert not compare(old, new).regressed


@pytest.mark.parametrize(
    ("new", "expected"), [(8300.0, Verdict.NOISE), (8500.0, Verdict.WORSE), (9200.0, Verdict.REGRESSION)]
)
def test_one_count_of_instructions_is_judged_by_its_size(new: float, expected: Verdict) -> None:
    old = echo("instructions", base=(18000.0,), asgi_ws=(8270.0,))
    comparison = compare(old, echo("instructions", base=(30000.0,), asgi_ws=(new,)))
    change = next(change for change in comparison.changes if change.figure.contestant == "asgi_ws")
    assert change.verdict is expected
    assert change.base is None


def test_counts_of_another_python_are_compared_as_ratios() -> None:
    old = echo("instructions", base=(18000.0,), asgi_ws=(9000.0,))
    new = echo("instructions", base=(9000.0,), asgi_ws=(4500.0,))
    new.versions["CPython"] = "3.13.1"
    comparison = compare(old, new)
    (change,) = comparison.changes
    assert (change.base, change.verdict) == ("starlette", Verdict.NOISE)
    assert any("CPython 3.11.7 → 3.13.1" in line for line in comparison.warnings)


def test_what_is_not_gated_or_not_ours_fails_nothing() -> None:
    slow, fast = times((2.0, 2.1, 2.2)), times((1.0, 1.1, 1.2))
    assert verdict(echo("p99", asgi_ws=fast), echo("p99", asgi_ws=slow)) is Verdict.WORSE
    assert verdict(echo(picows=fast), echo(picows=slow)) is Verdict.WORSE
    (change,) = compare(echo(picows=fast), echo(picows=slow), contestants=["picows"]).changes
    assert change.verdict is Verdict.REGRESSION


def test_all_names_that_begin_with_ours_are_ours() -> None:
    old, new = echo(asgi_ws_wsproto=times((1.0, 1.1, 1.2))), echo(asgi_ws_wsproto=times((2.0, 2.1, 2.2)))
    assert verdict(old, new) is Verdict.REGRESSION


def test_more_is_better_where_the_metric_says_so() -> None:
    old, new = echo("rate", asgi_ws=times((2.0, 2.1, 2.2))), echo("rate", asgi_ws=times((3.0, 3.1, 3.2)))
    assert verdict(old, new) is Verdict.BETTER
    assert verdict(new, old) is Verdict.WORSE


@pytest.mark.parametrize(
    ("field", "name", "text"),
    [
        ("machine", "processor", "the machine differs: processor Example"),
        ("versions", "starlette", "a base differs: starlette 1.0.0"),
        ("versions", "uvicorn", "versions differ: uvicorn 0.54.0"),
    ],
)
def test_a_difference_of_the_conditions_is_warned_of(field: str, name: str, text: str) -> None:
    old, new = echo(), echo()
    setattr(new, field, getattr(new, field) | {name: "another"})
    assert any(line.startswith(text) and "→ another" in line for line in compare(old, new).warnings)


def test_another_version_of_our_own_is_what_one_compares() -> None:
    new = echo()
    new.versions["asgi-websockets"] = "9.9"
    assert compare(echo(), new).warnings == []


def test_scenarios_with_other_settings_are_not_compared() -> None:
    old, new = echo(asgi_ws=BASE), echo(asgi_ws=times((9, 9, 9)))
    new.settings = {"echo": {"seconds": 0.5}}
    comparison = compare(old, new)
    assert comparison.changes == []
    assert comparison.warnings == ["echo: not compared, the settings differ: seconds 1.5 → 0.5"]


def test_more_repetitions_are_no_other_settings() -> None:
    old, new = echo(asgi_ws=BASE), echo(asgi_ws=BASE)
    old.settings, new.settings = {"echo": {"repetitions": 3}}, {"echo": {"repetitions": 5}}
    assert compare(old, new).warnings == []


def test_what_is_new_or_gone_is_told() -> None:
    comparison = compare(echo(picows=BASE), echo(aiohttp=BASE))
    assert comparison.appeared == ["echo: a case: aiohttp: server CPU"]
    assert comparison.gone == ["echo: a case: picows: server CPU"]
    assert not comparison.regressed
    assert "only in the old run: echo: a case: picows" in printed(comparison)


def test_one_of_ours_that_failed_in_the_new_run_is_a_regression() -> None:
    new = echo()
    new.left_out = [LeftOut("echo", "asgi_ws", "a wrong reply")]
    comparison = compare(echo(asgi_ws=BASE), new)
    assert comparison.regressed
    assert "REGRESSION: no longer measured: echo: asgi_ws: a wrong reply" in printed(comparison)


def test_a_figure_of_ours_that_has_lost_its_base_is_a_regression() -> None:
    new = echo(asgi_ws=times((3.6, 3.6, 3.6)))
    new.figures = [figure for figure in new.figures if figure.contestant != "starlette"]
    comparison = compare(echo(asgi_ws=times((0.4, 0.4, 0.4))), new)
    assert comparison.regressed
    assert any("no base to compare it with" in line for line in comparison.lost)


def test_a_gated_figure_of_ours_that_its_case_no_longer_has_is_a_regression() -> None:
    old, new = echo(asgi_ws=times((0.4, 0.4, 0.4))), echo("p99", asgi_ws=times((0.4, 0.4, 0.4)))
    comparison = compare(old, new)
    assert any("server CPU" in line for line in comparison.lost)


def test_who_delivers_less_has_regressed() -> None:
    old, new = echo("delivered", asgi_ws=(100.0,) * 3), echo("delivered", asgi_ws=(3.0,) * 3)
    assert compare(old, new).regressed


def test_the_table_says_what_how_much_and_the_noise() -> None:
    old, new = echo(asgi_ws=times((0.40, 0.41, 0.42))), echo(asgi_ws=times((0.50, 0.49, 0.48)))
    text = printed(compare(old, new))
    for part in ("REGRESSION", "server CPU / starlette", "0.41", "(0.40-0.42)", "0.49", "+19.5%", "regressions: 1"):
        assert part in text


def test_the_chance_is_that_of_the_rank_sum_test() -> None:
    assert chance((1, 2, 3), (4, 5, 6)) == smallest(3, 3) == pytest.approx(1 / 20)
    # Four pairs of 25 the other way round: 12 of the 252 orders are as much apart or more.
    assert chance((1, 2, 3, 4, 9.5), (6, 7, 8, 9, 10)) == pytest.approx(12 / 252)
    assert chance((1, 1, 1), (1, 1, 1)) == 1


def command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.main(parser.parse_args(words))


@pytest.mark.parametrize(("factor", "status"), [(1.0, 0), (1.05, 0), (1.5, 1)])
def test_the_exit_status_tells_a_regression(tmp_path: Path, factor: float, status: int) -> None:
    old, new = results(), results()
    new.figures = [
        dataclasses.replace(figure, samples=tuple(factor * sample for sample in figure.samples))
        if figure.contestant.startswith("asgi_ws") and figure.metric in {"cpu", "instructions"}
        else figure
        for figure in new.figures
    ]
    files = [str(tmp_path / name) for name in ("old.json", "new.json")]
    old.save(Path(files[0]))
    new.save(Path(files[1]))
    assert command(*files) == status


def test_bad_input_is_one_line_and_another_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    results().save(good)
    bad.write_text("{", encoding="utf-8")
    assert command(str(good), str(bad)) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_runs_with_too_few_samples_pass_no_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, cost in (("old", 4.0), ("new", 36.0)):
        echo(base=(10.0,), asgi_ws=(cost,)).save(tmp_path / name)
    assert command(str(tmp_path / "old"), str(tmp_path / "new")) == 2
    assert "nothing could be judged" in capsys.readouterr().err


def test_two_runs_with_nothing_in_common_pass_no_gate(tmp_path: Path) -> None:
    old, new = results(), results()
    new.settings = {"handshake": {}}
    new.figures = []
    files = [str(tmp_path / name) for name in ("old.json", "new.json")]
    old.save(Path(files[0]))
    new.save(Path(files[1]))
    assert command(*files) == 2


@pytest.mark.parametrize("share", ["-1", "much", "nan", "inf"])
def test_a_share_is_a_number(share: str) -> None:
    with pytest.raises(SystemExit):
        command("a", "b", f"--share={share}")
