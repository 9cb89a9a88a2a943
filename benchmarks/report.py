"""What a table of results needs beside its figures: where, when and with what they were taken."""

import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version

from rich.console import Console
from rich.table import Table

console = Console(width=120)


def conditions(packages: Iterable[str]) -> str:
    """Machine, versions and date, in one line."""
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{platform.machine()} {platform.system()}, {python}, {versions}, {datetime.now(UTC):%Y-%m-%d}"


def print_table(title: str, columns: list[str], rows: list[list[str]], caption: str) -> None:
    """Print figures; the first column is text, the others are numbers."""
    table = Table(title=title, caption=caption, caption_justify="left", title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
