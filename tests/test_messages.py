"""The messages of the package, in one table, by the rules of words in CONTRIBUTING.md."""

import re

import pytest

from .messages import PACKAGE, TABLE, messages_of, table

MESSAGES = [(kind, text) for module in sorted(PACKAGE.rglob("*.py")) for kind, text in messages_of(module)]
# uvicorn's own words, which people search for, and a proper name.
UVICORNS = ("Exceeded concurrency limit.", "ASGI callable", "Exception in ASGI application")
CAPITALS = re.compile(r"(?:WebSocket|Sec-WebSocket|ASGI|UTF-8|VirtualClock|Response)\b|\{")


def test_the_table_has_every_message_of_the_package() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(), "write it again with: python -m tests.messages"


@pytest.mark.parametrize(("kind", "text"), MESSAGES)
def test_a_message_is_one_lower_case_clause_that_negates_the_verb(kind: str, text: str) -> None:
    if text.startswith(UVICORNS):
        return
    first_line = text.partition("\n")[0]
    assert first_line[0].islower() or CAPITALS.match(first_line) or not first_line[0].isalpha()
    assert not re.search(r"[^.]\.$", first_line)
    assert not re.search(r"\b(?:is|are|was|were) no\b|\b(?:What|Who|Whose|Whoever)\b|\bin vain\b", text)
