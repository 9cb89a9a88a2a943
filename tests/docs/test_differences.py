"""The tables of tests of other projects that fail on purpose are those of tests/suites/differences.toml."""

from pathlib import Path

from tests.suites.differences import groups

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


def rows(page: str) -> set[tuple[str, ...]]:
    """Return the rows of the table under "Why a test fails", cell by cell."""
    text = (HOW_TO / page).read_text("utf-8")
    table = text.partition("| Why a test fails |")[2].partition("\n\n")[0].splitlines()[2:]
    return {tuple(cell.strip() for cell in row.strip("|").split(" |")) for row in table}


def test_the_page_about_testing_shows_every_reason_with_its_number_of_tests() -> None:
    suites = ("starlette", "fastapi", "litestar", "channels")
    counts = {(group.suite, group.reason): str(len(group.tests)) for group in groups() if group.suite in suites}
    reasons = {reason for _, reason in counts}
    expected = {(reason, *(counts.get((suite, reason), "") for suite in suites)) for reason in reasons}
    assert rows("testing.md") == expected


def test_the_page_about_starlette_shows_every_reason_of_the_endpoints() -> None:
    assert rows("starlette.md") == {
        (group.reason, str(len(group.tests))) for group in groups() if group.suite == "endpoints"
    }


def test_no_test_is_listed_twice() -> None:
    listed = [(group.suite, test) for group in groups() for test in group.tests]
    assert len(listed) == len(set(listed))
