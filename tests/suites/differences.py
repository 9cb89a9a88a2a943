"""The tests of other projects that fail with this kit on purpose, each with its reason: differences.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("differences.toml")


@dataclass(frozen=True)
class Group:
    """Tests of one suite that fail for one reason."""

    suite: str
    reason: str
    tests: tuple[str, ...]


def groups() -> list[Group]:
    """Return all groups, by suite and in the order of the file."""
    read = tomllib.loads(FILE.read_text("utf-8"))
    return [Group(suite, group["reason"], tuple(group["tests"])) for suite in read for group in read[suite]]


def expected(suite: str) -> set[str]:
    """Return the ids of a suite's tests that are to fail."""
    return {test for group in groups() if group.suite == suite for test in group.tests}
