"""Pages that commands write into: the places from `<!-- written: NAME -->` to `<!-- /written -->`."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

_PLACE: Final = re.compile(r"<!-- written: (?P<name>[\w-]+) -->\n(?:(?!<!-- written: ).)*?<!-- /written -->", re.DOTALL)


class PageError(Exception):
    """A page without places, or with a place that nothing is for. The text says which."""


def filled(text: str, parts: Mapping[str, str], *, kept: Collection[str] = ()) -> str:
    """Return the text of a page with these parts in their places.

    Args:
        text: of the page.
        parts: by the names of their places; those that the page has no place for are left out.
        kept: names of places that are left as they are where no part is given.

    Raises:
        PageError: the page has no place, or one that nothing is for.
    """

    def place(match: re.Match[str]) -> str:
        name = match["name"]
        if name in parts:
            return f"<!-- written: {name} -->\n\n{parts[name].strip()}\n\n<!-- /written -->"
        if name in kept:
            return match[0]
        raise PageError(f"the page has a place for {name!r}, and there are {', '.join(parts)}")

    if not _PLACE.search(text):
        raise PageError("the page has no place from <!-- written: NAME --> to <!-- /written -->")
    return _PLACE.sub(place, text)


def fill(page: Path, parts: Mapping[str, str], *, kept: Collection[str] = ()) -> None:
    """Put the parts into their places in a file; see `filled`.

    Raises:
        PageError: likewise, and when the page cannot be read or written.
    """
    try:
        page.write_text(filled(page.read_text(encoding="utf-8"), parts, kept=kept), encoding="utf-8")
    except PageError as error:
        raise PageError(f"{page}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise PageError(f"{page} cannot be rewritten: {reason}") from error


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of plain text, the first column to the left and the others to the right."""
    lines = [list(columns), ["---", *["--:"] * (len(columns) - 1)], *([plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(text: str) -> str:
    """Return the text as Markdown that shows it as it is, in one line."""
    return " ".join(text.split()).replace("|", "\\|").replace("*", "\\*")
