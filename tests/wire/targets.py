"""Invariants for any bytes of a client, which the fuzzer checks: of frames and of the opening handshake.

The first byte of an input has the flags for reading the rest.
"""

import random
import re
import tracemalloc
import zlib
from collections.abc import Iterable
from typing import Final

import h11

from asgi_ws.sizes import MIB
from asgi_ws.wire.deflate import Deflate
from asgi_ws.wire.events import Close, Event, Ping, Pong, Violation
from asgi_ws.wire.handshake import Handshake, HandshakeRefused, accept_response, read_handshake, refusal
from asgi_ws.wire.negotiation import MalformedExtensions, Parameters, negotiate
from asgi_ws.wire.reader import FrameReader

from .handshakes import response
from .oracle import breaks_section_5, unlike_websockets
from .streams import drain, pieces

HANDSHAKE, DEFLATE, SMALL_LIMITS, NO_TAKEOVER = 0x01, 0x02, 0x04, 0x08

# A longer stream is not cut at each byte, since each piece is a call.
_PIECES_OF_ONE: Final = 600
_REASON: Final = re.compile(r"[A-Za-z0-9 ,/-]*")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_RESPONSE: Final = re.compile(
    rb"HTTP/1\.1 (\d{3}) [A-Za-z' -]*\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\x00-\x08\x0a-\x1f\x7f]*\r\n)+\r\n"
)


def check(data: bytes, *, traced: bool = False) -> tuple[object, ...]:
    """Read an input in several ways, and raise if an invariant does not hold.

    Args:
        data: a byte of flags, and the bytes of a client.
        traced: measure the memory too, which takes ten times as long.

    Returns:
        The outcome in short: inputs with equal outcomes are alike.
    """
    flags, sent = data[0] if data else 0, data[1:]
    if flags & HANDSHAKE:
        return check_handshake(sent)
    return check_frames(sent, flags, traced=traced)


# -- frames


def _reader(flags: int, max_work: int = 128 * 1024) -> FrameReader:
    alone = bool(flags & NO_TAKEOVER)
    inflater = Deflate(Parameters(alone, alone, 15, 15)) if flags & DEFLATE else None
    if flags & SMALL_LIMITS:
        return FrameReader(max_message_bytes=200, max_fragments=4, max_work=max_work, inflater=inflater)
    return FrameReader(max_message_bytes=MIB, max_work=max_work, inflater=inflater)


def check_frames(sent: bytes, flags: int, *, traced: bool) -> tuple[object, ...]:
    """Check that any cuts and any bounds of calls give the same events, and only valid ones."""
    if traced:
        tracemalloc.start()
    try:
        reader = _reader(flags)
        events = drain(reader, sent)
        if traced:
            # Messages, a copy of the largest with space to grow, text in up to four bytes for one, and zlib's windows.
            assert tracemalloc.get_traced_memory()[1] < 8 * _size(events) + 8 * len(sent) + 3 * MIB
    finally:
        if traced:
            tracemalloc.stop()
    _check_events(events, 200 if flags & SMALL_LIMITS else MIB)
    assert not reader.has_more
    if events and isinstance(events[-1], Close | Violation):
        assert reader.feed(sent) == []
        assert reader.feed() == []
    chance = random.Random(zlib.crc32(sent))
    for cuts in (
        [chance.randrange(len(sent) + 1) for _ in range(chance.randrange(1, 8))],
        range(1, min(len(sent), _PIECES_OF_ONE)),
    ):
        again = _reader(flags, chance.choice((1, 300, 128 * 1024)))
        _check_same(events, _read_in_pieces(again, sent, cuts, chance), flags)
    if breaks_section_5(sent, compressed=bool(flags & DEFLATE)):
        assert events
        assert isinstance(events[-1], Violation)
    if not flags & (DEFLATE | SMALL_LIMITS):
        assert (difference := unlike_websockets(sent, events)) is None, difference
    return (flags & (DEFLATE | SMALL_LIMITS), *_signature(events))


def _read_in_pieces(reader: FrameReader, sent: bytes, cuts: Iterable[int], chance: random.Random) -> list[Event]:
    """Read by `whole` where that takes a piece, and otherwise by calls with some bound."""
    events: list[Event] = []
    for piece in pieces(sent, cuts):
        message = reader.whole(piece) if chance.randrange(2) else None
        if message is None:
            events += drain(reader, piece, chance.choice((None, 1, 2)))
        else:
            events.append(message)
    return events


def _check_same(events: list[Event], others: list[Event], flags: int) -> None:
    if flags & DEFLATE and events and isinstance(events[-1], Violation) and events[-1].code != 1002:
        # The cuts decide which of two faults of a compressed message is found first.
        assert isinstance(others[-1], Violation)
        assert {events[-1].code, others[-1].code} <= {1007, 1009}
        events, others = events[:-1], others[:-1]
    assert others == events


def _check_events(events: list[Event], largest: int) -> None:
    for event in events[:-1]:
        assert isinstance(event, str | bytes | Ping | Pong)
    for event in events:
        match event:
            case str():
                assert len(event.encode()) <= largest
            case bytes():
                assert len(event) <= largest
            case Ping(payload) | Pong(payload):
                assert len(payload) <= 125
            case Close(code, reason):
                assert code == 1005 or 1000 <= code <= 1014 or 3000 <= code <= 4999
                assert code not in {1004, 1006}
                assert len(reason.encode()) <= 123
            case Violation(code, reason):
                assert code in {1002, 1007, 1009}
                assert _REASON.fullmatch(reason)


def _size(events: list[Event]) -> int:
    return sum(len(event) if isinstance(event, str | bytes) else 200 for event in events)


def _signature(events: list[Event]) -> tuple[object, ...]:
    kinds = tuple(dict.fromkeys(type(event).__name__ for event in events))
    last = events[-1] if events else None
    return (kinds, len(events).bit_length(), last if isinstance(last, Violation) else None)


# -- the opening handshake


def check_handshake(sent: bytes) -> tuple[object, ...]:
    """Check a handshake that h11 reads alike, or a refusal that h11 reads as a whole response."""
    try:
        handshake = read_handshake(sent)
    except HandshakeRefused as refused:
        return _check_refusal(sent, refused)
    _check_read_alike(sent, handshake)
    assert handshake.path.startswith(b"/")
    resource = handshake.path + (b"?" + handshake.query if handshake.query else b"")
    # The slash is ours if an absolute target has no path (RFC 9112 section 3.2.1).
    assert resource.removeprefix(b"/") in handshake.target
    for name, value in handshake.headers:
        assert _TOKEN.fullmatch(name)
        assert value in sent
        assert value == value.strip(b" \t")
        assert not re.search(rb"[\r\n\0\x0b\x0c]", value)
    assert [name for name, _ in handshake.headers].count(b"host") == 1
    assert len(handshake.key) == 24
    assert len(set(handshake.subprotocols)) == len(handshake.subprotocols)
    return ("read", len(handshake.subprotocols), *_check_accepted(handshake))


def _check_read_alike(sent: bytes, handshake: Handshake) -> None:
    server = h11.Connection(h11.SERVER)
    server.receive_data(sent)
    event = server.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (b"GET", handshake.target)
    # An absolute target overrules Host.
    theirs, ours = ([pair for pair in headers if pair[0] != b"host"] for headers in (event.headers, handshake.headers))
    assert theirs == ours
    assert isinstance(server.next_event(), h11.EndOfMessage)
    assert server.trailing_data[0] == b""


def _check_refusal(sent: bytes, refused: HandshakeRefused) -> tuple[object, ...]:
    assert refused.status in {400, 405, 414, 426, 431, 505}
    assert refused.reason.isascii()
    answer = refusal(refused, [(b"server", b"x")])
    assert _RESPONSE.fullmatch(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    head, body = response(answer, "HEAD" if sent.startswith(b"HEAD ") else "GET")
    assert (head.status_code, body) == (refused.status, refused.reason.encode())
    assert b"close" in dict(head.headers)[b"connection"]
    return ("refused", refused.status, refused.reason)


def _check_accepted(handshake: Handshake) -> tuple[object, ...]:
    try:
        agreed = negotiate(handshake.extensions)
    except MalformedExtensions:
        return ("malformed extensions",)
    extension = None if agreed is None else agreed[1]
    for subprotocol in (None, *handshake.subprotocols):
        answer = accept_response(handshake, subprotocol=subprotocol, extension=extension, headers=[(b"x-a", b"b")])
        found = _RESPONSE.fullmatch(answer)
        assert found
        assert found[1] == b"101"
    return (extension,)
