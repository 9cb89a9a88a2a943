"""An application's HTTP events held against the ASGI text: each rule beside the clause that makes it one."""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum, auto
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from ..._asgi import Scope
from ..errors import ProtocolViolation
from .websocket import (
    EXTENSIONS,
    INVALID,
    Broken,
    check_headers,
    check_response_body,
    check_response_start,
    held_against,
    is_buffer,
    typed,
)

START: Final = 'ASGI, HTTP, "Response Start - send event"'
BODY: Final = 'ASGI, HTTP, "Response Body - send event"'
TRAILERS: Final = 'ASGI, Extensions, "HTTP Trailers"'
DEBUG: Final = 'ASGI, Extensions, "Debug"'
EARLY_HINT: Final = 'ASGI, Extensions, "HTTP/1.1 Early Hint"'
DEBUG_EXTENSION: Final = "http.response.debug"
EARLY_HINT_EXTENSION: Final = "http.response.early_hint"
TRAILERS_EXTENSION: Final = "http.response.trailers"


class ResponseState(Enum):
    """The next events that an application owes."""

    START = auto()
    """http.response.start."""
    BODY = auto()
    """http.response.body, which ends the response."""
    BODY_BEFORE_TRAILERS = auto()
    """http.response.body, which trailers follow."""
    TRAILERS = auto()
    """http.response.trailers."""
    NOTHING = auto()
    """None: the response is complete."""


_START: Final = "http.response.start"
_BODY: Final = "http.response.body"
# The steps that are not the type of an event alone.
_START_WITH_TRAILERS: Final = "a start that announces trailers"
_LAST_BODY: Final = "the last body"
_LAST_TRAILERS: Final = "the last trailers"

# A step that is not there leads nowhere.
TRANSITIONS: Final[Mapping[ResponseState, Mapping[str, ResponseState]]] = MappingProxyType(
    {
        ResponseState.START: {
            _START: ResponseState.BODY,
            _START_WITH_TRAILERS: ResponseState.BODY_BEFORE_TRAILERS,
        },
        ResponseState.BODY: {_LAST_BODY: ResponseState.NOTHING},
        ResponseState.BODY_BEFORE_TRAILERS: {_LAST_BODY: ResponseState.TRAILERS},
        ResponseState.TRAILERS: {_LAST_TRAILERS: ResponseState.NOTHING},
        ResponseState.NOTHING: {},
    }
)
_BEGUN: Final = (START, "{type} after http.response.start: the response has begun already")
# Why an event is out of place, by the state in which the application sent it.
_OUT_OF_PLACE: Final = MappingProxyType(
    {
        ResponseState.START: (START, "{type} before http.response.start"),
        ResponseState.BODY: _BEGUN,
        ResponseState.BODY_BEFORE_TRAILERS: _BEGUN,
        ResponseState.TRAILERS: (TRAILERS, "{type} after the last http.response.body: the trailers are what is left"),
        ResponseState.NOTHING: (BODY, "{type} after the response was complete: a server ignores it"),
    }
)
_ALLOWED: Final = MappingProxyType(
    {
        ResponseState.START: {_START, DEBUG_EXTENSION, EARLY_HINT_EXTENSION},
        ResponseState.BODY: {_BODY, DEBUG_EXTENSION},
        ResponseState.BODY_BEFORE_TRAILERS: {_BODY, DEBUG_EXTENSION},
        ResponseState.TRAILERS: {TRAILERS_EXTENSION},
        ResponseState.NOTHING: set[str](),
    }
)


def violation(event: object, state: ResponseState, scope: Scope) -> ProtocolViolation | None:
    """Return the breach of an event that an application sends in this state, or None."""
    return held_against(partial(_check, event, state, scope), event)


def following(event: Mapping[str, Any], state: ResponseState) -> ResponseState:
    """Return the state after an event that is right."""
    return TRANSITIONS[state].get(_step(event), state)


def _step(event: Mapping[str, Any]) -> str:
    kind: str = event["type"]
    if kind == _START and event.get("trailers", False):
        return _START_WITH_TRAILERS
    if kind == _BODY and not event.get("more_body", False):
        return _LAST_BODY
    if kind == TRAILERS_EXTENSION and not event.get("more_trailers", False):
        return _LAST_TRAILERS
    return kind


def _check(event: object, state: ResponseState, scope: Scope) -> None:
    kind, fields = typed(event)
    extensions = scope.get("extensions") or {}
    rule = _RULES.get(kind)
    if rule is None:
        if kind in extensions:
            return
        raise Broken(INVALID, f"an application does not send {kind!r} over HTTP")
    if kind in {DEBUG_EXTENSION, EARLY_HINT_EXTENSION, TRAILERS_EXTENSION} and kind not in extensions:
        raise Broken(EXTENSIONS, f"this server has no {kind!r} in scope['extensions']")
    if kind not in _ALLOWED[state]:
        clause, why = _OUT_OF_PLACE[state]
        raise Broken(clause, why.format(type=kind))
    rule(fields)
    if fields.get("trailers", False) and TRAILERS_EXTENSION not in extensions:
        raise Broken(TRAILERS, f"this server has no {TRAILERS_EXTENSION!r} in scope['extensions']")


def _check_trailers(event: Mapping[str, Any]) -> None:
    check_headers(event.get("headers", ()), TRAILERS)


def _check_debug(event: Mapping[str, Any]) -> None:
    info = event.get("info")
    if not isinstance(info, Mapping):
        raise Broken(DEBUG, f"info: expected a dict, got {type(info).__name__}")


def _check_early_hint(event: Mapping[str, Any]) -> None:
    links = event.get("links")
    if not isinstance(links, list | tuple) or not all(isinstance(link, bytes) for link in links):
        raise Broken(EARLY_HINT, f"links are values of Link headers, each bytes, not {links!r}")


def settled(event: Any, *, takes_bytes_like: bool) -> Any:
    """Return the event as it is now: its headers can be read twice, and a buffer that may change is copied.

    A server that does not take such a buffer sees it as it is.
    """
    if not isinstance(event, Mapping):
        return event
    headers, body = event.get("headers"), event.get("body")
    if isinstance(headers, Iterable) and not isinstance(headers, Mapping | str | bytes):
        event = {**event, "headers": list(headers)}
    if takes_bytes_like and is_buffer(body):
        event = {**event, "body": bytes(body)}
    return event


_RULES: Final[Mapping[str, Callable[[Mapping[str, Any]], None]]] = MappingProxyType(
    {
        _START: partial(check_response_start, START),
        _BODY: partial(check_response_body, BODY),
        TRAILERS_EXTENSION: _check_trailers,
        DEBUG_EXTENSION: _check_debug,
        EARLY_HINT_EXTENSION: _check_early_hint,
    }
)
