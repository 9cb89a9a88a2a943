"""The opening handshake of RFC 6455 section 4, on the server's side: the bytes of a request in, those of an answer out.

`read_handshake` is given a request whose syntax an HTTP parser has been through already, put together again, and trusts
none of it: parsers differ in what they let pass, and what is read here decides about security.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha1
from http import HTTPStatus
from typing import Final, TypeAlias

from ..errors import InvalidHeader, InvalidStatus, InvalidSubprotocol
from ..sizes import KIB
from .grammar import TCHAR, WHITE_SPACE, is_token, is_value

RawHeaders: TypeAlias = Iterable[tuple[bytes, bytes]]

MAX_TARGET_BYTES: Final = 8 * KIB
MAX_LINE_BYTES: Final = 8 * KIB
MAX_HEADERS: Final = 128
MAX_HEAD_BYTES: Final = 64 * KIB
# Of all offers of extensions together. Each takes microseconds to read, and browsers make one, of 50 bytes.
MAX_EXTENSIONS_BYTES: Final = 2 * KIB

# RFC 6455 section 1.3.
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# RFC 9112 section 3. A target is visible ASCII (RFC 3986 section 2, with those few more that browsers leave as they
# are), and has no fragment (RFC 6455 section 3).
_REQUEST_LINE: Final = re.compile(rf"({TCHAR}++) ([!\"$-~]++) HTTP/([0-9])\.([0-9])\r\n".encode())
# RFC 9112 section 5, without line folding, which a server has to refuse (section 5.2). No quantifier gives back what it
# took, so the time is linear in the bytes.
_FIELDS: Final = re.compile(rf"(?:{TCHAR}++:[\t -~\x80-\xff]*+\r\n)*+\r\n".encode())
# For what has passed that.
_FIELD: Final = re.compile(rb"([^:]++):([^\r]*+)\r\n")
# RFC 9110 section 7.2 and RFC 3986 section 3.2.2: a registered name, an IPv4 address or a bracketed IP literal.
_HOST: Final = re.compile(
    rb"(?:(?:[0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})++|\[[0-9A-Za-z._~!$&'()*+,;=:-]++\])(?::[0-9]{0,5})?"
)
# RFC 9112 section 3.2.2, with the two schemes of RFC 6455 section 4.2.1.
_ABSOLUTE: Final = re.compile(rb"https?://([^/?]*+)(.*)", re.IGNORECASE)
# 16 bytes in base64 (RFC 4648 section 4) are 22 of its characters and the padding.
_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{22}==")
# RFC 6455 section 4.1, item 10, with the empty elements that any list may have (RFC 9110 section 5.6.1).
_SUBPROTOCOLS: Final = re.compile(rf"[ \t,]*+{TCHAR}++(?:[ \t]*+,[ \t,]*+{TCHAR}++)*[ \t,]*+")
_SUBPROTOCOL: Final = re.compile(rf"{TCHAR}++")

_EXTENSIONS: Final = b"sec-websocket-extensions"
_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}
# RFC 6455 section 4.2.2 makes all but the last two the server's part of the answer; a 1xx response has neither of those
# (RFC 9110 section 8.6, RFC 9112 section 6.1).
_OF_THE_HANDSHAKE: Final = frozenset(
    {
        b"connection",
        b"sec-websocket-accept",
        _EXTENSIONS,
        b"sec-websocket-protocol",
        b"sec-websocket-version",
        b"upgrade",
        b"content-length",
        b"transfer-encoding",
    }
)
# RFC 6455 section 4.4, and RFC 9110 section 15.5.22: 426 names what to upgrade to.
_WHAT_TO_UPGRADE_TO: Final = ((b"upgrade", b"websocket"), (b"sec-websocket-version", b"13"))


class HandshakeRefused(Exception):
    """A request that opens no WebSocket.

    Attributes:
        status: of the response.
        reason: its body, a line of plain text with nothing in it that the peer sent; "" where no body may follow.
        headers: what the response has to say beside its length, type and connection.
    """

    def __init__(self, status: int, reason: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(status, reason, headers)
        self.status = status
        self.reason = reason
        self.headers = headers

    def __str__(self) -> str:
        return f"{self.status} {self.reason}".rstrip()


@dataclass(slots=True)
class Handshake:
    """A request that may open a WebSocket.

    Attributes:
        target: as the request line has it.
        path: of the target, not decoded.
        query: of the target, without the question mark.
        headers: all of them, in order, names in lower case; where the target has an authority, Host is that.
        key: what the accept value is made of.
        subprotocols: those the client offers, in its order.
        extensions: the values of all Sec-WebSocket-Extensions lines, decoded as latin-1; not parsed.
    """

    target: bytes
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    key: bytes
    subprotocols: list[str]
    extensions: list[str]


def read_handshake(
    request: bytes,
    *,
    max_target_bytes: int = MAX_TARGET_BYTES,
    max_header_bytes: int = MAX_LINE_BYTES,
    max_headers: int = MAX_HEADERS,
    max_head_bytes: int = MAX_HEAD_BYTES,
) -> Handshake:
    """Read a whole request head, from the request line to the empty line, with nothing after it.

    Args:
        request: the bytes of it.
        max_target_bytes: of the request target. Past it: 414.
        max_header_bytes: of one header, its name and white space too, without its line end. Past it: 431.
        max_headers: their number. Past it: 431.
        max_head_bytes: of the whole request. Past it: 431.

    Raises:
        HandshakeRefused: for whatever is not a handshake (RFC 6455 section 4.2.1), with the status to answer.
    """
    line = _REQUEST_LINE.match(request)
    if line is None:
        raise HandshakeRefused(400, "malformed request line")
    method, target, major, minor = line.groups()
    if method != b"GET":
        # A response to HEAD has no body (RFC 9110 section 9.3.2).
        reason = "" if method == b"HEAD" else "a WebSocket handshake is a GET request"
        raise HandshakeRefused(405, reason, ((b"allow", b"GET"),))
    if major != b"1" or minor == b"0":
        raise HandshakeRefused(505, "a WebSocket handshake requires HTTP/1.1")
    if len(target) > max_target_bytes:
        raise HandshakeRefused(414, f"the request target is longer than {max_target_bytes} bytes")
    if len(request) > max_head_bytes:
        raise HandshakeRefused(431, f"the request head is larger than {max_head_bytes} bytes")
    headers = _read_headers(request, line.end(), max_header_bytes, max_headers)
    path, _, query = (target if target.startswith(b"/") else _resource_name(target, headers)).partition(b"?")
    fields = dict(headers)
    if len(fields) == len(headers):
        extensions = [fields[_EXTENSIONS].decode("latin-1")] if _EXTENSIONS in fields else []
    else:
        fields = _combine(headers)
        extensions = [value.decode("latin-1") for name, value in headers if name == _EXTENSIONS]
    if sum(map(len, extensions)) > MAX_EXTENSIONS_BYTES:
        raise HandshakeRefused(431, f"Sec-WebSocket-Extensions is longer than {MAX_EXTENSIONS_BYTES} bytes")
    key = _check_fields(fields)
    offered = fields.get(b"sec-websocket-protocol")
    subprotocols = [] if offered is None else _read_subprotocols(offered)
    return Handshake(target, path, query, headers, key, subprotocols, extensions)


def _read_headers(request: bytes, start: int, largest: int, most: int) -> list[tuple[bytes, bytes]]:
    if len(request) - start > largest and max(map(len, request[start:].split(b"\r\n"))) > largest:
        raise HandshakeRefused(431, f"a header is longer than {largest} bytes")
    if _FIELDS.fullmatch(request, start) is None:
        raise HandshakeRefused(400, "malformed header")
    headers = [(name.lower(), value.strip(WHITE_SPACE)) for name, value in _FIELD.findall(request, start)]
    if len(headers) > most:
        raise HandshakeRefused(431, f"more than {most} headers")
    return headers


def _combine(headers: RawHeaders) -> dict[bytes, bytes]:
    """Return the lines of each name as one (RFC 9110 section 5.3).

    The grammar of a header that may occur only once does not allow a list, so a second line of it is refused as any
    other wrong value.
    """
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        fields[name] = b"%b, %b" % (fields[name], value) if name in fields else value
    return fields


def _check_fields(fields: Mapping[bytes, bytes]) -> bytes:
    """Check what RFC 6455 section 4.2.1 asks for; the key."""
    if _HOST.fullmatch(fields.get(b"host", b"")) is None:
        raise HandshakeRefused(400, "expected one valid Host header")
    # A proxy in front may see the body end, and so the frames begin, at another place than this server.
    if fields.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in fields:
        raise HandshakeRefused(400, "a WebSocket handshake must not have a body")
    # RFC 9110 section 7.8: without the connection option an Upgrade is to be ignored.
    if not (_lists(fields.get(b"upgrade", b""), b"websocket") and _lists(fields.get(b"connection", b""), b"upgrade")):
        raise HandshakeRefused(426, "this resource accepts only WebSocket handshakes", _WHAT_TO_UPGRADE_TO)
    if fields.get(b"sec-websocket-version") != b"13":
        raise HandshakeRefused(426, "expected Sec-WebSocket-Version: 13", _WHAT_TO_UPGRADE_TO)
    key = fields.get(b"sec-websocket-key", b"")
    if _KEY.fullmatch(key) is None:
        raise HandshakeRefused(400, "expected one Sec-WebSocket-Key of 16 bytes in base64")
    return key


def _lists(value: bytes, member: bytes) -> bool:
    value = value.lower()
    return value == member or member in [element.strip(WHITE_SPACE) for element in value.split(b",")]


def _read_subprotocols(value: bytes) -> list[str]:
    text = value.decode("latin-1")
    names: list[str] = _SUBPROTOCOL.findall(text)
    # RFC 6455 section 4.1, item 10: "MUST all be unique strings".
    if _SUBPROTOCOLS.fullmatch(text) is None or (len(names) > 1 and len(set(names)) < len(names)):
        raise HandshakeRefused(400, "Sec-WebSocket-Protocol must list different tokens")
    return names


def _resource_name(target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return the resource name of an absolute target, whose authority replaces Host (RFC 9112 section 3.2.2)."""
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise HandshakeRefused(400, "the request target is neither a path nor an http URI")
    authority, name = absolute.groups()
    headers[:] = [(field, authority if field == b"host" else value) for field, value in headers]
    return name if name.startswith(b"/") else b"/" + name


def accept_value(key: bytes) -> bytes:
    """Return the value of Sec-WebSocket-Accept (RFC 6455 section 4.2.2, item 5)."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def accept_response(
    handshake: Handshake, *, subprotocol: str | None, extension: str | None, headers: RawHeaders
) -> bytes:
    """Return the 101 that opens the WebSocket, with the `headers` of the server and of the application.

    `extension` is the value of Sec-WebSocket-Extensions that was negotiated, if any.

    Raises:
        InvalidSubprotocol: when the client did not offer it (RFC 6455 section 4.2.2).
        InvalidHeader: for one that is malformed, or that belongs to the handshake itself.
    """
    lines = [
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ",
        accept_value(handshake.key),
        b"\r\n",
    ]
    if subprotocol is not None:
        if subprotocol not in handshake.subprotocols:
            raise InvalidSubprotocol(subprotocol, handshake.subprotocols)
        lines.append(b"sec-websocket-protocol: %b\r\n" % subprotocol.encode("ascii"))
    if extension is not None:
        lines.append(b"sec-websocket-extensions: %b\r\n" % extension.encode("ascii"))
    lines += [field_line(name, value) for name, value in headers]
    lines.append(b"\r\n")
    return b"".join(lines)


def response_head(status: int, headers: RawHeaders) -> bytes:
    """Return the head of a final response, up to the empty line. `headers` say how its body is framed.

    Raises:
        InvalidStatus: unless the status is 200-599.
        InvalidHeader: for a malformed one.
    """
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise InvalidStatus(status, "200-599 for the response to a handshake")
    # RFC 9112 section 4: the reason phrase may be empty, but not the space before it.
    start = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    return b"".join([start, *(_line(name, value) for name, value in headers), b"\r\n"])


def refusal(refused: HandshakeRefused, headers: RawHeaders) -> bytes:
    """Return the whole response to a refused handshake, after which the connection is to be closed.

    Of `headers`, the server's defaults with names in lower case, those are left out that this response sets itself.

    Raises:
        InvalidHeader: for a malformed one of `headers`.
    """
    body = refused.reason.encode()
    connection = b"close"
    if any(name == b"upgrade" for name, _ in refused.headers):
        # RFC 9110 section 7.8.
        connection = b"close, upgrade"
    own = [*refused.headers, (b"connection", connection)]
    if body:
        own += [(b"content-length", b"%d" % len(body)), (b"content-type", b"text/plain; charset=utf-8")]
    names = {name for name, _ in own}
    defaults = [header for header in headers if header[0] not in names]
    return response_head(refused.status, [*defaults, *own]) + body


def field_line(name: bytes, value: bytes) -> bytes:
    """Return the line of a header that is not one of the handshake's own.

    Raises:
        InvalidHeader: for one that is, and for a malformed one.
    """
    line = _line(name, value)
    if name.lower() in _OF_THE_HANDSHAKE:
        raise InvalidHeader(name, value, "the server sets this header of the handshake")
    return line


def _line(name: bytes, value: bytes) -> bytes:
    # Applications are not all type-checked, and text would end in an error that does not say what is wrong.
    if not (isinstance(name, bytes) and isinstance(value, bytes)):
        raise InvalidHeader(name, value, "expected bytes for the name and the value")
    if not is_token(name):
        raise InvalidHeader(name, value, "the name is not a token (RFC 9110 section 5.6.2)")
    if not is_value(value):
        raise InvalidHeader(name, value, "the value has a control character")
    return b"%b: %b\r\n" % (name, value)
