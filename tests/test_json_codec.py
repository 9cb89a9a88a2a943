"""JSON in and out, and what is none."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, strategies as st

from asgi_ws import InvalidJSON, JSONCodec
from asgi_ws.json_codec import STANDARD_JSON

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**20), max_value=10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_every_json_value_comes_back_as_it_was(value: Any) -> None:
    text = STANDARD_JSON.encode_text(value)
    assert STANDARD_JSON.encode_bytes(value) == text.encode()
    assert STANDARD_JSON.decode(text) == value
    assert STANDARD_JSON.decode(text.encode()) == value
    assert json.loads(text) == value


def test_text_is_compact_and_not_escaped_where_it_need_not_be() -> None:
    assert STANDARD_JSON.encode_text({"a": [1, "é"]}) == '{"a":[1,"é"]}'


def test_a_lone_surrogate_goes_out_the_way_it_came() -> None:
    value = STANDARD_JSON.decode('["é", "\\ud800"]')
    assert STANDARD_JSON.encode_text(value) == '["\\u00e9","\\ud800"]'


def test_what_json_has_no_number_for_does_not_go_out() -> None:
    rows: list[float] = [math.nan, math.inf, -math.inf]
    for value in rows:
        with pytest.raises(ValueError, match="not JSON compliant"):
            STANDARD_JSON.encode_text([value])


def test_what_is_no_json_is_an_error_that_keeps_the_data() -> None:
    rows: list[str | bytes] = [
        "",
        " ",
        "{",
        "[1,]",
        "{'a': 1}",
        "1 2",
        "NaN",
        "[Infinity]",
        "[1e999]",
        '{"a": -Infinity}',
        "\ufeff1",
        '"\n"',
        "9" * 5000,
        "[" * 100_000,
        b"",
        b"\xff",
        b'"\xed\xa0\x80"',
        "1".encode("utf-16"),
    ]
    for data in rows:
        with pytest.raises(InvalidJSON) as raised:
            STANDARD_JSON.decode(data)
        assert raised.value.data == data
        assert raised.value.close_code == 1007
        assert len(str(raised.value)) < 200


def test_functions_of_another_library_fit_whether_they_give_text_or_bytes() -> None:
    def dumps(value: Any) -> bytes:
        return json.dumps(value).encode()

    for codec in (JSONCodec(dumps, json.loads), JSONCodec(json.dumps, json.loads)):
        assert codec.encode_text(["é"]) == '["\\u00e9"]'
        assert codec.encode_bytes(["é"]) == b'["\\u00e9"]'
        assert codec.decode(b"[1]") == codec.decode("[1]") == [1]


def test_whatever_a_codecs_loads_raises_means_invalid() -> None:
    class TheirError(Exception):
        pass

    def loads(data: str | bytes) -> Any:
        raise TheirError

    with pytest.raises(InvalidJSON) as raised:
        JSONCodec(json.dumps, loads).decode("1")
    assert isinstance(raised.value.__cause__, TheirError)
