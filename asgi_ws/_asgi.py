"""Types of the ASGI interface, as this package uses them.

The scope and the events are plain dictionaries on purpose: a server may add keys of its own, and "unknown keys must not
raise" (ASGI, "Extensions"). A handler reads them through the typed views of `connection`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Broadcast:
    """A message that many connections get, with room for what their server makes of it once for all.

    A server whose `send` is a method may have two methods beside it. `push_broadcast` takes one of these: it sends it
    as `send` would, if nothing has to wait for that, and returns whether it did. `broadcast_in_turn` takes a function
    that gives one, or None: it waits until a message may go, calls the function and sends what that gives, in one step.

    Attributes:
        event: what `send` takes.
        payload: the message as it goes over the wire, text in UTF-8.
        size: the number of those bytes.
        frame: what a server may keep here.
    """

    __slots__ = ("event", "frame", "payload", "size")

    def __init__(self, data: str | bytes, payload: bytes) -> None:
        self.event: Event = {"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data}
        self.payload = payload
        self.size = len(payload)
        self.frame: bytes | None = None


Push: TypeAlias = Callable[[Broadcast], bool]
PushInTurn: TypeAlias = Callable[[Callable[[], Broadcast | None]], Awaitable[None]]

# Header lists as the wire and the ASGI events have them: lower-case names, both sides bytes.
RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

# Headers as a handler may give them.
HeadersLike: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
