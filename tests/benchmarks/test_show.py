"""What `python -m benchmarks show` makes of a file of results."""

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from tests.benchmarks.samples import results

PLACES = "<!-- written: echo -->\n<!-- /written -->\n<!-- written: circumstances -->\n<!-- /written -->\n"


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "run.json"
    results().save(path)
    return str(path)


def test_every_scenario_of_a_file_is_printed(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", file]) == 0
    text = capsys.readouterr().out
    assert "text of 32 B, 8 connections, 1 in flight" in text
    assert "10,000 connections, idle" in text


def test_markdown_has_a_heading_for_every_scenario(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", file, "--markdown"]) == 0
    assert capsys.readouterr().out.count("### ") == 3


def test_a_page_gets_the_tables_that_it_has_places_for(file: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PLACES, encoding="utf-8")
    assert main(["show", file, "--page", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "| asgi_ws | 13.3 |" in text
    assert "CPython" in text
    assert "10,000 connections, idle" not in text


def test_several_files_can_have_places_on_one_page(file: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PLACES + PLACES.replace("echo", "old-echo").replace("circ", "old-circ"), encoding="utf-8")
    assert main(["show", file, "--page", str(page), "--prefix", "old-"]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith(PLACES)
    assert text.count("| asgi_ws | 13.3 |") == 1


def test_the_summary_has_a_row_for_each_work_and_a_column_for_each_contestant(file: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- written: summary -->\n<!-- /written -->\n", encoding="utf-8")
    assert main(["show", file, "--page", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "| asgi_ws | starlette |" in text
    assert "| echo: text of 32 B, 8 connections, 1 in flight (server CPU, µs) | 13.3 (0.48) |" in text


def test_pictures_are_drawn_where_asked(file: str, tmp_path: Path) -> None:
    assert main(["show", file, "--plot", str(tmp_path / "plots")]) == 0
    assert (tmp_path / "plots" / "echo.svg").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.json"], "none.json cannot be read: No such file or directory"),
        (["run.json", "--page", "none.md"], "none.md cannot be rewritten: No such file or directory"),
        (["run.json", "--plot", "run.json"], "run.json: the plots cannot be written: File exists"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    words: list[str], said: str, file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(file).parent)
    assert main(["show", *words]) == 2
    assert capsys.readouterr().err.splitlines() == [said]
