"""Header views against a plain list of pairs, and what never goes out as a header."""

import string
from typing import Any

import pytest
from hypothesis import given, strategies as st

from asgi_ws import Headers, InvalidHeader, InvalidMessage, QueryParams
from asgi_ws.headers import encode_body, encode_headers
from asgi_ws.wire.grammar import is_token

NAMES = st.text(alphabet="aAbB-", min_size=1, max_size=3)
VALUES = st.text(alphabet=st.characters(max_codepoint=0xFF), max_size=4)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=12)


@given(PAIRS, NAMES)
def test_headers_agree_with_a_list_of_pairs_searched_in_lower_case(pairs: list[tuple[str, str]], name: str) -> None:
    headers = Headers(pairs)
    model = [(key.lower(), value) for key, value in pairs]
    found = [value for key, value in model if key == name.lower()]

    assert headers.getlist(name) == found
    assert headers.get(name) == (found[0] if found else None)
    assert (name in headers) is (name.upper() in headers) is bool(found)
    assert headers.multi_items() == model
    assert headers.raw == [(key.encode(), value.encode("latin-1")) for key, value in model]
    assert list(headers) == list(dict(model))
    assert len(headers) == len(dict(model))
    assert dict(headers) == {key: headers[key] for key, _ in model}


@given(PAIRS)
def test_raw_headers_come_back_as_they_were(pairs: list[tuple[str, str]]) -> None:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]
    assert Headers.from_raw(raw).raw == raw


@given(PAIRS, NAMES)
def test_query_parameters_agree_with_a_list_of_pairs_and_give_the_last(pairs: list[tuple[str, str]], name: str) -> None:
    params = QueryParams(pairs)
    found = [value for key, value in pairs if key == name]
    assert params.getlist(name) == found
    assert params.get(name) == (found[-1] if found else None)
    assert (name in params) is bool(found)


@given(PAIRS, st.randoms())
def test_equal_headers_give_equal_values_and_equal_hashes(pairs: list[tuple[str, str]], random: Any) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    first, second = Headers(pairs), Headers(shuffled)
    names = {name.lower() for name, _ in pairs}
    assert (first == second) is all(first.getlist(name) == second.getlist(name) for name in names)
    assert first == Headers(pairs)
    assert hash(first) == hash(Headers(pairs))
    assert first != second or hash(first) == hash(second)


def test_the_order_of_names_is_no_part_of_equality_but_that_of_values_is() -> None:
    assert Headers([("a", "1"), ("b", "2")]) == Headers([("B", "2"), ("A", "1")])
    assert Headers([("a", "1"), ("a", "2")]) != Headers([("a", "2"), ("a", "1")])


def test_headers_equal_nothing_of_another_type() -> None:
    assert Headers([("a", "1")]) != QueryParams([("a", "1")])
    assert Headers([("a", "1")]) != {"a": "1"}


def test_a_missing_name_is_a_key_error_and_a_key_of_another_type_is_not_contained() -> None:
    with pytest.raises(KeyError):
        Headers([("a", "1")])["b"]
    with pytest.raises(KeyError):
        QueryParams([("a", "1")])["b"]
    number: Any = 5
    assert number not in Headers([("a", "1")])


def test_what_getlist_gives_is_the_callers_own() -> None:
    headers = Headers([("a", "1")])
    headers.getlist("a").append("2")
    assert headers.getlist("a") == ["1"]


def test_the_repr_shows_every_pair() -> None:
    assert repr(Headers([("Set-Cookie", "a=1"), ("set-cookie", "b=2")])) == (
        "Headers([('set-cookie', 'a=1'), ('set-cookie', 'b=2')])"
    )


def test_values_are_latin_1() -> None:
    assert Headers.from_raw([(b"x", b"caf\xe9")])["X"] == "café"


# -- going out


def test_headers_go_out_in_order_with_lower_case_names_as_bytes() -> None:
    expected = [(b"x-one", b"1"), (b"set-cookie", b"a"), (b"set-cookie", b"b")]
    assert encode_headers([("X-One", "1"), (b"Set-Cookie", b"a"), ("set-cookie", "b")]) == expected
    assert encode_headers({"X-One": "caf\xe9"}) == [(b"x-one", b"caf\xe9")]


def test_a_headers_object_goes_out_with_all_values_of_a_name() -> None:
    raw = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    assert encode_headers(Headers.from_raw(raw)) == raw


def test_space_around_a_value_is_no_part_of_it() -> None:
    assert encode_headers([("a", " \t b c\t")]) == [(b"a", b"b c")]


@pytest.mark.parametrize("character", [*map(chr, range(9)), *map(chr, range(10, 32)), "\x7f", "\x85"])
@pytest.mark.parametrize("template", ["{}", "a{}b", "a\r{}", "a{}"])
def test_a_control_character_in_a_value_is_refused(character: str, template: str) -> None:
    value = template.format(character)
    with pytest.raises(InvalidHeader, match="control character"):
        encode_headers([("x", value)])
    with pytest.raises(InvalidHeader, match="control character"):
        encode_headers([(b"x", value.encode("latin-1"))])


@pytest.mark.parametrize("name", ["", " ", "a b", "a:", "a\n", "a\r\nb", "é", "a\x00", "(a)", '"a"', b"a\n", b"\xe9"])
def test_a_name_that_is_no_token_is_refused(name: str | bytes) -> None:
    with pytest.raises(InvalidHeader):
        encode_headers([(name, "1")])


@pytest.mark.parametrize(
    ("name", "value"), [("a", 0), ("a", 5), ("a", None), (1, "a"), ("a", ["b"]), ("a", bytearray(b"b")), ("a", "€")]
)
def test_what_is_neither_bytes_nor_latin_1_text_is_refused(name: Any, value: Any) -> None:
    with pytest.raises(InvalidHeader):
        encode_headers([(name, value)])


@given(st.text())
def test_a_token_is_what_rfc_9110_says(text: str) -> None:
    allowed = set("!#$%&'*+-.^_`|~" + string.digits + string.ascii_letters)
    assert is_token(text) is (text != "" and set(text) <= allowed)


# -- bodies


@pytest.mark.parametrize("body", ["é", "é".encode(), bytearray("é".encode()), memoryview("é".encode())])
def test_a_body_has_its_length_in_bytes_and_its_type(body: str | bytes | bytearray | memoryview) -> None:
    raw_body, headers = encode_body(body)
    assert raw_body == "é".encode()
    assert headers == [(b"content-length", b"2"), (b"content-type", b"text/plain; charset=utf-8")]


def test_an_empty_body_has_a_length_and_no_type() -> None:
    assert encode_body(b"") == (b"", [(b"content-length", b"0")])


def test_what_headers_say_of_length_and_type_comes_first() -> None:
    own = {"Content-Length": "9", "Content-Type": "image/png"}
    assert encode_body(b"x", own)[1] == [(b"content-length", b"9"), (b"content-type", b"image/png")]


@pytest.mark.parametrize("body", [5, None, [65], {"a": 1}])
def test_a_body_that_is_neither_text_nor_bytes_is_refused(body: Any) -> None:
    with pytest.raises(InvalidMessage, match="str or bytes"):
        encode_body(body)


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("text/html", b"text/html; charset=utf-8"),
        ("text/html; Charset=latin-1", b"text/html; Charset=latin-1"),
        ("application/json", b"application/json"),
    ],
)
def test_text_types_get_a_charset_unless_they_name_one(media_type: str, expected: bytes) -> None:
    assert encode_body(b"x", (), media_type)[1][-1] == (b"content-type", expected)


def test_a_media_type_cannot_bring_a_header_of_its_own() -> None:
    with pytest.raises(InvalidHeader):
        encode_body(b"x", (), "text/html\r\nset-cookie: a=1")
