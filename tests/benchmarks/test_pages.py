"""Parts of pages that commands write."""

from pathlib import Path

import pytest

from benchmarks.pages import PageError, fill, filled, markdown_table

PAGE = "# Title\n\n<!-- written: costs -->\nold\n<!-- /written -->\n\nText.\n"
NEW = "# Title\n\n<!-- written: costs -->\n\n| a |\n\n<!-- /written -->\n\nText.\n"


def test_a_part_takes_the_place_of_what_stands_between_its_marks() -> None:
    assert filled(PAGE, {"costs": "| a |\n", "without a place": "..."}) == NEW


def test_filling_a_page_again_with_the_same_changes_nothing() -> None:
    assert filled(NEW, {"costs": "| a |\n"}) == NEW


def test_a_place_may_be_kept_as_it_is() -> None:
    assert filled(PAGE, {}, kept=["costs"]) == PAGE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no place", "the page has no place from <!-- written: NAME -->"),
        ("<!-- written: costs -->\nwithout an end", "the page has no place"),
        (PAGE.replace("costs", "other"), "the page has a place for 'other', and there are costs"),
    ],
)
def test_a_page_that_does_not_fit_is_refused_and_left_as_it_is(tmp_path: Path, text: str, said: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(PageError, match=rf"page\.md: {said}"):
        fill(page, {"costs": "new"})
    assert page.read_text(encoding="utf-8") == text


def test_a_page_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PageError, match=r"none\.md cannot be rewritten: No such file"):
        fill(tmp_path / "none.md", {})


def test_a_cell_that_means_something_in_markdown_is_shown_as_it_is() -> None:
    assert markdown_table(["", "x"], [["a|b", "2\n*"]]) == "|  | x |\n| --- | --: |\n| a\\|b | 2 \\* |"
