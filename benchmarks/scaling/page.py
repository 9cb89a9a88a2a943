"""The model's tables and pictures as parts of a Markdown page."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ..pages import fill, markdown_table
from .tables import Table

PICTURES: Final[Mapping[str, str]] = {
    "scaling-limits": "Connections on one machine at which each resource ends, over the messages of a connection",
    "scaling-machines": "Machines needed and load of one broker, over connections",
    "scaling-latency": "99th percentile of the latency of deliveries, over load, for rooms of several sizes",
}
# Tables that need a run which the results do not have.
_WITHOUT: Final = {"held": "The results have no run of a room at a fixed rate."}


def rewrite(page: Path, tables: Sequence[Table], drawn: Sequence[Path]) -> None:
    """Write the tables, and links to what was drawn, into the page.

    Raises:
        PageError: where the page cannot be read or written, or has no places for them.
    """
    pictures = {
        path.stem: f"![{PICTURES[path.stem]}]({Path(os.path.relpath(path, page.parent)).as_posix()})" for path in drawn
    }
    fill(page, {**_WITHOUT, **{table.name: markdown(table) for table in tables}, **pictures}, kept=PICTURES)


def markdown(table: Table) -> str:
    """Return a table with its caption below."""
    return markdown_table(table.columns, table.rows) + (f"\n\n{table.caption}\n" if table.caption else "\n")
