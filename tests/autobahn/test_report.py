"""The suite's reports and the page on the suite. These tests do not run the suite."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.pages import filled
from tests.autobahn.__main__ import PAGE, main
from tests.autobahn.interpreter import SUITE_VERSION
from tests.autobahn.report import (
    EXPECTED,
    Comparison,
    Deviation,
    Outcome,
    ReportError,
    compare,
    counts_table,
    described,
    deviations_table,
    read_expected,
    read_report,
    summary,
)
from tests.autobahn.suite import shares_of

OK = Outcome()
NON_STRICT = Outcome("NON-STRICT")
UNCLEAN = Outcome("OK", "UNCLEAN")
FAILED = Outcome("FAILED", "WRONG CODE")


def written(folder: Path, content: Any) -> Path:
    path = folder / "file.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def entry(outcome: Outcome, **others: Any) -> dict[str, Any]:
    return {"behavior": outcome.behavior, "behaviorClose": outcome.behavior_close, **others}


def stored(folder: Path, deviations: Mapping[str, Any], suite: str = SUITE_VERSION) -> Path:
    return written(folder, {"suite": suite, "deviations": deviations})


# -- reading


def test_a_report_says_of_each_case_how_it_ended_and_how_it_was_closed(tmp_path: Path) -> None:
    cases = {"1.1.1": entry(OK, duration=2, remoteCloseCode=1000), "7.1.5": entry(FAILED, reportfile="x.json")}
    assert read_report(written(tmp_path, {"server": cases})) == {"1.1.1": OK, "7.1.5": FAILED}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "is not a report on one server"),
        ({"one": {}, "two": {}}, "is not a report on one server"),
        ({"server": {"1.1.1": {"behavior": "GOOD", "behaviorClose": "OK"}}}, "1.1.1: no known outcome: 'GOOD', 'OK'"),
        ({"server": {"1.1.1": {"behavior": "OK"}}}, "1.1.1: no known outcome: 'OK', ''"),
    ],
)
def test_what_is_not_a_report_is_refused(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(ReportError, match=said):
        read_report(written(tmp_path, content))
    with pytest.raises(ReportError, match=r"index\.json cannot be read"):
        read_report(tmp_path / "index.json")


def test_stored_results_are_of_this_suite_and_have_a_reason_each(tmp_path: Path) -> None:
    path = stored(tmp_path, {"6.4.1": entry(NON_STRICT, why="Because.")})
    assert read_expected(path) == {"6.4.1": Deviation(NON_STRICT, "Because.")}
    for others in ({}, {"why": " "}):
        with pytest.raises(ReportError, match=r"6\.4\.1: the reason .* is missing"):
            read_expected(stored(tmp_path, {"6.4.1": entry(NON_STRICT, **others)}))
    with pytest.raises(ReportError, match=r"is of the suite 0\.8\.2"):
        read_expected(stored(tmp_path, {}, suite="0.8.2"))
    with pytest.raises(ReportError, match="holds no deviations"):
        read_expected(written(tmp_path, {"suite": SUITE_VERSION}))


# -- comparing


def test_a_case_is_worse_when_it_or_its_close_is() -> None:
    informational = Outcome("INFORMATIONAL", "INFORMATIONAL")
    for outcome, than in (
        (informational, OK),
        (NON_STRICT, informational),
        (Outcome("FAILED"), Outcome("UNIMPLEMENTED")),
        (UNCLEAN, OK),
        (Outcome("OK", "FAILED"), UNCLEAN),
        (UNCLEAN, NON_STRICT),
    ):
        comparison = compare(["1.1.1"], {"1.1.1": outcome}, {"1.1.1": Deviation(than, "Because.")})
        assert comparison == Comparison({"1.1.1": (outcome, than)}, {}, [])
        assert comparison.failed


@pytest.mark.parametrize(
    ("outcomes", "stored", "failed", "said"),
    [
        ({"7.1.5": OK}, None, False, "Every case ended as stored."),
        ({"7.1.5": NON_STRICT}, None, True, "WORSE 7.1.5: NON-STRICT; stored is OK"),
        ({"7.1.5": FAILED}, FAILED, False, "Every case ended as stored."),
        ({"7.1.5": FAILED}, UNCLEAN, True, "WORSE 7.1.5: FAILED, closed: WRONG CODE; stored is OK, closed: UNCLEAN"),
        ({"7.1.5": OK}, NON_STRICT, False, "better 7.1.5: OK; stored is NON-STRICT"),
        ({}, FAILED, True, "MISSING 7.1.5"),
    ],
)
def test_a_comparison_says_what_is_otherwise_than_stored(
    outcomes: dict[str, Outcome], stored: Outcome | None, failed: bool, said: str
) -> None:
    # A case that was not to be run is not missing.
    expected = {"1.1.1": Deviation(FAILED, "Because.")}
    if stored is not None:
        expected["7.1.5"] = Deviation(stored, "Because.")
    comparison = compare(["7.1.5"], outcomes, expected)
    assert (comparison.failed, described(comparison)) == (failed, said)


def test_a_comparison_that_is_all_otherwise_is_cut_after_40_lines() -> None:
    lines = described(compare([f"6.1.{number}" for number in range(100)], {}, {})).splitlines()
    assert lines[39:] == ["MISSING 6.1.39", "... and 60 more"]


# -- the tables


def test_cases_are_counted_by_group_in_order_and_together() -> None:
    outcomes = {"10.1.1": OK, "9.1.1": UNCLEAN, "7.1.5": FAILED, "7.1.6": Outcome("INFORMATIONAL", "INFORMATIONAL")}
    assert counts_table(outcomes).splitlines() == [
        "| group | cases | OK | INFORMATIONAL | NON-STRICT | FAILED | closed otherwise |",
        "| --- | --: | --: | --: | --: | --: | --: |",
        "| 7. Close handling | 2 | 0 | 1 | 0 | 1 | 1 |",
        "| 9. Limits and performance | 1 | 1 | 0 | 0 | 0 | 1 |",
        "| 10. Miscellaneous | 1 | 1 | 0 | 0 | 0 | 0 |",
        "| all | 4 | 2 | 1 | 0 | 1 | 2 |",
    ]


def test_what_a_server_does_not_implement_has_a_column_where_there_is_any() -> None:
    table = counts_table({"12.1.1": Outcome("UNIMPLEMENTED"), "12.1.2": NON_STRICT})
    assert table.splitlines()[-1] == "| all | 2 | 0 | 0 | 1 | 1 | 0 | 0 |"
    assert "| NON-STRICT | UNIMPLEMENTED | FAILED |" in table


def test_the_summary_names_the_suite_the_class_and_the_server() -> None:
    assert f"autobahntestsuite {SUITE_VERSION} against `some:Class` on uvicorn " in summary("some:Class", {"1.1.1": OK})


def test_deviations_are_listed_in_the_order_of_their_numbers() -> None:
    deviations = {case: Deviation(NON_STRICT, f"Reason {case}.") for case in ("12.1.1", "7.13.1", "7.2.1")}
    rows = deviations_table(deviations).splitlines()[2:]
    assert rows[0] == "| 7.2.1 | NON-STRICT | Reason 7.2.1. |"
    assert [row.split()[1] for row in rows] == ["7.2.1", "7.13.1", "12.1.1"]


def test_a_suite_without_deviations_is_said_to_have_none() -> None:
    assert deviations_table({}) == "None: every case ends with OK."


def test_the_page_shows_each_stored_deviation_with_its_reason() -> None:
    page = PAGE.read_text(encoding="utf-8")
    parts = {"deviations": deviations_table(read_expected(EXPECTED))}
    assert filled(page, parts, kept=["summary"]) == page


def test_the_page_has_the_counts_of_a_run_of_the_whole_suite() -> None:
    assert "| all | 517 |" in PAGE.read_text(encoding="utf-8")


# -- the command


def test_cases_are_shared_out_in_their_order_with_the_slow_sets_first() -> None:
    cases = ["1.1.1", "1.1.2", "9.1.1", "12.1.1", "12.1.2", "13.1.1", "13.2.1"]
    shares = shares_of(cases)
    assert list(shares.items()) == [
        ("13.2", ["13.2.1"]),
        ("13.1", ["13.1.1"]),
        ("12.1", ["12.1.1", "12.1.2"]),
        ("uncompressed", ["1.1.1", "1.1.2", "9.1.1"]),
    ]


def test_only_the_whole_suite_on_the_default_class_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--cases", "1.*"], ["--ws", "wsproto"]):
        with pytest.raises(SystemExit) as ended:
            main(["--write", *options])
        assert ended.value.code == 2
        assert "--write is for the whole suite on the default class" in capsys.readouterr().err
