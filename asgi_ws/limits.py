"""Limits: frozen sizes, rates and times, what happens past each of them, and the counters that tell of it."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import TypeAlias

from .close_codes import CloseCode
from .sizes import MIB, check_bound
from .token_bucket import TokenBucket


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of an endpoint for its clients. None means no limit. Sizes are in bytes, times in seconds.

    Attributes:
        max_message_bytes: of one received WebSocket message, text counted in UTF-8. Past it: close code 1009.
        max_body_bytes: of one HTTP request body. Past it: 413. Without it, a streamed response does not notice that the
            client has left while more than 1 MiB of the request is unread.
        accept_timeout: from the connection's start to `accept` or `deny`. Past it the handler is cancelled and the
            handshake is refused with 503. It is also cancelled when the client leaves before.
        idle_timeout: without a message received or sent by the handler. Past it: close code 4408.
        messages_per_second: received, as a token bucket that holds one second's worth, at least one; what waited for a
            busy handler counts when it is received. Past it: 1008.
        bytes_per_second: received, as a token bucket that holds one second's worth; a message larger than that passes
            when the bucket is full, and is paid back before the next one may. Past it: 1008.
        max_connections: open at once on this endpoint. Past it: the handshake is refused with 503.
        max_connections_per_client: open at once for each client: an IPv4 address, or the /64 of an IPv6 address. A
            connection without an address (Unix socket) is not counted. Behind a proxy the address is the proxy's,
            unless the server is told to trust its headers (uvicorn: `--forwarded-allow-ips`). Past it: 429.

    Raises:
        InvalidLimit: for a value that is not a positive number, or not a whole one where bytes and connections count.
    """

    max_message_bytes: int | None = MIB
    max_body_bytes: int | None = MIB
    accept_timeout: float | None = 10.0
    idle_timeout: float | None = None
    messages_per_second: float | None = None
    bytes_per_second: float | None = None
    max_connections: int | None = None
    max_connections_per_client: int | None = None

    def __post_init__(self) -> None:
        for limit in fields(self):
            whole = limit.name.startswith("max_")
            check_bound("Limits", limit.name, getattr(self, limit.name), whole=whole, optional=True)


class Refusal(Enum):
    """Why a connection was refused or ended by policy: the HTTP status before accept, the close code after, the reason.

    The status of a refusal that comes after accept is the one it would have had before, and the other way round, so
    that no reader of this table meets a hole.
    """

    ORIGIN = (403, CloseCode.POLICY_VIOLATION, "origin not allowed")
    HOST = (400, CloseCode.POLICY_VIOLATION, "host not allowed")
    CONNECTIONS = (503, CloseCode.TRY_AGAIN_LATER, "too many connections")
    CONNECTIONS_PER_CLIENT = (429, CloseCode.TRY_AGAIN_LATER, "too many connections from this address")
    ACCEPT_TIMEOUT = (503, CloseCode.TRY_AGAIN_LATER, "not accepted in time")
    NOT_ACCEPTED = (403, CloseCode.POLICY_VIOLATION, "not accepted")
    MESSAGE_BYTES = (413, CloseCode.MESSAGE_TOO_BIG, "message too big")
    BODY_BYTES = (413, CloseCode.MESSAGE_TOO_BIG, "body too large")
    MESSAGE_RATE = (429, CloseCode.POLICY_VIOLATION, "too many messages per second")
    BYTE_RATE = (429, CloseCode.POLICY_VIOLATION, "too many bytes per second")
    IDLE = (408, CloseCode.IDLE, "idle for too long")
    SLOW = (503, CloseCode.TRY_AGAIN_LATER, "too slow")
    MESSAGE_TYPE = (400, CloseCode.UNSUPPORTED_DATA, "unexpected message type")
    PAYLOAD = (400, CloseCode.INVALID_PAYLOAD, "invalid payload")

    def __init__(self, status: int, close_code: int, reason: str) -> None:
        self.status = status
        self.close_code = close_code
        self.reason = reason


# Counts one message that was received now, and returns the limit that it exceeds.
Measure: TypeAlias = Callable[[str | bytes], Refusal | None]


def measure_rates(limits: Limits, clock: Callable[[], float]) -> Measure:
    """Return what counts the messages of one connection against its rates, each a bucket of one second's worth."""
    messages, size = limits.messages_per_second, limits.bytes_per_second
    # A rate below one message a second still lets a first message through.
    take_message = None if messages is None else TokenBucket(messages, max(messages, 1.0)).take
    take_bytes = None if size is None else TokenBucket(size, size).take

    # A closure takes 0.03 us of a message less than a method.
    def exceeded(data: str | bytes) -> Refusal | None:
        now = clock()
        if take_message is not None and not take_message(now):
            return Refusal.MESSAGE_RATE
        if take_bytes is not None:
            # `size_of`, without a call.
            size = len(data) if not isinstance(data, str) or data.isascii() else len(data.encode())
            if not take_bytes(now, size):
                return Refusal.BYTE_RATE
        return None

    return exceeded


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counters of one endpoint, or of all endpoints of an application, since its start.

    Attributes:
        open: connections being handled now.
        accepted: handshakes accepted.
        refused: handshakes and requests refused, and connections ended, by policy, by the name of the `Refusal`.
        failed: handlers that raised, of WebSockets and of HTTP requests.
        dropped_messages: received while nobody read (`wait_closed`, `until_closed`), past the bound.
    """

    open: int = 0
    accepted: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    failed: int = 0
    dropped_messages: int = 0

    def __add__(self, other: "Statistics") -> "Statistics":
        return Statistics(
            open=self.open + other.open,
            accepted=self.accepted + other.accepted,
            refused=Counter(self.refused) + Counter(other.refused),
            failed=self.failed + other.failed,
            dropped_messages=self.dropped_messages + other.dropped_messages,
        )


class Usage:
    """The connections of one endpoint that are open, held against its `Limits`, and its counters."""

    __slots__ = ("accepted", "by_client", "dropped_messages", "failed", "limits", "open", "refused")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.open = 0
        self.by_client: Counter[str] = Counter()
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self.failed = 0
        self.dropped_messages = 0

    def admit(self, client: str | None) -> Refusal | None:
        """Count a connection as open, or return why it is refused. A refused one is not to be discarded.

        `client` is the `client_key` of the scope where connections are limited for each client, else None.
        """
        limits = self.limits
        if limits.max_connections is not None and self.open >= limits.max_connections:
            return Refusal.CONNECTIONS
        if client is not None:
            per_client = limits.max_connections_per_client
            if per_client is not None and self.by_client[client] >= per_client:
                return Refusal.CONNECTIONS_PER_CLIENT
            self.by_client[client] += 1
        self.open += 1
        return None

    def discard(self, client: str | None) -> None:
        """Count a connection that `admit` counted as open no longer."""
        self.open -= 1
        if client is not None:
            self.by_client[client] -= 1
            if not self.by_client[client]:
                del self.by_client[client]

    def statistics(self) -> Statistics:
        """Return the counters as they are now."""
        return Statistics(
            open=self.open,
            accepted=self.accepted,
            refused=dict(self.refused),
            failed=self.failed,
            dropped_messages=self.dropped_messages,
        )
