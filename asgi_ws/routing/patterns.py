"""Path patterns such as `/users/{id:int}`, and the matcher that many of them are compiled into."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar
from urllib.parse import quote
from uuid import UUID

from ..errors import InvalidRoute

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


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a pattern between two slashes, or all that is left from a `path` parameter on."""

    # Literal text and parameters as they follow each other.
    pieces: tuple[str | Parameter, ...]
    regex: re.Pattern[str]
    # Whether there are several parameters in it.
    is_shared: bool

    @property
    def literal(self) -> str | None:
        """The text of a part without parameters; None for one that has any."""
        return None if any(isinstance(piece, Parameter) for piece in self.pieces) else "".join(map(str, self.pieces))

    def parse(self, text: str) -> Params | None:
        """The values of the parameters in `text`; None if it does not match.

        Text of more than 256 characters matches no part with several parameters.
        """
        if self.is_shared and len(text) > _LONGEST_SHARED_PART:
            return None
        match = self.regex.fullmatch(text)
        if match is None:
            return None
        try:
            return {
                piece.name: piece.converter.parse(match[piece.name])
                for piece in self.pieces
                if isinstance(piece, Parameter)
            }
        except ValueError:
            return None

    def format(self, params: Mapping[str, Any]) -> str | None:
        """The text with these parameters; None where one does not fit, or would be read as another value."""
        text = ""
        values: dict[str, str] = {}
        for piece in self.pieces:
            if isinstance(piece, Parameter):
                try:
                    value = values[piece.name] = piece.converter.format(params[piece.name])
                except (ValueError, TypeError, ArithmeticError):
                    return None
                if "/" in value and piece.converter is not PATH:
                    return None
                text += value
            else:
                text += piece
        if self.is_shared and len(text) > _LONGEST_SHARED_PART:
            return None
        match = self.regex.fullmatch(text)
        # Of `{name}.{ext}` no path gives "a" and "tar.gz": the first takes all it can.
        return None if match is None or any(match[name] != value for name, value in values.items()) else text


class Pattern:
    """One parsed pattern.

    Attributes:
        path: the text it was made of.
        parts: what stands between its slashes.
        names: of its parameters, in order.
        is_open: whether the last part takes all that is left of a path, slashes and all.

    Raises:
        InvalidRoute: for a pattern that no path can match, or whose parameters are malformed.
    """

    def __init__(self, path: str, converters: Mapping[str, Converter] = CONVERTERS) -> None:
        if not isinstance(path, str) or not path.startswith("/"):
            raise InvalidRoute(path, "a path starts with '/'")
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
            is_shared = sum(isinstance(piece, Parameter) for piece in pieces) > 1
            self.parts.append(Part(tuple(pieces), self._regex(pieces), is_shared))
            if self.is_open:
                break

    def _pieces(self, text: str, converters: Mapping[str, Converter]) -> Iterator[str | Parameter]:
        end = 0
        for match in _PARAMETER.finditer(text):
            name, kind = match[1], "str" if match[2] is None else match[2]
            if not name.isidentifier():
                raise InvalidRoute(self.path, f"{match[0]} has no parameter name")
            if name in self.names:
                raise InvalidRoute(self.path, f"the parameter {name!r} stands twice")
            if kind not in converters:
                raise InvalidRoute(self.path, f"no converter {kind!r}; there are {', '.join(sorted(converters))}")
            self.names.append(name)
            yield self._literal(text[end : match.start()])
            yield Parameter(name, converters[kind])
            end = match.end()
        yield self._literal(text[end:])

    def _literal(self, text: str) -> str:
        if "{" in text or "}" in text:
            raise InvalidRoute(self.path, "a brace without its partner")
        return text

    def _regex(self, pieces: list[str | Parameter]) -> re.Pattern[str]:
        source = "".join(
            re.escape(piece) if isinstance(piece, str) else f"(?P<{piece.name}>{piece.converter.pattern})"
            for piece in pieces
        )
        try:
            return re.compile(source, re.DOTALL)
        except re.error as error:
            raise InvalidRoute(self.path, f"the pattern of a converter is wrong: {error}") from None

    def format(self, params: Mapping[str, Any]) -> str | None:
        """The path with these parameters, percent-encoded; None where they do not fit the pattern."""
        if set(params) != set(self.names):
            return None
        texts = [part.format(params) for part in self.parts]
        if None in texts:
            return None
        path = "/" + "/".join(map(str, texts))
        # Clients resolve these two before they ask (RFC 3986 section 5.2.4), encoded or not: they cannot be reached.
        return None if {".", ".."} & set(path.split("/")) else quote(path, safe=_SAFE)


class _Node(Generic[T]):
    """The patterns that share their first parts."""

    __slots__ = ("literal", "open", "parametric", "values")

    def __init__(self) -> None:
        # The next part, where it is literal text.
        self.literal: dict[str, _Node[T]] = {}
        # The next part, where it has parameters.
        self.parametric: list[tuple[Part, _Node[T]]] = []
        # Last parts that take all that is left, each with its pattern's number and what it stands for.
        self.open: list[tuple[Part, int, T]] = []
        # What the patterns that end here stand for, with their numbers.
        self.values: list[tuple[int, T]] = []


class Matcher(Generic[T]):
    """Many patterns, compiled into one: finds what a path matches, the most specific first.

    A path without parameters is one look into a dictionary, however many there are. Otherwise paths are compared part
    by part from the left: a literal part comes before one with parameters, and both before one that takes all that is
    left. What is equal in all parts keeps its order.
    """

    def __init__(self) -> None:
        self._static: dict[str, list[T]] = {}
        self._root: _Node[T] = _Node()
        # How many patterns came so far: the number of the next.
        self._count = 0

    def add(self, pattern: Pattern, value: T) -> None:
        """Add what a pattern stands for."""
        if not pattern.names:
            self._static.setdefault(pattern.path, []).append(value)
            return
        self._count += 1
        node = self._root
        closed = pattern.parts[:-1] if pattern.is_open else pattern.parts
        for part in closed:
            node = self._step(node, part)
        if pattern.is_open:
            node.open.append((pattern.parts[-1], self._count, value))
        else:
            node.values.append((self._count, value))

    def _step(self, node: _Node[T], part: Part) -> _Node[T]:
        if part.literal is not None:
            return node.literal.setdefault(part.literal, _Node())
        for known, following in node.parametric:
            if known.pieces == part.pieces:
                return following
        following = _Node()
        node.parametric.append((part, following))
        return following

    def static(self, path: str) -> Sequence[T]:
        """What stands for `path` itself: the beginning of what `find` finds, in one look."""
        return self._static.get(path, ())

    def find(self, path: str) -> Iterator[tuple[T, Params]]:
        """Everything that `path` matches, with the parameters' values."""
        static: list[tuple[T, Params]] = [(value, {}) for value in self.static(path)]
        if not path.startswith("/"):
            return iter(static)
        # Most are found in the first, and the second, a generator, is not begun.
        return chain(static, self._walk([(self._root, {})], path[1:].split("/"), 0))

    def _walk(self, nodes: "_Nodes[T]", texts: list[str], index: int) -> Iterator[tuple[T, Params]]:
        """What matches from this part on below `nodes`, which are equal in the parts before it."""
        if index == len(texts):
            yield from _in_order([(number, value, params) for node, params in nodes for number, value in node.values])
            return
        text = texts[index]
        literal = [(node.literal[text], params) for node, params in nodes if text in node.literal]
        if literal:
            yield from self._walk(literal, texts, index + 1)
        parametric = [
            (following, {**params, **found})
            for node, params in nodes
            for part, following in node.parametric
            if (found := part.parse(text)) is not None
        ]
        if parametric:
            yield from self._walk(parametric, texts, index + 1)
        if any(node.open for node, _ in nodes):
            rest = "/".join(texts[index:])
            yield from _in_order(
                [
                    (number, value, {**params, **found})
                    for node, params in nodes
                    for part, number, value in node.open
                    if (found := part.parse(rest)) is not None
                ]
            )


# Nodes that the same path leads to, each with the values of the parameters on the way.
_Nodes: TypeAlias = list[tuple[_Node[T], Params]]


def _in_order(found: list[tuple[int, T, Params]]) -> Iterator[tuple[T, Params]]:
    found.sort(key=itemgetter(0))
    return ((value, params) for _, value, params in found)
