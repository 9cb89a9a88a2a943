"""Path patterns such as `/users/{id:int}`, and the matcher that many of them are compiled into."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import quote
from uuid import UUID

from .errors import InvalidRoute

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


def _format_int(value: int) -> str:
    return str(int(value))


def _format_float(value: float) -> str:
    return f"{value:.20f}".rstrip("0").rstrip(".")


PATH: Final = Converter(r".*")

CONVERTERS: Final[Mapping[str, Converter]] = MappingProxyType(
    {
        "str": Converter(r"[^/]+"),
        "int": Converter(r"[0-9]+", int, _format_int),
        "float": Converter(r"[0-9]+(?:\.[0-9]+)?", float, _format_float),
        "uuid": Converter(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", UUID),
        "path": PATH,
    }
)

_PARAMETER: Final = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")
# RFC 3986 section 3.3: what may stand in a segment unencoded.
_SAFE: Final = "~!$&'()*+,;=:@"


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

    @property
    def literal(self) -> str | None:
        """The text of a part without parameters; None for one that has any."""
        return None if any(isinstance(piece, Parameter) for piece in self.pieces) else "".join(map(str, self.pieces))

    def parse(self, text: str) -> Params | None:
        """The values of the parameters in `text`; None if it does not match."""
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
        """The text with these parameters, percent-encoded; None where one does not fit."""
        text = ""
        for piece in self.pieces:
            if isinstance(piece, str):
                text += quote(piece, safe=_SAFE + "/")
                continue
            try:
                value = piece.converter.format(params[piece.name])
            except (ValueError, TypeError):
                return None
            if re.fullmatch(piece.converter.pattern, value, re.DOTALL) is None:
                return None
            text += quote(value, safe=_SAFE + "/" if piece.converter is PATH else _SAFE)
        return text


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
            self.parts.append(Part(tuple(pieces), self._regex(pieces)))
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
        return None if None in texts else "/" + "/".join(map(str, texts))


class _Node(Generic[T]):
    """The patterns that share their first parts."""

    __slots__ = ("literal", "open", "parametric", "values")

    def __init__(self) -> None:
        # The next part, where it is literal text.
        self.literal: dict[str, _Node[T]] = {}
        # The next part, where it has parameters, in the order in which the patterns came.
        self.parametric: list[tuple[Part, _Node[T]]] = []
        # Last parts that take all that is left, likewise.
        self.open: list[tuple[Part, T]] = []
        # What the patterns that end here stand for.
        self.values: list[T] = []


class Matcher(Generic[T]):
    """Many patterns, compiled into one: finds what a path matches, the most specific first.

    A path without parameters is one look into a dictionary, however many there are. Otherwise a literal part comes
    before one with parameters, and both before one that takes all that is left; what is equal keeps its order.
    """

    def __init__(self) -> None:
        self._static: dict[str, list[T]] = {}
        self._root: _Node[T] = _Node()

    def add(self, pattern: Pattern, value: T) -> None:
        """Add what a pattern stands for."""
        if not pattern.names:
            self._static.setdefault(pattern.path, []).append(value)
            return
        node = self._root
        closed = pattern.parts[:-1] if pattern.is_open else pattern.parts
        for part in closed:
            node = self._step(node, part)
        if pattern.is_open:
            node.open.append((pattern.parts[-1], value))
        else:
            node.values.append(value)

    def _step(self, node: _Node[T], part: Part) -> _Node[T]:
        if part.literal is not None:
            return node.literal.setdefault(part.literal, _Node())
        for known, following in node.parametric:
            if known.pieces == part.pieces:
                return following
        following = _Node()
        node.parametric.append((part, following))
        return following

    def find(self, path: str) -> Iterator[tuple[T, Params]]:
        """Everything that `path` matches, with the parameters' values."""
        for value in self._static.get(path, ()):
            yield value, {}
        if path.startswith("/"):
            yield from self._walk(self._root, path[1:].split("/"), 0, {})

    def _walk(self, node: _Node[T], texts: list[str], index: int, params: Params) -> Iterator[tuple[T, Params]]:
        if index == len(texts):
            for value in node.values:
                yield value, params
            return
        following = node.literal.get(texts[index])
        if following is not None:
            yield from self._walk(following, texts, index + 1, params)
        for part, after in node.parametric:
            found = part.parse(texts[index])
            if found is not None:
                yield from self._walk(after, texts, index + 1, {**params, **found})
        if node.open:
            rest = "/".join(texts[index:])
            for part, value in node.open:
                found = part.parse(rest)
                if found is not None:
                    yield value, {**params, **found}
