"""The messages of the package, in one table, by the rules of words in CONTRIBUTING.md."""

import re

from .messages import PACKAGE, TABLE, messages_of, table

MESSAGES = [(kind, text) for module in sorted(PACKAGE.rglob("*.py")) for kind, text in messages_of(module)]
# uvicorn's own words, which people search for, and a proper name.
UVICORNS = ("Exceeded concurrency limit.", "ASGI callable", "Exception in ASGI application")
CAPITALS = re.compile(r"(?:WebSocket|Sec-WebSocket|ASGI|UTF-8|VirtualClock|Response)\b|\{")


def test_the_table_has_every_message_of_the_package() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(), "write it again with: python -m tests.messages"


def is_by_the_rules(text: str) -> bool:
    line = text.partition("\n")[0]
    opens_well = line[0].islower() or CAPITALS.match(line) or not line[0].isalpha()
    negates_the_noun = re.search(r"\b(?:is|are|was|were) no\b|\b(?:What|Who|Whose|Whoever)\b|\bin vain\b", text)
    return bool(text.startswith(UVICORNS) or (opens_well and not re.search(r"[^.]\.$", line) and not negates_the_noun))


def test_a_message_is_a_lower_case_line_that_negates_the_verb() -> None:
    assert MESSAGES
    assert [text for _, text in MESSAGES if not is_by_the_rules(text)] == []
