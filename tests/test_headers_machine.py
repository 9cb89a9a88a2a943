"""Views of many values against a plain list of pairs, after each line that is added or taken away."""

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from asgi_ws import Headers
from asgi_ws.headers import MultiMapping

# Few names, so that they meet again, with their letters in either case.
NAMES = st.text(alphabet="aAbB-", min_size=1, max_size=2)
VALUES = st.text(alphabet=st.characters(max_codepoint=0xFF), max_size=2)

Pairs = list[tuple[str, str]]


def values(pairs: Pairs, name: str) -> list[str]:
    return [value for key, value in pairs if key == name]


def alike(first: Pairs, second: Pairs) -> bool:
    """Return True if two models have the same values, in the same order, for every name."""
    return all(values(first, name) == values(second, name) for name, _ in first + second)


def agrees(view: MultiMapping, pairs: Pairs, asked: str, key: Callable[[str], str], which: int) -> None:
    """Compare a view with a model whose names are keys; `[]` returns the value at `which`."""
    found = values(pairs, key(asked))
    assert view.getlist(asked) == found
    assert view.get(asked) == (found[which] if found else None)
    assert (asked in view) is bool(found)
    assert view.multi_items() == pairs
    # The order of names is that of their first lines.
    assert list(view) == list(dict.fromkeys(name for name, _ in pairs))
    assert len(view) == len({name for name, _ in pairs})
    assert [view[name] for name in view] == [values(pairs, name)[which] for name in view]


class Views(RuleBasedStateMachine):
    """A view never changes: each step makes new ones of the lines, and holds them against those of the step before."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: Pairs = []
        self.before: Pairs = []
        self.asked = "a"

    @rule(name=NAMES, value=VALUES, front=st.booleans())
    def add(self, name: str, value: str, *, front: bool) -> None:
        self.before = list(self.lines)
        self.lines.insert(0 if front else len(self.lines), (name, value))

    @precondition(lambda self: self.lines)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        self.before = list(self.lines)
        del self.lines[data.draw(st.integers(0, len(self.lines) - 1), label="line")]

    @precondition(lambda self: self.lines)
    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        self.before = list(self.lines)
        line = self.lines.pop(data.draw(st.integers(0, len(self.lines) - 1), label="from"))
        self.lines.insert(data.draw(st.integers(0, len(self.lines)), label="to"), line)

    @rule(name=NAMES)
    def ask(self, name: str) -> None:
        self.asked = name

    @invariant()
    def a_multi_mapping_is_the_list_and_gives_the_last(self) -> None:
        agrees(MultiMapping(self.lines), self.lines, self.asked, str, -1)

    @invariant()
    def headers_are_the_list_in_lower_case_and_give_the_first(self) -> None:
        headers = Headers(self.lines)
        lower = [(name.lower(), value) for name, value in self.lines]
        agrees(headers, lower, self.asked, str.lower, 0)
        assert headers.raw == [(name.encode(), value.encode("latin-1")) for name, value in lower]
        assert Headers.from_raw(headers.raw) == headers

    @invariant()
    def views_are_equal_that_give_the_same_values_and_then_have_one_hash(self) -> None:
        lower, lower_before = ([(name.lower(), value) for name, value in of] for of in (self.lines, self.before))
        for view, before, same in (
            (MultiMapping(self.lines), MultiMapping(self.before), alike(self.lines, self.before)),
            (Headers(self.lines), Headers(self.before), alike(lower, lower_before)),
        ):
            assert (view == before) is same
            assert not same or hash(view) == hash(before)


TestViews = Views.TestCase
