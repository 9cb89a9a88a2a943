"""Headers: those that came in, as a case-insensitive mapping of many values, and those going out, checked."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Self

from ._asgi import HeadersLike, RawHeaders
from .errors import InvalidHeader, InvalidMessage
from .wire.grammar import WHITE_SPACE, is_token, is_value


class MultiMapping(Mapping[str, str]):
    """A read-only mapping in which a key may stand several times; `[]` and `get` give one value, `getlist` all.

    Items keep the order in which they came. Two are equal that give the same values, in the same order, for every key;
    the order of the keys does not count. `_key` says when two keys are the same.
    """

    __slots__ = ("_items", "_values")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = [(self._key(key), value) for key, value in items]
        # A client may send tens of thousands of keys: going through them must not search all of them for each.
        self._values: dict[str, list[str]] = {}
        for key, value in self._items:
            self._values.setdefault(key, []).append(value)

    @staticmethod
    def _key(key: str) -> str:
        return key

    def __getitem__(self, key: str) -> str:
        """Return the last value of this key, as in a form."""
        return self._values[self._key(key)][-1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._key(key) in self._values

    def __eq__(self, other: object) -> bool:
        return self._values == other._values if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset((key, *values) for key, values in self._values.items()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._items!r})"

    def getlist(self, key: str) -> list[str]:
        """Return all values of this key in order, [] if it is missing."""
        return list(self._values.get(self._key(key), ()))

    def multi_items(self) -> list[tuple[str, str]]:
        """Return all pairs in order."""
        return list(self._items)


class Headers(MultiMapping):
    """Request headers: names in any case, values decoded as latin-1 (RFC 9110 section 5.5).

    `[]` and `get` give the first value of a name; where a header may stand on several lines, ask `getlist`.
    """

    __slots__ = ()

    @classmethod
    def from_raw(cls, raw: Iterable[tuple[bytes, bytes]]) -> Self:
        """Return the headers of an ASGI scope."""
        return cls((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw)

    @staticmethod
    def _key(key: str) -> str:
        return key.lower()

    def __getitem__(self, key: str) -> str:
        return self._values[self._key(key)][0]

    @property
    def raw(self) -> RawHeaders:
        """The pairs as an ASGI event has them."""
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._items]


def encode_headers(headers: HeadersLike) -> RawHeaders:
    """Return headers for an ASGI event: lower-case names, both sides bytes, in order.

    Raises:
        InvalidHeader: a name is not a token (RFC 9110 section 5.1), or a value has a control character or is not
            latin-1.
    """
    pairs: Iterable[tuple[str | bytes, str | bytes]]
    if isinstance(headers, MultiMapping):
        # `items` would lose all but one of several cookies.
        pairs = headers.multi_items()
    else:
        pairs = headers.items() if isinstance(headers, Mapping) else headers  # pyright: ignore[reportAssignmentType] -- str is one of str | bytes
    return [_encode_header(name, value) for name, value in pairs]


def _encode_header(name: str | bytes, value: str | bytes) -> tuple[bytes, bytes]:
    # bytes() of a number is that many zero bytes, so what is neither text nor bytes is refused before.
    if not (isinstance(name, str | bytes) and isinstance(value, str | bytes)):
        raise InvalidHeader(name, value, "expected str or bytes for the name and the value")
    try:
        raw_name = name.encode("ascii") if isinstance(name, str) else name
        raw_value = value.encode("latin-1") if isinstance(value, str) else value
    except UnicodeEncodeError:
        raise InvalidHeader(name, value, "expected an ASCII name and a latin-1 value") from None
    if not is_token(raw_name):
        raise InvalidHeader(name, value, "the name is not a token (RFC 9110 section 5.6.2)")
    if not is_value(raw_value):
        raise InvalidHeader(name, value, "the value has a control character")
    return raw_name.lower(), raw_value.strip(WHITE_SPACE)


def encode_body(
    body: str | bytes | bytearray | memoryview,
    headers: HeadersLike = (),
    media_type: str = "text/plain",
) -> tuple[bytes, RawHeaders]:
    """Return a body and headers for an ASGI event, with `content-length` and, where there is a body, `content-type`.

    Values in `headers` take precedence. Text is UTF-8.

    Raises:
        InvalidHeader: as `encode_headers`.
        InvalidMessage: for a body that is neither text nor bytes.
    """
    raw_body = encode_payload(body)
    raw_headers = encode_headers(headers)
    names = {name for name, _ in raw_headers}
    if b"content-length" not in names:
        raw_headers.append((b"content-length", b"%d" % len(raw_body)))
    if raw_body and b"content-type" not in names:
        raw_headers.append(content_type(media_type))
    return raw_body, raw_headers


def encode_payload(body: str | bytes | bytearray | memoryview) -> bytes:
    """Return a body, or a piece of one, as bytes. Text is encoded as UTF-8.

    Raises:
        InvalidMessage: for anything else: bytes() of a number would be that many zero bytes.
    """
    if isinstance(body, str):
        return body.encode()
    if not isinstance(body, bytes | bytearray | memoryview):
        raise InvalidMessage("a body", "str or bytes", body)
    return bytes(body)


def content_type(media_type: str) -> tuple[bytes, bytes]:
    """Return the content-type header. Text types get the charset UTF-8.

    Raises:
        InvalidHeader: as `encode_headers`.
    """
    charset = "; charset=utf-8" if media_type.startswith("text/") and "charset=" not in media_type.lower() else ""
    return _encode_header("content-type", f"{media_type}{charset}")
