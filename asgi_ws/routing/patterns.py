"""Path patterns such as `/users/{id:int}`, and the matcher that many of them are compiled into."""

import math
import re
from bisect import insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import quote
from uuid import UUID

from ..errors import InvalidRoute, show

T = TypeVar("T")

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Converter:
    """How one kind of parameter is recognised, read and written.

    Attributes:
        pattern: a regular expression for the whole parameter, without capturing groups. Only `path`'s crosses a slash.
        parse: the text to a value; a ValueError means that the path does not match.
        format: a value to the text, for `path_for`.
    """

    pattern: str
    parse: Callable[[str], Any] = str
    format: Callable[[Any], str] = str


def _parse_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(text)
    return value


def _format_float(value: float) -> str:
    # The shortest text that is read as this number again, without an exponent.
    return f"{Decimal(repr(float(value))):f}".removesuffix(".0")


PATH: Final = Converter(r".*")

CONVERTERS: Final[Mapping[str, Converter]] = MappingProxyType(
    {
        "str": Converter(r"[^/]+"),
        "int": Converter(r"[0-9]+", int),
        "float": Converter(r"[0-9]+(?:\.[0-9]+)?", _parse_float, _format_float),
        "uuid": Converter(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", UUID),
        "path": PATH,
    }
)

_PARAMETER: Final = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")
# Where several parameters share a part, where one of them ends is a matter of trying, at a cost that grows with a power
# of the length: a path of 60,000 characters could hold up the loop for seconds.
_LONGEST_SHARED_PART: Final = 256
# RFC 3986 section 3.3: what may stand in a path unencoded.
_SAFE: Final = "/~!$&'()*+,;=:@"


class Parameter(NamedTuple):
    """One `{name:kind}` of a pattern."""

    name: str
    converter: Converter


class Part:
    """A piece of a pattern between two slashes, or all that is left from a `path` parameter on.

    Attributes:
        literal: the text of a part without parameters; None for one that has any.
    """

    __slots__ = ("_is_shared", "_parameters", "_pieces", "_regex", "literal")

    def __init__(self, pieces: Sequence[str | Parameter]) -> None:
        # Literal text and parameters as they follow each other.
        self._pieces = pieces
        self._parameters = [piece for piece in pieces if isinstance(piece, Parameter)]
        self._is_shared = len(self._parameters) > 1
        self.literal = None if self._parameters else "".join(map(str, pieces))
        source = "".join(
            re.escape(piece) if isinstance(piece, str) else f"(?P<{piece.name}>{piece.converter.pattern})"
            for piece in pieces
        )
        self._regex = re.compile(source, re.DOTALL)

    def parse(self, text: str) -> Params | None:
        """Return the values of the parameters in `text`; None if it does not match.

        Text of more than 256 characters matches no part with several parameters.
        """
        if self._is_shared and len(text) > _LONGEST_SHARED_PART:
            return None
        match = self._regex.fullmatch(text)
        if match is None:
            return None
        try:
            return {name: converter.parse(match[name]) for name, converter in self._parameters}
        except ValueError:
            return None

    def format(self, params: Mapping[str, Any]) -> str | None:
        """Return the text with these parameters; None where one does not fit, or would be read as another value."""
        try:
            values = {name: converter.format(params[name]) for name, converter in self._parameters}
        except (ValueError, TypeError, ArithmeticError):
            return None
        text = "".join(piece if isinstance(piece, str) else values[piece.name] for piece in self._pieces)
        if self._is_shared and len(text) > _LONGEST_SHARED_PART:
            return None
        if any("/" in values[name] and converter is not PATH for name, converter in self._parameters):
            return None
        match = self._regex.fullmatch(text)
        # Of `{name}.{ext}` no path gives "a" and "tar.gz": the first takes all it can.
        return None if match is None or any(match[name] != value for name, value in values.items()) else text


class Pattern:
    """One parsed pattern.

    Attributes:
        path: the text it was made of.
        parts: what stands between its slashes.
        names: of its parameters, in order.
        is_open: whether the last part takes all that is left of a path, slashes and all.
        specificity: of two patterns that match the same path, the lesser one is the more specific.

    Raises:
        InvalidRoute: for a pattern that no path can match, or whose parameters are malformed.
    """

    def __init__(self, path: str, converters: Mapping[str, Converter] = CONVERTERS) -> None:
        if not isinstance(path, str) or not path.startswith("/"):
            raise InvalidRoute(path, "must start with '/'")
        self.path = path
        self.parts: list[Part] = []
        self.names: list[str] = []
        self.is_open = False
        texts = path[1:].split("/")
        for index, text in enumerate(texts):
            pieces = list(self._pieces(text, converters))
            if any(isinstance(piece, Parameter) and piece.converter is PATH for piece in pieces):
                for following in texts[index + 1 :]:
                    pieces += ["/", *self._pieces(following, converters)]
                self.is_open = True
            try:
                self.parts.append(Part(pieces))
            except re.error as error:
                raise InvalidRoute(self.path, f"invalid pattern of a converter: {error}") from None
            if self.is_open:
                break
        # Part by part: text before parameters, and both before a part that takes all that is left.
        self.specificity = [0 if part.literal is not None else 1 for part in self.parts]
        if self.is_open:
            self.specificity[-1] = 2

    def _pieces(self, text: str, converters: Mapping[str, Converter]) -> Iterator[str | Parameter]:
        end = 0
        for match in _PARAMETER.finditer(text):
            name, kind = match[1], "str" if match[2] is None else match[2]
            if not name.isidentifier():
                raise InvalidRoute(self.path, f"{match[0]} has no parameter name")
            if name in self.names:
                raise InvalidRoute(self.path, f"duplicate parameter {show(name)}")
            if kind not in converters:
                raise InvalidRoute(
                    self.path, f"unknown converter {show(kind)}; expected one of {', '.join(sorted(converters))}"
                )
            self.names.append(name)
            yield self._literal(text[end : match.start()])
            yield Parameter(name, converters[kind])
            end = match.end()
        yield self._literal(text[end:])

    def _literal(self, text: str) -> str:
        if "{" in text or "}" in text:
            raise InvalidRoute(self.path, "unbalanced brace")
        return text

    def parse(self, texts: Sequence[str]) -> Params | None:
        """Return the values of the parameters in a path, split at its slashes; None if it does not match."""
        last = len(self.parts) - 1
        if self.is_open and len(texts) > last:
            texts = [*texts[:last], "/".join(texts[last:])]
        if len(texts) != len(self.parts):
            return None
        params: Params = {}
        for part, text in zip(self.parts, texts, strict=True):
            if part.literal is None:
                found = part.parse(text)
                if found is None:
                    return None
                params |= found
            elif part.literal != text:
                return None
        return params

    def format(self, params: Mapping[str, Any]) -> str | None:
        """Return the path with these parameters, percent-encoded; None where they do not fit the pattern."""
        if set(params) != set(self.names):
            return None
        texts = [part.format(params) for part in self.parts]
        if None in texts:
            return None
        path = "/" + "/".join(map(str, texts))
        # Clients resolve these two before they ask (RFC 3986 section 5.2.4), encoded or not: they cannot be reached.
        return None if {".", ".."} & set(path.split("/")) else quote(path, safe=_SAFE)


class Matcher(Generic[T]):
    """Many patterns: finds what a path matches, the most specific first (`Pattern.specificity`), then the oldest.

    A path without parameters is one look into a dictionary, however many patterns there are. Of the others only those
    are tried whose parts before their first parameter are the path's.
    """

    def __init__(self) -> None:
        self._static: dict[str, list[T]] = {}
        # By the parts before the first parameter; the most specific come first.
        self._parametric: dict[tuple[str, ...], list[tuple[Pattern, T]]] = {}
        # The most parts that a key above has.
        self._longest = 0

    def add(self, pattern: Pattern, value: T) -> None:
        """Add what a pattern stands for."""
        if not pattern.names:
            self._static.setdefault(pattern.path, []).append(value)
            return
        start = tuple(pattern.path[1:].partition("{")[0].split("/")[:-1])
        self._longest = max(self._longest, len(start))
        insort(self._parametric.setdefault(start, []), (pattern, value), key=lambda known: known[0].specificity)

    def static(self, path: str) -> Sequence[T]:
        """Return what stands for `path` itself: the beginning of what `find` finds, in one look."""
        return self._static.get(path, ())

    def find(self, path: str) -> Iterator[tuple[T, Params]]:
        """Yield everything that `path` matches, with the parameters' values."""
        for value in self.static(path):
            yield value, {}
        if not path.startswith("/"):
            return
        texts = path[1:].split("/")
        # The longer start is the more specific one: it has text where the other has its first parameter.
        for length in range(min(len(texts), self._longest), -1, -1):
            for pattern, value in self._parametric.get(tuple(texts[:length]), ()):
                params = pattern.parse(texts)
                if params is not None:
                    yield value, params
