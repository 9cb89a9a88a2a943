"""The map of the package, compared with the modules that a trace of calls enters."""

import re
from collections.abc import Awaitable, Callable

import pytest

from tests.servers.program import PROJECT
from tests.ways import Way, way_of_a_message, way_of_a_publish

PAGE = (PROJECT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def in_order(text: str) -> list[str]:
    """Return the modules of a numbered list, as Python names them."""
    return [path.replace("/", ".") for path in re.findall(r"^\d+\. `([\w/]+)\.py`", text, re.MULTILINE)]


@pytest.mark.parametrize(
    ("title", "follow"),
    [("The way of a message in", way_of_a_message), ("The way of a publish out", way_of_a_publish)],
)
async def test_a_message_enters_the_modules_that_the_page_names_in_their_order(
    title: str, follow: Callable[[], Awaitable[Way]]
) -> None:
    way = await follow()
    assert in_order(section(title)) == way.rooms


async def test_a_publish_enters_few_modules_and_rarely_goes_back() -> None:
    way = await way_of_a_publish()
    assert len(way.rooms) <= 7
    assert way.steps_back <= 3


def test_every_module_and_folder_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", PAGE)) - {"tests/test_architecture.py"}
    assert named
    assert {path for path in named if not (PROJECT / "asgi_ws" / path).exists()} == set()
