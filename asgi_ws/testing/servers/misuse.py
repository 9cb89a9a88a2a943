"""What a server makes of an event that breaks the ASGI text: what it raises, or what it goes on with instead."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ..._asgi import Event
from ...close_codes import MAX_REASON_BYTES, CloseCode, check_close
from ...errors import InvalidCloseCode
from ..errors import Misuse, ProtocolViolation
from .profiles import ServerProfile

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


def met(
    broken: ProtocolViolation, profile: ServerProfile, *, is_refused: bool
) -> tuple[Misuse | None, Exception | None]:
    """The kind of a broken event, once it is known whether the handshake was refused, and what `send` raises for it."""
    misuse: Misuse | None = broken.misuse
    if is_refused and misuse in _AFTER_REFUSAL:
        misuse = _AFTER_REFUSAL[misuse]
    kind = profile.raises_else if misuse is None else profile.raises.get(misuse)
    if kind is None or _is_overlooked(broken.event, misuse, profile):
        return misuse, None
    why = _words(broken.why, profile)
    error = _not_encodable(broken.event, why) if kind is UnicodeEncodeError else kind(why)
    error.__cause__ = broken
    return misuse, error


def allowed(misuse: Misuse, why: str, profile: ServerProfile) -> Exception | None:
    """What `send` raises for what the ASGI text allows and this server does not."""
    kind = profile.raises.get(misuse)
    return None if kind is None else kind(_words(why, profile))


def _words(why: str, profile: ServerProfile) -> str:
    return f"{profile.name} raises this in send: {why}"


def _not_encodable(event: Any, why: str) -> UnicodeEncodeError:
    text = event["text"]
    return UnicodeEncodeError("utf-8", text, 0, len(text), why)


def _is_overlooked(event: Any, misuse: Misuse | None, profile: ServerProfile) -> bool:
    """Whether this server does not come to look at what is wrong."""
    if misuse == "text and bytes":
        return not profile.sends_empty_messages and not (event["text"] and event["bytes"])
    return misuse in _IN_HEADERS and event["type"] == "websocket.accept" and not profile.sends_accept_headers


def mended(event: Event, misuse: Misuse | None, profile: ServerProfile) -> Event | None:
    """What goes out in place of an event that has something wrong within; None for nothing.

    It may have something else that is wrong.
    """
    match misuse:
        case "subprotocol in headers" if profile.sends_accept_headers:
            return _with_subprotocol(event)
        case "str in headers" | "headers None" | "bad headers" | "subprotocol in headers":
            return {**event, "headers": []}
        case "text and bytes":
            is_text = not profile.sends_empty_messages and event["text"]
            return {**event, "bytes" if is_text else "text": None}
        case "text not UTF-8" | "text not str":
            return {**event, "text": ""}
        case "bytes-like":
            return {**event, "bytes": bytes(event["bytes"])}
        case "bytes not bytes":
            return {**event, "bytes": b""}
        case _ if misuse in BAD_CLOSES:
            return _close_frame(event, profile)
    return None


def _with_subprotocol(event: Event) -> Event:
    """A header that goes out as it is does what the subprotocol does."""
    names = [value.decode("latin-1") for name, value in event["headers"] if name.lower() == _SUBPROTOCOL]
    headers = [(name, value) for name, value in event["headers"] if name.lower() != _SUBPROTOCOL]
    return {**event, "subprotocol": event.get("subprotocol") or names[0], "headers": headers}


def _close_frame(event: Event, profile: ServerProfile) -> Event:
    """The close frame for a close that has something wrong within: not as the application wants it, or broken."""
    code, reason = event.get("code", CloseCode.NORMAL), event.get("reason") or ""
    if not isinstance(code, int):
        sent: int | None = profile.code_for_none
    elif code in _REPORTS:
        sent = profile.code_for_reserved
    else:
        sent = code if _is_sendable(code) else None
    data = reason.encode(errors="ignore") if isinstance(reason, str) else b""
    if len(data) > MAX_REASON_BYTES and profile.sends_close_reason and not profile.truncates_close_reason:
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
