"""The numbers of a hub."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """The counters of a hub, without those that its connections keep."""

    published: int = 0
    delivered: int = 0
    dropped: int = 0
    closed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HubStatistics:
    """The counters of a hub since it was made, and the current numbers, in this process.

    Attributes:
        rooms: that have members.
        pending_rooms: those of them that the broker does not know of yet, or failed to take and is asked again for.
        connections: that are members of a room.
        members: memberships of all connections in all rooms.
        published: messages that were published here.
        delivered: messages that the servers of members have taken; one published to a hundred members counts hundred.
        dropped: messages that members were too slow for.
        closed: connections that were closed for being slow.
        queued_messages: that wait in outboxes.
        queued_bytes: of those.
        slow_members: connections whose server does not take more at the moment.
    """

    rooms: int
    pending_rooms: int
    connections: int
    members: int
    published: int
    delivered: int
    dropped: int
    closed: int
    queued_messages: int
    queued_bytes: int
    slow_members: int
