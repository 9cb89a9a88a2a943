"""Types of the ASGI interface, as this package uses them.

The scope and the events are plain dictionaries on purpose: a server may add keys of its own, and "unknown keys must not
raise" (ASGI, "Extensions"). What a handler reads is read through the typed views of `connection`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

# Header lists as the wire and the ASGI events have them: lower-case names, both sides bytes.
RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

# Headers as a handler may give them.
HeadersLike: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
