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


def rows_by_area() -> dict[str, tuple[Mutation, ...]]:
    """Return the rows of all areas by the names of their modules."""
    areas = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "__main__")
    return {area: tuple(importlib.import_module(f"{__name__}.{area}").ROWS) for area in areas}
