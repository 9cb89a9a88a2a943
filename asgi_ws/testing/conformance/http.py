"""An application's HTTP events held against the ASGI text: each rule beside the clause that makes it one."""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
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
    """What an application owes next."""

    START = "http.response.start"
    BODY = "http.response.body"
    TRAILERS = "http.response.trailers"
    NOTHING = "nothing"


# Why an event is out of place, by what was owed when the application sent it.
_OUT_OF_PLACE: Final = MappingProxyType(
    {
        ResponseState.START: (START, "{type} before http.response.start"),
        ResponseState.BODY: (START, "{type} after http.response.start: the response has begun already"),
        ResponseState.TRAILERS: (TRAILERS, "{type} after the last http.response.body: the trailers are what is left"),
        ResponseState.NOTHING: (BODY, "{type} after the response was complete: a server ignores it"),
    }
)
_ALLOWED: Final = MappingProxyType(
    {
        ResponseState.START: {"http.response.start", DEBUG_EXTENSION, EARLY_HINT_EXTENSION},
        ResponseState.BODY: {"http.response.body", DEBUG_EXTENSION},
        ResponseState.TRAILERS: {"http.response.trailers"},
        ResponseState.NOTHING: set[str](),
    }
)


def violation(event: object, state: ResponseState, scope: Scope) -> ProtocolViolation | None:
    """What is wrong with an event that an application sends in this state; None if nothing is."""
    return held_against(partial(_check, event, state, scope), event)


def after(event: Mapping[str, Any], state: ResponseState, *, has_trailers: bool) -> ResponseState:
    """What the application owes after an event that is right."""
    kind = event["type"]
    if kind == "http.response.start":
        return ResponseState.BODY
    if kind == "http.response.body" and not event.get("more_body", False):
        return ResponseState.TRAILERS if has_trailers else ResponseState.NOTHING
    if kind == "http.response.trailers" and not event.get("more_trailers", False):
        return ResponseState.NOTHING
    return state


def _check(event: object, state: ResponseState, scope: Scope) -> None:
    kind, fields = typed(event)
    extensions = scope.get("extensions") or {}
    rule = _RULES.get(kind)
    if rule is None:
        if kind in extensions:
            return
        raise Broken(INVALID, f"{kind!r} is no event that an application sends over HTTP")
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
        raise Broken(DEBUG, f"info is a dict, not {type(info).__name__}")


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
        "http.response.start": partial(check_response_start, START),
        "http.response.body": partial(check_response_body, BODY),
        TRAILERS_EXTENSION: _check_trailers,
        DEBUG_EXTENSION: _check_debug,
        EARLY_HINT_EXTENSION: _check_early_hint,
    }
)
