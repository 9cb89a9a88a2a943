"""The output of `python -m benchmarks show` for a file of results."""

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from tests.benchmarks.samples import results


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


def test_pictures_are_drawn_where_asked(file: str, tmp_path: Path) -> None:
    assert main(["show", file, "--plot", str(tmp_path / "plots")]) == 0
    assert (tmp_path / "plots" / "echo.svg").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.json"], "none.json cannot be read: No such file or directory"),
        (["run.json", "--plot", "run.json"], "run.json: the plots cannot be written: File exists"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    words: list[str], said: str, file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(file).parent)
    assert main(["show", *words]) == 2
    assert capsys.readouterr().err.splitlines() == [said]
