"""The messages of a hub to the members of a room."""

from dataclasses import dataclass

from ..brokers.base import Position, RoomEvent
from ..callables import Kind, kind_of
from ..errors import InvalidEndpoint, InvalidMessage, show
from .presence import Member


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that one member, or all members on this server, did not get.

    Attributes:
        room: of which they are.
        missed: how many; None if unknown.
        top: the position of the newest message of the room, where it has a history.
    """

    room: str
    missed: int | None
    top: Position | None


class Encoder:
    """Turns the events of a room into messages. Subclass it for a protocol of your own.

    Each method is called once for each event and process, and what it returns is sent to every member that it concerns.
    `join` and `leave` are called when their turn in the room comes, and `leave` not at all where no member is left.
    They must not wait. An exception is logged, and nothing is sent.
    """

    def message(self, room: str, event: RoomEvent) -> str | bytes:
        """Return a published message, by default as it was published. None is not sent."""
        return event.envelope.data

    def gap(self, gap: Gap) -> str | bytes | None:
        """Return the message that replaces dropped or lost ones, in a room with a history."""
        return None

    def join(self, room: str, member: Member) -> str | bytes | None:
        """Return a message to the other members: the first connection of an identity has joined."""
        return None

    def leave(self, room: str, member: Member) -> str | bytes | None:
        """Return a message to the other members: the last connection of an identity has left."""
        return None


def check_encoder(encoder: Encoder) -> None:
    """Check that this is an encoder, and that none of its methods would have to be awaited.

    Raises:
        InvalidEndpoint: for another value, such as the class, and for a method that would.
    """
    if not isinstance(encoder, Encoder):
        raise InvalidEndpoint("encoder", f"{show(encoder)} is not an Encoder object")
    for name in ("message", "gap", "join", "leave"):
        if kind_of(getattr(encoder, name)) in (Kind.AWAITABLE, Kind.GENERATOR):
            raise InvalidEndpoint(type(encoder).__name__, f"{name}() would have to be awaited: write a plain def")


def checked_payload(call: str, data: object) -> bytes:
    """Return the bytes of a message, text in UTF-8.

    Raises:
        InvalidMessage: unless it is bytes, or text that UTF-8 can encode.
    """
    if isinstance(data, bytes):
        return data
    if not isinstance(data, str):
        raise InvalidMessage(call, "str or bytes", data)
    try:
        return data.encode()
    except UnicodeEncodeError:
        raise InvalidMessage(call, "text that UTF-8 can encode", data) from None
