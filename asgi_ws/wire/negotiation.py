"""The negotiation of permessage-deflate in the handshake (RFC 7692, 5.1 and 7.1)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from .grammar import TCHAR

_NAME: Final = "permessage-deflate"
# A quoted value has to be a token too (RFC 6455, 9.1). The quantifiers are possessive so that no header,
# however odd, is read twice.
_VALUE: Final = rf'{TCHAR}++|"(?:\\?+{TCHAR})++"'
_PARAMETER: Final = rf"[ \t]*+;[ \t]*+({TCHAR}++)(?:[ \t]*+=[ \t]*+({_VALUE}))?+"
_PARAMETERS: Final = re.compile(_PARAMETER)
# An element of the list with the comma after it, and the empty ones before it (RFC 9110, 5.6.1.2).
_ELEMENT: Final = re.compile(rf"[ \t,]*+(?:(?P<name>{TCHAR}++)(?P<parameters>(?:{_PARAMETER})*+))?+[ \t]*+(?:,|\Z)")
# Decimal, without leading zeros (RFC 7692, 7.1.2.1).
_WINDOW_BITS: Final = {str(bits): bits for bits in range(8, 16)}
_LARGEST: Final = 15
# Longer ones than browsers send are read anew each time, so that no peer fills the cache with its inventions.
_REMEMBERED: Final = 200


class MalformedExtensions(ValueError):
    """A Sec-WebSocket-Extensions header that is none (RFC 6455, 9.1). It does not repeat what the peer sent."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The agreement of both sides.

    Attributes:
        server_no_context_takeover: the server compresses each message without reference to earlier ones.
        client_no_context_takeover: the client likewise.
        server_max_window_bits: the server refers at most `2**bits` bytes back; 9 to 15, as zlib can.
        client_max_window_bits: the client likewise; 8 to 15.
    """

    server_no_context_takeover: bool
    client_no_context_takeover: bool
    server_max_window_bits: int
    client_max_window_bits: int


def negotiate(
    offers: Sequence[str], *, max_window_bits: int = 12, server_context_takeover: bool = True
) -> tuple[Parameters, str] | None:
    """Return the first acceptable offer of permessage-deflate, and Sec-WebSocket-Extensions of the response, or None.

    Other extensions are passed over, and so are offers to decline: unknown or repeated parameters, values that a
    parameter cannot have (RFC 7692, 7), and a server's window of 8 bits, of which zlib makes no raw stream.

    Args:
        offers: the values of all Sec-WebSocket-Extensions lines, in order.
        max_window_bits: the largest window that either side may use, 9 to 15. A client that does not say that it can
            choose (no `client_max_window_bits` in its offer) uses 15 bits.
        server_context_takeover: whether the server may refer to earlier messages, if the client lets it.

    The response names no parameter that the offer does not. The server keeps to less without saying so.

    Raises:
        MalformedExtensions: for a line that breaks the grammar, or lines that together name no extension.
    """
    lines = tuple(offers)
    answer = _answer if sum(map(len, lines)) <= _REMEMBERED else _answer.__wrapped__
    return answer(lines, max_window_bits, server_context_takeover)


@lru_cache(maxsize=64)
def _answer(
    lines: tuple[str, ...], max_window_bits: int, server_context_takeover: bool
) -> tuple[Parameters, str] | None:
    extensions = [extension for line in lines for extension in _read(line)]
    if lines and not extensions:
        raise MalformedExtensions("Sec-WebSocket-Extensions is empty")
    for name, parameters in extensions:
        if name == _NAME and (accepted := _accept(parameters, max_window_bits, server_context_takeover)):
            return accepted, _response(accepted, parameters)
    return None


def _read(line: str) -> Iterable[tuple[str, list[tuple[str, str]]]]:
    """Return the extensions of a line with their parameters. A parameter without a value has an empty one."""
    position = 0
    while position < len(line):
        element = _ELEMENT.match(line, position)
        if element is None:
            raise MalformedExtensions("Sec-WebSocket-Extensions is not a list of extensions (RFC 6455, 9.1)")
        position = element.end()
        if element["name"]:
            found = _PARAMETERS.findall(element["parameters"])
            yield element["name"], [(name, value.strip('"').replace("\\", "")) for name, value in found]


def _accept(offered: list[tuple[str, str]], max_window_bits: int, server_context_takeover: bool) -> Parameters | None:
    """Return the agreement for an offer, or None to decline it (RFC 7692, 7.1)."""
    values = dict(offered)
    if len(values) < len(offered):
        return None
    server_bits = client_bits = _LARGEST
    for name, value in offered:
        match name:
            case "server_no_context_takeover" | "client_no_context_takeover" if not value:
                pass
            # Here the value may not be left out (7.1.2.1). 8: see https://github.com/madler/zlib/issues/171.
            case "server_max_window_bits" if value in _WINDOW_BITS and value != "8":
                server_bits = _WINDOW_BITS[value]
            # Here it may: the client has no wish of its own (7.1.2.2).
            case "client_max_window_bits" if not value or value in _WINDOW_BITS:
                client_bits = min(_WINDOW_BITS.get(value, _LARGEST), max_window_bits)
            case _:
                return None
    return Parameters(
        server_no_context_takeover="server_no_context_takeover" in values or not server_context_takeover,
        client_no_context_takeover="client_no_context_takeover" in values,
        server_max_window_bits=min(server_bits, max_window_bits),
        client_max_window_bits=client_bits,
    )


def _response(accepted: Parameters, offered: list[tuple[str, str]]) -> str:
    names = {name for name, _ in offered}
    parts = [_NAME]
    # A server need not say what it keeps to by itself (7.1.1.1, 7.1.2.1), and there are clients that fail the
    # connection for a parameter that they did not offer.
    if "server_no_context_takeover" in names:
        parts.append("server_no_context_takeover")
    if accepted.client_no_context_takeover:
        parts.append("client_no_context_takeover")
    if "server_max_window_bits" in names:
        parts.append(f"server_max_window_bits={accepted.server_max_window_bits}")
    # The client's it may only limit if the client said that it knows how (7.1.2.2).
    if "client_max_window_bits" in names:
        parts.append(f"client_max_window_bits={accepted.client_max_window_bits}")
    return "; ".join(parts)
