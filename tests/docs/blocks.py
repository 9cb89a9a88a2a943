"""Code blocks of Markdown pages: where they stand, what language they are in, what they say."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers.program import PROJECT

PAGES: Final = sorted([PROJECT / "README.md", PROJECT / "CHANGELOG.md", *(PROJECT / "docs").rglob("*.md")])

_FENCE: Final = re.compile(r"^(?P<indent> *)```(?P<language>\S*)(?P<rest>[^`]*)$")
_SNIPPET: Final = re.compile(r'^ *--8<-- "(?P<path>[^"]+)"$', re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: the page's path below the project.
        line: of the first line of its text, counted from 1.
        language: as the fence names it; "" if it does not.
        text: without the indentation of the fence.
    """

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def snippets(self) -> list[str]:
        """The files it includes."""
        return _SNIPPET.findall(self.text)


def blocks_of(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order. A fence that is never closed is an error."""
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), start=1))
    for number, line in lines:
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
        yield Block(str(page.relative_to(PROJECT)), number + 1, fence["language"], "\n".join(text) + "\n")


ALL_BLOCKS: Final = [block for page in PAGES for block in blocks_of(page)]


def blocks_in(*languages: str) -> list[Block]:
    return [block for block in ALL_BLOCKS if block.language in languages]


def commands(block: Block) -> Iterator[tuple[list[str], list[str]]]:
    """The commands of a console block, each with the lines that are shown below it."""
    for command in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        first, *output = command.splitlines()
        yield shlex.split(first), output
