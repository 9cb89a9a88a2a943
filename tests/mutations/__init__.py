"""Small faults put into the package one at a time, each of which some test has to find.

`python -m tests.mutations [NAME...]` runs them. Each module of this package has the `ROWS` of one area.
"""

import importlib
import pkgutil
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """One fault.

    Attributes:
        name: what is wrong then, in a few words.
        file: the module, from the folder of the package.
        old: the text that is replaced. It occurs exactly once in the file.
        new: the text that takes its place.
        tests: what pytest is given, separated by spaces. One of these tests has to fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str


def rows_of(text: str) -> tuple[Mutation, ...]:
    """Return the rows of a text that has a line `# file: tests` before those of a file, and then for each row:

    its name
    - the old text, of one line or several
    + the new text, likewise, or nothing
    """
    rows = []
    file = tests = ""
    for block in text.strip().split("\n\n"):
        name, *lines = block.splitlines()
        if name.startswith("# "):
            file, _, tests = name.removeprefix("# ").partition(": ")
            continue
        old, new = ("\n".join(line[2:] for line in lines if line.startswith(sign)) for sign in "-+")
        rows.append(Mutation(name, file, old, new, tests))
    return tuple(rows)


def rows_by_area() -> dict[str, tuple[Mutation, ...]]:
    """Return the rows of all areas by the names of their modules."""
    areas = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "__main__")
    return {area: tuple(importlib.import_module(f"{__name__}.{area}").ROWS) for area in areas}
