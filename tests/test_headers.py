"""Views of headers, which test_headers_machine holds against a list of pairs, and what never goes out as a header."""

import string
from typing import Any

import pytest
from hypothesis import given, strategies as st

from asgi_ws import Headers, InvalidHeader, InvalidMessage, QueryParams
from asgi_ws.headers import encode_body, encode_headers
from asgi_ws.wire.grammar import is_token


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


def test_a_control_character_in_a_value_is_refused() -> None:
    for character in [*map(chr, range(9)), *map(chr, range(10, 32)), "\x7f", "\x85"]:
        for value in (character, f"a{character}b", f"a\r{character}", f"a{character}"):
            for pair in (("x", value), (b"x", value.encode("latin-1"))):
                with pytest.raises(InvalidHeader, match="control character"):
                    encode_headers([pair])


def test_what_is_neither_a_token_nor_bytes_or_latin_1_text_is_refused() -> None:
    names = ["", " ", "a b", "a:", "a\n", "a\r\nb", "é", "a\x00", "(a)", '"a"', b"a\n", b"\xe9", 1]
    for pair in [*((name, "1") for name in names), *(("a", value) for value in [0, None, ["b"], bytearray(b"b"), "€"])]:
        headers: Any = [pair]
        with pytest.raises(InvalidHeader):
            encode_headers(headers)


@given(st.text())
def test_a_token_is_what_rfc_9110_says(text: str) -> None:
    allowed = set("!#$%&'*+-.^_`|~" + string.digits + string.ascii_letters)
    assert is_token(text) is (text != "" and set(text) <= allowed)


# -- bodies


def test_a_body_has_its_length_in_bytes_and_its_type() -> None:
    for body in ("é", "é".encode(), bytearray("é".encode()), memoryview("é".encode())):
        raw_body, headers = encode_body(body)
        assert raw_body == "é".encode()
        assert headers == [(b"content-length", b"2"), (b"content-type", b"text/plain; charset=utf-8")]


def test_an_empty_body_has_a_length_and_no_type() -> None:
    assert encode_body(b"") == (b"", [(b"content-length", b"0")])


def test_what_headers_say_of_length_and_type_comes_first() -> None:
    own = {"Content-Length": "9", "Content-Type": "image/png"}
    assert encode_body(b"x", own)[1] == [(b"content-length", b"9"), (b"content-type", b"image/png")]


def test_a_body_that_is_neither_text_nor_bytes_is_refused() -> None:
    body: Any
    for body in (5, None, [65], {"a": 1}):
        with pytest.raises(InvalidMessage, match="str or bytes"):
            encode_body(body)


def test_text_types_get_a_charset_unless_they_name_one() -> None:
    for media_type, expected in [
        ("text/html", b"text/html; charset=utf-8"),
        ("text/html; Charset=latin-1", b"text/html; Charset=latin-1"),
        ("application/json", b"application/json"),
    ]:
        assert encode_body(b"x", (), media_type)[1][-1] == (b"content-type", expected)


def test_a_media_type_cannot_bring_a_header_of_its_own() -> None:
    with pytest.raises(InvalidHeader):
        encode_body(b"x", (), "text/html\r\nset-cookie: a=1")
