"""The jobs of the generator and their outcomes, as values and as JSON."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, Literal, Self, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

Kind = Literal["unreachable", "wrong_reply", "died", "timeout", "limits"]


class JobError(Exception):
    """A job that cannot be read. The text names the field."""


class Failure(Exception):
    """A run that has no figures, because of what the server did or of what this machine allows.

    Attributes:
        error: one line for a human.
        kind: "unreachable" no WebSocket could be opened; "wrong_reply" a reply other than the one due; "died" the
            server's process has ended, or it closed a connection that was in use; "timeout" it did not answer in
            time; "limits" this machine does not allow as much.
    """

    def __init__(self, kind: Kind, error: str) -> None:
        super().__init__(error)
        self.kind: Kind = kind
        self.error = " ".join(error.split())

    def to_json(self) -> dict[str, Any]:
        """Return the JSON that is written to standard output."""
        return {"error": self.error, "kind": self.kind}


def _at_least(least: float) -> Mapping[str, Any]:
    return MappingProxyType({"least": least})


@dataclass(frozen=True, kw_only=True)
class Job:
    """The fields of all workloads.

    Attributes:
        url: ws://HOST:PORT/PATH.
        pid: of the server; its descendants are counted with it.
        core: to which the generator pins itself, where the system allows; None leaves it to the system.
        patience: seconds without any reply after which the run ends.
    """

    url: str
    pid: int = field(metadata=_at_least(1))
    core: int | None = field(default=None, metadata=_at_least(0))
    patience: float = field(default=10.0, metadata=_at_least(0.01))

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the job in a JSON object.

        Raises:
            JobError: for a field that is missing, unknown, or holds what it cannot.
        """
        hints = get_type_hints(cls)
        given = {name: value for name, value in document.items() if name != "workload"}
        for name, value in given.items():
            if name not in hints:
                raise JobError(f"a job of this workload has no field {name!r}; it has {', '.join(sorted(hints))}")
            if not _fits(value, hints[name]):
                raise JobError(f"field {name!r} holds {value!r}, which is no {_title(hints[name])}")
        for each in dataclasses.fields(cls):
            least, value = each.metadata.get("least"), given.get(each.name)
            if each.name not in given and each.default is dataclasses.MISSING:
                raise JobError(f"field {each.name!r} is missing")
            if least is not None and value is not None and value < least:
                raise JobError(f"field {each.name!r} holds {value!r}; it must be at least {least}")
        job = cls(**given)
        job.check()
        return job

    def check(self) -> None:
        """Check conditions on several fields, or on the inside of one.

        Raises:
            JobError: see above.
        """
        check_url("url", self.url)


@dataclass(frozen=True, kw_only=True)
class EchoJob(Job):
    """Every message is to come back as it was sent.

    Attributes:
        connections: opened before the warm-up.
        in_flight: unanswered messages on each connection, in the closed loop.
        size: bytes of payload, before compression.
        binary: binary messages in place of text.
        deflate: permessage-deflate is offered and must be accepted.
        seconds: of the measured section.
        warm_up: seconds of load before it.
        rate: messages a second over all connections, sent on schedule (open loop); None sends the next one as soon as
            a reply is there (closed loop).
        content: "json" compresses like JSON, "random" not at all and is for binary messages.
    """

    connections: int = field(metadata=_at_least(1))
    in_flight: int = field(default=1, metadata=_at_least(1))
    size: int = field(metadata=_at_least(2))
    binary: bool = False
    deflate: bool = False
    seconds: float = field(metadata=_at_least(0.01))
    warm_up: float = field(default=0.0, metadata=_at_least(0))
    rate: float | None = field(default=None, metadata=_at_least(0.001))
    content: Literal["json", "random"] = "json"

    def check(self) -> None:
        """See `Job.check`."""
        super().check()
        if self.content == "random" and not self.binary:
            raise JobError("field 'content' holds 'random', which no text message can carry: set 'binary'")


@dataclass(frozen=True, kw_only=True)
class HandshakeJob(Job):
    """Connections are opened, used for one message, and closed, over and over.

    Attributes:
        concurrency: connections that are under way at a time.
        seconds: of the measured section.
        warm_up: seconds of load before it.
    """

    concurrency: int = field(metadata=_at_least(1))
    seconds: float = field(metadata=_at_least(0.01))
    warm_up: float = field(default=0.0, metadata=_at_least(0))


@dataclass(frozen=True, kw_only=True)
class FanoutJob(Job):
    """One member publishes, all members are to get everything.

    Attributes:
        members: of the room, the publisher included.
        size: bytes of each message.
        binary: binary messages in place of text.
        burst: messages of one publish, sent back to back.
        seconds: of the measured section.
        warm_up: seconds of load before it.
        rate: publishes a second on schedule; None publishes when all members have got everything.
        stalled: further members, who never read.
        stall_url: where those connect.
    """

    members: int = field(metadata=_at_least(1))
    size: int = field(metadata=_at_least(2))
    binary: bool = False
    burst: int = field(default=1, metadata=_at_least(1))
    seconds: float = field(metadata=_at_least(0.01))
    warm_up: float = field(default=0.0, metadata=_at_least(0))
    rate: float | None = field(default=None, metadata=_at_least(0.001))
    stalled: int = field(default=0, metadata=_at_least(0))
    stall_url: str | None = None

    def check(self) -> None:
        """See `Job.check`."""
        super().check()
        if self.stalled and self.stall_url is None:
            raise JobError("field 'stall_url' is missing: there are to be stalled members")
        if self.stall_url is not None:
            check_url("stall_url", self.stall_url)


@dataclass(frozen=True, kw_only=True)
class IdleJob(Job):
    """Connections that do nothing, and what they cost.

    Attributes:
        connections: how many.
        deflate: permessage-deflate is offered and must be accepted.
        exchange: one message is sent and answered on each connection: with itself where the path ends in /echo, with
            "OK!" elsewhere.
        size: bytes of that message.
        seconds: for which the server's CPU is watched.
    """

    connections: int = field(metadata=_at_least(1))
    deflate: bool = False
    exchange: bool = False
    size: int = field(default=64, metadata=_at_least(2))
    seconds: float = field(metadata=_at_least(0.01))


WORKLOADS: Final[Mapping[str, type[Job]]] = {
    "echo": EchoJob,
    "handshake": HandshakeJob,
    "fanout": FanoutJob,
    "idle": IdleJob,
}


def parse_job(document: Any) -> Job:
    """Return the job in a decoded JSON value.

    Raises:
        JobError: for anything else.
    """
    if not isinstance(document, dict):
        raise JobError(f"a job is a JSON object, not {document!r}")
    workload = document.get("workload")
    if not isinstance(workload, str) or workload not in WORKLOADS:
        raise JobError(f"field 'workload' holds {workload!r}; there are {', '.join(WORKLOADS)}")
    return WORKLOADS[workload].parse(document)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The measurements of a run.

    Attributes:
        messages: echoed messages, handshakes, deliveries or connections of the measured section.
        seconds: its length.
        user: CPU seconds of all the server's processes in user mode within it.
        system: the same in the kernel.
        memory: bytes that the server's processes have for themselves (USS), at the end.
        memory_before: the same before the first connection.
        memory_connected: the same with everything connected, before any load.
        memory_peak: the most that was seen.
        latency: in milliseconds: p50, p99, p99.9, max, and count; None for all but the count where nothing came.
        received: bytes on the wire for each message, the header included.
        generator: share of a core that the generator used within the section.
        late: like `latency`, how late the generator itself sent what was due; None in the closed loop. It is contained
            in `latency`.
        delivered: share of what should have come, 0 to 1.
        undelivered: messages that never came. `latency` knows nothing of them.
        waited: seconds from the last delivery to the end of the run, when something is undelivered.
    """

    messages: int
    seconds: float
    user: float
    system: float
    memory: int
    memory_before: int
    memory_connected: int
    memory_peak: int
    latency: Mapping[str, float | None]
    received: float
    generator: float
    late: Mapping[str, float | None] | None = None
    delivered: float = 1.0
    undelivered: int = 0
    waited: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the JSON that is written to standard output."""
        return dataclasses.asdict(self)


def check_url(name: str, url: str) -> None:
    """Refuse what the generator cannot connect to.

    Raises:
        JobError: for anything but ws://HOST:PORT/PATH.
    """
    try:
        parts = urlsplit(url)
        whole = parts.scheme == "ws" and parts.hostname and parts.port and parts.path
    except ValueError:
        whole = False
    if not whole:
        raise JobError(f"field {name!r} holds {url!r}, which is not of the form ws://HOST:PORT/PATH")


def _fits(value: object, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if isinstance(hint, UnionType):
        return any(_fits(value, each) for each in get_args(hint))
    if isinstance(value, bool):
        return hint is bool
    if hint is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, hint)


def _title(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(repr(each) for each in get_args(hint))
    if isinstance(hint, UnionType):
        return " or ".join(_title(each) for each in get_args(hint))
    names = {int: "integer", float: "number", bool: "boolean", str: "string", NoneType: "null"}
    return names[hint]
