"""The table of servers in the docs: a row for each behaviour and a column for each server, written from test runs."""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from inspect import getdoc
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from benchmarks.pages import fill
from tests.servers.program import PROJECT
from tests.servers.table import SERVERS

# By the row's title, what was seen on each server, by the server's title.
Cells = Mapping[str, Mapping[str, str]]

PAGE: Final = PROJECT / "docs" / "explanation" / "lifecycle.md"
_PLACE: Final = "servers"
HOW_TO_WRITE: Final = "write it anew with: python -m tests.contracts.write_table"
OBSERVED: Final = pytest.StashKey[dict[str, dict[str, str]]]()
# Set where the table is being written and not compared.
WRITES: Final = pytest.StashKey[bool]()

_DISTRIBUTIONS: Final = ("uvicorn", "websockets", "wsproto", "hypercorn", "daphne", "granian")


def _modules() -> list[ModuleType]:
    names = sorted(path.stem for path in Path(__file__).parent.glob("test_servers_*.py"))
    return [import_module(f"{__package__}.{name}") for name in names]


def _rows(module: ModuleType) -> list[str]:
    marks = [mark for function in vars(module).values() for mark in getattr(function, "pytestmark", ())]
    titles = [title for mark in marks for title in _titles(mark)]
    # Several parameters may observe the same row.
    return list(dict.fromkeys(titles))


def _titles(mark: pytest.Mark) -> list[str]:
    """Return the title of a row mark, or the titles of the row marks of its parameters."""
    if mark.name == "row":
        return [mark.args[0]]
    if mark.name != "parametrize":
        return []
    return [inner.args[0] for value in mark.args[1] for inner in getattr(value, "marks", ()) if inner.name == "row"]


def rows() -> dict[str, list[str]]:
    """Return the titles of the rows that the tests observe, by the theme in the module's docstring."""
    themes = {(getdoc(module) or "").partition("\n")[0].rstrip("."): _rows(module) for module in _modules()}
    return {theme: titles for theme, titles in themes.items() if titles}


def render(cells: Cells) -> str:
    """Return the table without the versions. Raises KeyError where a cell was not observed."""
    servers = [server.title for server in SERVERS]
    lines: list[str] = []
    for theme, titles in rows().items():
        lines += ["", f"### {theme}", "", _line("", *servers), _line(*["---"] * (len(servers) + 1))]
        lines += [_line(title, *(cells[title][server] for server in servers)) for title in titles]
    return "\n".join(lines).strip() + "\n"


def write(cells: Cells) -> None:
    """Write the table, and below it what it was observed with, which is not compared."""
    versions = ", ".join(f"{name} {version(name)}" for name in _DISTRIBUTIONS)
    fill(PAGE, {_PLACE: f"{render(cells)}\nObserved with {versions}."})


def committed() -> str:
    """Return the committed table with its versions."""
    text = PAGE.read_text(encoding="utf-8")
    return text.partition(f"<!-- written: {_PLACE} -->\n\n")[2].partition("\n\n<!-- /written -->")[0]


def read() -> dict[str, dict[str, str]]:
    """Return the cells of the committed table."""
    cells: dict[str, dict[str, str]] = {}
    servers: list[str] = []
    for line in committed().splitlines():
        if not line.startswith("|"):
            continue
        title, *values = [part.strip() for part in line.strip("|").split("|")]
        if not title:
            servers = values
        elif title != "---":
            cells[title] = dict(zip(servers, values, strict=True))
    return cells


def _line(*parts: str) -> str:
    return "| " + " | ".join(parts) + " |"
