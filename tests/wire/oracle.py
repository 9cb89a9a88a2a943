"""The websockets library's reading of a stream, as events of our reader."""

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from asgi_ws.wire.events import Close, Event, Ping, Pong, Violation

from .streams import BINARY, CLOSE, CONT, FIN, PING, PONG, RSV1, RSV2, RSV3, TEXT, without_reasons


def read_by_websockets(data: bytes, *, max_size: int | None = None, compressed: bool = False) -> list[Event]:
    """Return the events of a whole stream, without the reason of a failure.

    websockets does not check the UTF-8 of messages. Invalid text is returned with surrogates, so it does not equal any
    valid text.
    """
    server = ServerProtocol(state=State.OPEN, max_size=max_size)
    if compressed:
        server.extensions = [
            PerMessageDeflate(
                remote_no_context_takeover=False,
                local_no_context_takeover=False,
                remote_max_window_bits=15,
                local_max_window_bits=15,
            )
        ]
    server.receive_data(data)
    events: list[Event] = []
    message: list[bytes] = []
    is_text = False
    for frame in server.events_received():
        assert isinstance(frame, Frame)
        payload = bytes(frame.data)
        match frame.opcode:
            case Opcode.PING:
                events.append(Ping(payload))
            case Opcode.PONG:
                events.append(Pong(payload))
            case Opcode.CLOSE:
                assert server.close_rcvd is not None
                events.append(Close(int(server.close_rcvd.code), server.close_rcvd.reason))
            case _:
                is_text = frame.opcode is Opcode.TEXT or (frame.opcode is Opcode.CONT and is_text)
                message.append(payload)
                if frame.fin:
                    whole = b"".join(message)
                    events.append(whole.decode("utf-8", "surrogateescape") if is_text else whole)
                    message.clear()
    if server.parser_exc is not None:
        assert server.close_sent is not None
        events.append(Violation(int(server.close_sent.code), ""))
    return events


def unlike_websockets(data: bytes, ours: list[Event]) -> str | None:
    """Return the contradiction between our events and those of websockets, or None if they agree.

    The events need not be equal, since we refuse more (see `test_reader_oracle`) and earlier. websockets has to read
    every event that we read, and may not find a failure where we find none.
    """
    theirs = read_by_websockets(data)
    whole = ours[:-1] if ours and isinstance(ours[-1], Violation) else ours
    if whole and isinstance(whole[-1], Close) and theirs[-1:] == [Violation(1002, "")]:
        # Within a message.
        theirs = [*theirs[:-1], whole[-1]]
    if len(whole) < len(ours):
        theirs = theirs[: len(whole)]
    return None if without_reasons(whole) == theirs else f"ours: {ours!r}, of websockets: {theirs!r}"


def breaks_section_5(data: bytes, *, compressed: bool) -> bool:
    """Return True if a header up to the first close frame of a whole stream breaks RFC 6455 section 5.

    This goes from header to header, for violations that websockets does not find.
    """
    position, is_open = 0, False
    while len(data) - position >= 2:
        first, second = data[position : position + 2]
        opcode, length = first & 0x0F, second & 0x7F
        if not _may_begin(first, second, is_open=is_open, compressed=compressed):
            return True
        if opcode == CLOSE:
            return False
        if opcode < CLOSE:
            is_open = not first & FIN
        position += 2
        if length > 125:
            size, least = (2, 126) if length == 126 else (8, 65_536)
            if len(data) < position + size:
                return False
            length = int.from_bytes(data[position : position + size], "big")
            if not least <= length < 2**63:
                return True
            position += size
        position += 4 + length
    return False


def _may_begin(first: int, second: int, *, is_open: bool, compressed: bool) -> bool:
    opcode = first & 0x0F
    if not second & 0x80 or first & (RSV2 | RSV3) or opcode not in {CONT, TEXT, BINARY, CLOSE, PING, PONG}:
        return False
    if first & RSV1 and not (compressed and opcode in {TEXT, BINARY}):
        return False
    if opcode >= CLOSE:
        return second & 0x7F <= 125 and bool(first & FIN)
    return is_open == (opcode == CONT)
