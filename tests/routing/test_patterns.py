"""Path patterns in both directions, and the matcher against one that tries every pattern."""

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import assume, given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from asgi_ws import Converter, InvalidRoute
from asgi_ws.routing.patterns import CONVERTERS, Matcher, Pattern

UUID = uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")


def find(path: str, *patterns: str, converters: Mapping[str, Converter] = CONVERTERS) -> list[tuple[str, Any]]:
    matcher: Matcher[str] = Matcher()
    for pattern in patterns:
        matcher.add(Pattern(pattern, converters), pattern)
    return list(matcher.find(path))


def values(path: str, pattern: str) -> dict[str, Any] | None:
    found = find(path, pattern)
    assert len(found) <= 1
    return found[0][1] if found else None


MATCHES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("/", "/", {}),
    ("/a", "/a", {}),
    ("/a", "/a/", None),
    ("/a", "/A", None),
    ("/a", "", None),
    ("/a", "a", None),
    ("/a/b", "/a//b", None),
    ("/a/{x}", "/a/1", {"x": "1"}),
    ("/a/{x}", "/a/", None),
    ("/a/{x}", "/a", None),
    ("/a/{x}", "/a/1/", None),
    ("/a/{x}", "/a/1/2", None),
    ("/a/{x}", "/a/1\n", {"x": "1\n"}),
    ("/a/{x}/", "/a/1/", {"x": "1"}),
    ("/a/{x:str}", "/a/..", {"x": ".."}),
    ("/{x:int}", "/12", {"x": 12}),
    ("/{x:int}", "/007", {"x": 7}),
    ("/{x:int}", "/-1", None),
    ("/{x:int}", "/1.0", None),
    ("/{x:int}", "/1\n", None),
    ("/{x:int}", "/٣", None),
    ("/{x:int}", "/1_0", None),
    ("/{x:int}", "/" + "9" * 5000, None),
    ("/{x:float}", "/1.5", {"x": 1.5}),
    ("/{x:float}", "/2", {"x": 2.0}),
    ("/{x:float}", "/1.", None),
    ("/{x:float}", "/.5", None),
    ("/{x:float}", "/1e5", None),
    ("/{x:float}", "/nan", None),
    ("/{x:float}", "/" + "9" * 400, None),
    ("/{x:uuid}", f"/{UUID}", {"x": UUID}),
    ("/{x:uuid}", f"/{str(UUID).upper()}", {"x": UUID}),
    ("/{x:uuid}", f"/{UUID.hex}", None),
    ("/{x:path}", "/", {"x": ""}),
    ("/{x:path}", "/a/b/", {"x": "a/b/"}),
    ("/{x:path}", "/a\nb", {"x": "a\nb"}),
    ("/f/{x:path}/edit", "/f/a/b/edit", {"x": "a/b"}),
    ("/f/{x:path}/edit", "/f/edit", None),
    ("/f/{x:path}/v/{n:int}", "/f/a/b/v/3", {"x": "a/b", "n": 3}),
    ("/f/{x:path}/v/{n:int}", "/f/a/b/v/x", None),
    ("/{name}.{ext}", "/a.tar.gz", {"name": "a.tar", "ext": "gz"}),
    ("/{name}.{ext}", "/a.", None),
    ("/v{n:int}-{rest}", "/v1-x", {"n": 1, "rest": "x"}),
    ("/v{n:int}", "/v", None),
    ("/a.b/{x}", "/axb/1", None),
    ("/a+(b)/{x}", "/a+(b)/1", {"x": "1"}),
    ("/é/{x}", "/é/ü", {"x": "ü"}),
]


def test_a_path_matches_as_the_pattern_says() -> None:
    for pattern, path, expected in MATCHES:
        assert values(path, pattern) == expected


def test_a_malformed_pattern_is_refused_with_the_reason() -> None:
    rows: list[tuple[Any, str]] = [
        ("", "must start with"),
        ("a", "must start with"),
        (None, "must start with"),
        ("/{", "brace"),
        ("/}", "brace"),
        ("/a{b", "brace"),
        ("/{a}}", "brace"),
        ("/{{a}}", "brace"),
        ("/{a/b}", "brace"),
        ("/{}", "no parameter name"),
        ("/{:int}", "no parameter name"),
        ("/{1a}", "no parameter name"),
        ("/{a b}", "no parameter name"),
        ("/{a}/{a}", "duplicate parameter"),
        ("/{a:path}/{a}", "duplicate parameter"),
        ("/{a:number}", "unknown converter 'number'; expected one of float, int, path, str, uuid"),
        ("/{a:}", "unknown converter ''"),
        ("/{a:bad}", "invalid pattern of a converter"),
    ]
    for pattern, why in rows:
        converters = CONVERTERS if "bad" not in str(pattern) else {**CONVERTERS, "bad": Converter("(")}
        with pytest.raises(InvalidRoute, match=re.escape(why)) as raised:
            Pattern(pattern, converters)
        assert raised.value.path == pattern


def test_a_converter_of_ones_own_parses_and_formats() -> None:
    hexadecimal = Converter("[0-9a-f]+", lambda text: int(text, 16), lambda value: f"{value:x}")
    converters = {**CONVERTERS, "hex": hexadecimal}
    assert find("/ff", "/{n:hex}", converters=converters) == [("/{n:hex}", {"n": 255})]
    assert Pattern("/{n:hex}", converters).format({"n": 255}) == "/ff"
    assert Pattern("/{n:hex}", converters).format({"n": "x"}) is None


def test_a_converter_that_raises_a_value_error_means_no_match() -> None:
    month = Converter("[0-9]+", lambda text: ("jan", "feb")[int(text)] if int(text) < 2 else int("no month"))
    assert find("/1", "/{m:month}", converters={"month": month}) == [("/{m:month}", {"m": "feb"})]
    assert find("/2", "/{m:month}", converters={"month": month}) == []


def test_only_path_crosses_a_slash() -> None:
    everything = {"all": Converter(".*")}
    assert find("/a/b", "/{x:all}", converters=everything) == []
    assert Pattern("/{x:all}", everything).format({"x": "a/b"}) is None


# -- specificity


def test_the_most_specific_pattern_comes_first_in_any_order() -> None:
    rows: list[bool] = [False, True]
    others: list[tuple[str, list[str]]] = [
        ("/users/me", ["/users/me", "/users/{id}", "/{a}/me", "/{tenant}/{rest:path}", "/{everything:path}"]),
        ("/users/5", ["/users/{id}", "/{tenant}/{rest:path}", "/{everything:path}"]),
        ("/x/me", ["/{a}/me", "/{tenant}/{rest:path}", "/{everything:path}"]),
        ("/x/y", ["/{tenant}/{rest:path}", "/{everything:path}"]),
        ("/x", ["/{everything:path}"]),
    ]
    for reverse in rows:
        for path, expected in others:
            patterns = ["/{everything:path}", "/{tenant}/{rest:path}", "/{a}/me", "/users/{id}", "/users/me"]
            if reverse:
                patterns.reverse()
            assert [pattern for pattern, _ in find(path, *patterns)] == expected


def test_what_is_equally_specific_keeps_its_order() -> None:
    both = ["/{a:int}/x", "/{b}/x"]
    assert [pattern for pattern, _ in find("/1/x", *both)] == both
    assert [pattern for pattern, _ in find("/1/x", *reversed(both))] == both[::-1]
    interleaved = ["/{a}/{p:path}", "/{b}/{q:path}", "/{a}/{r:path}"]
    assert [pattern for pattern, _ in find("/1/x", *interleaved)] == interleaved


# -- from paths to parameters and back


def parameters(kind: str) -> st.SearchStrategy[Any]:
    match kind:
        case "int":
            return st.integers(min_value=-1)
        case "float":
            return st.floats()
        case "uuid":
            return st.uuids()
        case "path":
            return st.text(alphabet="ab/.\n é%?#", max_size=6)
        case _:
            return st.text(alphabet="ab/.\n é%?#{}", max_size=6)


PIECES = st.one_of(st.sampled_from(["", "a", "b", ".", "..", "é", "a b"]), st.sampled_from(sorted(CONVERTERS)))


@st.composite
def patterns(draw: st.DrawFn) -> str:
    """Draw a pattern of up to three parts with up to three pieces each. The parameters are called p0, p1 and so on."""
    count = 0
    parts: list[str] = []
    for _ in range(draw(st.integers(0, 3))):
        part = ""
        for piece in draw(st.lists(PIECES, max_size=3)):
            if piece in CONVERTERS:
                part += f"{{p{count}:{piece}}}"
                count += 1
            else:
                part += piece
        parts.append(part)
    return "/" + "/".join(parts)


@settings(max_examples=400)
@given(patterns(), st.data())
def test_a_formatted_path_is_read_as_the_same_values(text: str, data: st.DataObject) -> None:
    pattern = Pattern(text)
    kinds = dict(re.findall(r"\{(\w+):(\w+)\}", text))
    params = {name: data.draw(parameters(kind)) for name, kind in kinds.items()}
    path = pattern.format(params)
    assume(path is not None)
    assert path is not None
    assert re.fullmatch(r"[A-Za-z0-9/~!$&'()*+,;=:@._%-]+", path)
    assert not {".", ".."} & set(unquote(path).split("/"))
    assert find(unquote(path), text) == [(text, params)]


def test_a_path_is_formatted_only_of_what_it_would_match() -> None:
    rows: list[tuple[str, dict[str, Any], str | None]] = [
        ("/", {}, "/"),
        ("/a/{x}", {"x": "b c"}, "/a/b%20c"),
        ("/a/{x}", {"x": "é?#%"}, "/a/%C3%A9%3F%23%25"),
        ("/a/{x}", {"x": "a/b"}, None),
        ("/a/{x}", {"x": ""}, None),
        ("/a/{x}", {"x": ".."}, None),
        ("/a/{x}", {"x": "."}, None),
        ("/a/{x}", {"x": "..."}, "/a/..."),
        ("/a/{x}", {}, None),
        ("/a/{x}", {"x": "1", "y": "2"}, None),
        ("/a", {"x": "1"}, None),
        ("/{x:int}", {"x": 5}, "/5"),
        ("/{x:int}", {"x": "5"}, "/5"),
        ("/{x:int}", {"x": -5}, None),
        ("/{x:int}", {"x": 5.5}, None),
        ("/{x:int}", {"x": True}, None),
        ("/{x:int}", {"x": None}, None),
        ("/{x:int}", {"x": 10**5000}, None),
        ("/{x:float}", {"x": 0.1}, "/0.1"),
        ("/{x:float}", {"x": 3}, "/3"),
        ("/{x:float}", {"x": 1e22}, "/10000000000000000000000"),
        ("/{x:float}", {"x": 1e-7}, "/0.0000001"),
        ("/{x:float}", {"x": float("nan")}, None),
        ("/{x:float}", {"x": float("inf")}, None),
        ("/{x:float}", {"x": -1.0}, None),
        ("/{x:float}", {"x": "x"}, None),
        ("/{x:float}", {"x": None}, None),
        ("/{x:float}", {"x": 10**400}, None),
        ("/{x:uuid}", {"x": UUID}, f"/{UUID}"),
        ("/{x:uuid}", {"x": "no"}, None),
        ("/f/{x:path}", {"x": "a/b c/"}, "/f/a/b%20c/"),
        ("/f/{x:path}", {"x": ""}, "/f/"),
        ("/f/{x:path}", {"x": "../secret"}, None),
        ("/f/{x:path}/e/{n:int}", {"x": "a/b", "n": 1}, "/f/a/b/e/1"),
        ("/{name}.{ext}", {"name": "a.tar", "ext": "gz"}, "/a.tar.gz"),
        ("/{name}.{ext}", {"name": "a", "ext": "tar.gz"}, None),
        ("/é {x}", {"x": "1"}, "/%C3%A9%201"),
    ]
    for pattern, params, expected in rows:
        assert Pattern(pattern).format(params) == expected


# -- against a naive matcher


def specificity(pattern: Pattern) -> tuple[int, ...]:
    """Return a number for each part: 0 for a literal, 1 for parameters, 2 for the rest of the path."""
    kinds = [0 if part.literal is not None else 1 for part in pattern.parts]
    return (*kinds[:-1], 2) if pattern.is_open else tuple(kinds)


class MatcherMachine(RuleBasedStateMachine):
    """Add patterns in any order. For every path the result is the same as that of trying all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.matcher: Matcher[int] = Matcher()
        self.patterns: list[tuple[Pattern, re.Pattern[str]]] = []

    @rule(text=patterns())
    def add(self, text: str) -> None:
        pattern = Pattern(text)
        self.matcher.add(pattern, len(self.patterns))
        regex = "/" + "/".join(part._regex.pattern for part in pattern.parts)
        self.patterns.append((pattern, re.compile(regex, re.DOTALL)))

    @precondition(lambda self: self.patterns)
    @rule(path=st.text(alphabet="/ab.1é \n", max_size=8))
    def look_up(self, path: str) -> None:
        self.check(path)
        self.check("/" + path)

    @invariant()
    def static_patterns_are_found_by_themselves(self) -> None:
        for pattern, _ in self.patterns:
            if not pattern.names:
                self.check(pattern.path)

    def check(self, path: str) -> None:
        expected: list[tuple[tuple[int, ...], int, dict[str, Any]]] = []
        for number, (pattern, regex) in enumerate(self.patterns):
            if (match := regex.fullmatch(path)) is not None:
                expected.append((specificity(pattern), number, match.groupdict()))
        expected.sort(key=lambda entry: entry[:2])
        found = [(number, params) for number, params in self.matcher.find(path)]
        assert [number for number, _ in found] == [number for _, number, _ in expected]
        for (_, params), (_, number, texts) in zip(found, expected, strict=True):
            pattern = self.patterns[number][0]
            kinds = dict(re.findall(r"\{(\w+):(\w+)\}", pattern.path))
            assert params == {name: CONVERTERS[kinds[name]].parse(text) for name, text in texts.items()}


TestMatcher = MatcherMachine.TestCase
TestMatcher.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)


def test_matching_does_no_more_work_when_there_are_more_static_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(routes: int, path: str) -> int:
        """Return the number of patterns that were tried."""
        matcher: Matcher[int] = Matcher()
        for number in range(routes):
            matcher.add(Pattern(f"/static/{number}"), number)
            matcher.add(Pattern(f"/{number}/{{x}}"), number)
        steps = 0
        parse = Pattern.parse

        def counted(self: Pattern, texts: Sequence[str]) -> Any:
            nonlocal steps
            steps += 1
            return parse(self, texts)

        with monkeypatch.context() as patch:
            patch.setattr(Pattern, "parse", counted)
            assert len(list(matcher.find(path))) == 1
        return steps

    for path in ("/static/5", "/5/x"):
        assert work(10, path) == work(1000, path)


def test_no_part_is_parsed_for_a_static_path() -> None:
    tried: list[str] = []

    def parse(text: str) -> str:
        tried.append(text)
        return text

    matcher: Matcher[str] = Matcher()
    matcher.add(Pattern("/{x:seen}", {"seen": Converter("[^/]+", parse)}), "parameter")
    matcher.add(Pattern("/a"), "static")
    assert next(matcher.find("/a")) == ("static", {})
    assert tried == []


def test_a_part_with_several_parameters_is_not_tried_on_text_without_end() -> None:
    rows: list[tuple[str, str]] = [("/{a}.{b}.json", "x.y.json"), ("/{a:path}/x/{b:path}/y", "a/x/b/y")]
    for pattern, longest in rows:
        fits, too_long = longest.rjust(256, "z"), longest.rjust(257, "z")
        assert find(f"/{fits}", pattern)
        assert not find(f"/{too_long}", pattern)
        assert find(f"/{'.' * 60_000}", "/{a}") == [("/{a}", {"a": "." * 60_000})]
        assert Pattern("/{a}-{b}").format({"a": "a" * 200, "b": "b" * 56}) is None
