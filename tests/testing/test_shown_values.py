"""Events and values in a message: short, whatever they are."""

from types import MappingProxyType
from typing import Any

import pytest

from asgi_ws.testing.errors import show


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("not to be shown")


class Counted(bytes):
    """A value that records whether all of it is converted to text."""

    def __repr__(self) -> str:
        raise AssertionError("the whole of it was shown")


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"type": "a", "text": "x" * 40}, f"{{'type': 'a', 'text': '{'x' * 40}'}}"),
        ({"text": "x" * 41}, f"{{'text': '{'x' * 40}'... of 41 characters}}"),
        ({"bytes": b"b" * 1_000_000, "more": 1}, f"{{'bytes': b'{'b' * 40}'... of 1000000 bytes, 'more': 1}}"),
        ({"bytes": bytearray(b"b" * 50)}, f"{{'bytes': bytearray(b'{'b' * 40}')... of 50 bytes}}"),
        (MappingProxyType({"type": "a"}), "{'type': 'a'}"),
        ({"headers": [(b"a", b"b"), [b"c", 1]]}, "{'headers': [(b'a', b'b'), [b'c', 1]]}"),
        ({"a": [1] * 21}, f"{{'a': [{'1, ' * 20}... of 21]}}"),
        ("x" * 50, f"'{'x' * 40}'... of 50 characters"),
        (None, "None"),
        ({"type": "a", "value": Unshowable()}, "<dict whose repr raises RuntimeError>"),
        (Unshowable(), "<Unshowable whose repr raises RuntimeError>"),
        ({"headers": [(b"a", Counted(b"b" * 100_000))]}, f"{{'headers': [(b'a', b'{'b' * 40}'... of 100000 bytes)]}}"),
        (CYCLE, "[[[[...]]]]"),
    ],
)
def test_a_value_is_shown_short(value: object, shown: str) -> None:
    assert show(value) == shown


def test_what_is_long_all_the_same_is_cut() -> None:
    text = show({f"key {number}": "x" * 30 for number in range(20)})
    assert len(text) == 200
    assert text.endswith("...")
