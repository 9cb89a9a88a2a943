"""Code blocks of Markdown pages, with their place, language and text."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers.program import PROJECT

PAGES: Final = sorted([PROJECT / "README.md", PROJECT / "CHANGELOG.md", *(PROJECT / "docs").rglob("*.md")])

_FENCE: Final = re.compile(r"^(?P<indent> *)```(?P<language>\S*)(?P<rest>[^`]*)$")
_EXAMPLE: Final = re.compile(r"^<!-- example: (?P<path>\S+) -->$")
# Languages of blocks that show the output of the command above them.
OUTPUT: Final = ("text", "json")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: the page's path below the project.
        line: of the first line of its text, counted from 1.
        language: as the fence names it; "" if it does not.
        text: without the indentation of the fence.
        example: the file of examples/ that it shows, or None.
    """

    page: str
    line: int
    language: str
    text: str
    example: str | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order. A fence that is never closed is an error."""
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), start=1))
    example = None
    for number, line in lines:
        if marker := _EXAMPLE.match(line):
            example = marker["path"]
        fence = _FENCE.match(line)
        if fence is None:
            continue
        indent, text = fence["indent"], []
        for _, inner in lines:
            if inner == f"{indent}```":
                break
            text.append(inner.removeprefix(indent))
        else:
            raise AssertionError(f"{page}:{number}: the fence is never closed")
        shown = "\n".join(text) + "\n"
        yield Block(str(page.relative_to(PROJECT)), number + 1, fence["language"], shown, example)
        example = None


ALL_BLOCKS: Final = [block for page in PAGES for block in blocks_of(page)]


def blocks_in(*languages: str) -> list[Block]:
    return [block for block in ALL_BLOCKS if block.language in languages]


def commands(block: Block) -> list[list[str]]:
    """Return the commands of a block for the shell."""
    return [shlex.split(line) for line in block.text.replace("\\\n", "").splitlines()]
