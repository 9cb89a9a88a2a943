"""The members of a room: an identity with several connections is one member."""

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Member:
    """One identity in one room.

    Attributes:
        identity: as it was given to `Hub.join`; one that was made for it where none was.
        info: what was given with it last.
        connections: how many of its connections are in the room.
    """

    identity: str
    info: Any
    connections: int


class Presence:
    """The identities in one room."""

    __slots__ = ("_members",)

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}

    def enter(self, identity: str, info: Any) -> tuple[Member, bool]:
        """Add a connection of an identity; return the member, and True if it is the first connection."""
        known = self._members.get(identity)
        member = self._members[identity] = Member(identity, info, 1 if known is None else known.connections + 1)
        return member, known is None

    def leave(self, identity: str) -> Member | None:
        """Remove a connection of an identity; return the member if that was the last one."""
        known = self._members[identity]
        if known.connections > 1:
            self._members[identity] = replace(known, connections=known.connections - 1)
            return None
        del self._members[identity]
        return known

    def members(self) -> list[Member]:
        """Return the members."""
        return list(self._members.values())
