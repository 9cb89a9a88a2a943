"""Constraints that hold each dependency at the lowest version that pyproject.toml allows: `python tests/lowest.py`."""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

PYPROJECT: Final = Path(__file__).parent.parent / "pyproject.toml"
_REQUIREMENT: Final = re.compile(r"(?P<name>[\w.-]+)(?:\[[^\]]*\])?>=(?P<version>[\w.]+)\s*(?P<marker>;.*)?")


def requirements(project: dict[str, Any]) -> Iterator[str]:
    """Yield what users install, with all extras, and what the tests run on."""
    yield from project["project"]["dependencies"]
    for extra in project["project"]["optional-dependencies"].values():
        yield from extra
    yield from project["dependency-groups"]["test"]


def constraints(project: dict[str, Any]) -> list[str]:
    """Return a line for each requirement, as pip's `--constraint` takes it."""
    lines: set[str] = set()
    for requirement in requirements(project):
        match = _REQUIREMENT.fullmatch(requirement)
        if match is None:
            raise ValueError(f"{requirement}: expected name>=version, which says what the lowest version is")
        lines.add(f"{match['name']}=={match['version']}{match['marker'] or ''}")
    return sorted(lines)


if __name__ == "__main__":
    sys.stdout.write("\n".join(constraints(tomllib.loads(PYPROJECT.read_text(encoding="utf-8")))) + "\n")
