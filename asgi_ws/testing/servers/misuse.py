"""What a server makes of an event that breaks the ASGI text: what it raises, or what it goes on with instead."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ..._asgi import Event
from ...errors import InvalidCloseCode
from ...lifecycle import MAX_REASON_BYTES, CloseCode, check_close
from ..errors import Misuse, ProtocolViolation
from .manners import Manners

_SUBPROTOCOL: Final = b"sec-websocket-protocol"
# RFC 6455 section 7.4.1: codes that report what was never in a close frame.
_REPORTS: Final = frozenset({1005, 1006, 1015})
_IN_HEADERS: Final = frozenset({"str in headers", "headers None", "bad headers", "subprotocol in headers"})
BAD_CLOSES: Final = frozenset(
    {"close code None", "close code not int", "invalid close code", "long reason", "reason not str"}
)
_AFTER_REFUSAL: Final[Mapping[Misuse | None, Misuse]] = MappingProxyType(
    {
        "send after close": "send after refusal",
        "close after close": "close after refusal",
        "accept after close": "accept after refusal",
    }
)


def met(broken: ProtocolViolation, manners: Manners, *, is_refused: bool) -> tuple[Misuse | None, Exception | None]:
    """The kind of a broken event, once it is known whether the handshake was refused, and what `send` raises for it."""
    misuse: Misuse | None = broken.misuse
    if is_refused and misuse in _AFTER_REFUSAL:
        misuse = _AFTER_REFUSAL[misuse]
    kind = manners.raises_else if misuse is None else manners.raises.get(misuse)
    if kind is None or _is_overlooked(broken.event, misuse, manners):
        return misuse, None
    why = _words(broken.why, manners)
    error = _not_encodable(broken.event, why) if kind is UnicodeEncodeError else kind(why)
    error.__cause__ = broken
    return misuse, error


def allowed(misuse: Misuse, why: str, manners: Manners) -> Exception | None:
    """What `send` raises for what the ASGI text allows and this server does not."""
    kind = manners.raises.get(misuse)
    return None if kind is None else kind(_words(why, manners))


def _words(why: str, manners: Manners) -> str:
    return f"{manners.name} raises this in send: {why}"


def _not_encodable(event: Any, why: str) -> UnicodeEncodeError:
    text = event["text"]
    return UnicodeEncodeError("utf-8", text, 0, len(text), why)


def _is_overlooked(event: Any, misuse: Misuse | None, manners: Manners) -> bool:
    """Whether this server does not come to look at what is wrong."""
    if misuse == "text and bytes":
        return not manners.sends_empty_messages and not (event["text"] and event["bytes"])
    return misuse in _IN_HEADERS and event["type"] == "websocket.accept" and not manners.sends_accept_headers


def mended(event: Event, misuse: Misuse | None, manners: Manners) -> Event | None:
    """What goes out in place of an event that has something wrong within; None for nothing.

    It may have something else that is wrong.
    """
    match misuse:
        case "subprotocol in headers" if manners.sends_accept_headers:
            return _with_subprotocol(event)
        case "str in headers" | "headers None" | "bad headers" | "subprotocol in headers":
            return {**event, "headers": []}
        case "text and bytes":
            is_text = not manners.sends_empty_messages and event["text"]
            return {**event, "bytes" if is_text else "text": None}
        case "text not UTF-8" | "text not str":
            return {**event, "text": ""}
        case "bytes-like":
            return {**event, "bytes": bytes(event["bytes"])}
        case "bytes not bytes":
            return {**event, "bytes": b""}
        case _ if misuse in BAD_CLOSES:
            return _close_frame(event, manners)
    return None


def _with_subprotocol(event: Event) -> Event:
    """A header that goes out as it is does what the subprotocol does."""
    names = [value.decode("latin-1") for name, value in event["headers"] if name.lower() == _SUBPROTOCOL]
    headers = [(name, value) for name, value in event["headers"] if name.lower() != _SUBPROTOCOL]
    return {**event, "subprotocol": event.get("subprotocol") or names[0], "headers": headers}


def _close_frame(event: Event, manners: Manners) -> Event:
    """The close frame for a close that has something wrong within: not as the application wants it, or broken."""
    code, reason = event.get("code", CloseCode.NORMAL), event.get("reason") or ""
    if not isinstance(code, int):
        sent: int | None = manners.code_for_none
    elif code in _REPORTS:
        sent = manners.code_for_reserved
    else:
        sent = code if _is_sendable(code) else None
    data = reason.encode(errors="ignore") if isinstance(reason, str) else b""
    if len(data) > MAX_REASON_BYTES and manners.sends_close_reason and not manners.truncates_close_reason:
        sent = None
    if sent is None:
        # The client fails the connection over a frame that is broken: nothing is left of it but its end.
        return {"type": "websocket.close", "code": CloseCode.ABNORMAL}
    return {"type": "websocket.close", "code": sent, "reason": data[:MAX_REASON_BYTES].decode(errors="ignore")}


def _is_sendable(code: int) -> bool:
    try:
        check_close(code, "")
    except InvalidCloseCode:
        return False
    return True
