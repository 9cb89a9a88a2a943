"""One room of a hub: its members, its subscription, and the fan-out of its messages."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias

from .._asgi import Broadcast
from ..brokers.base import Position, RoomEvent
from ..errors import InvalidRoom, end_of_program
from .encoder import Encoder, Gap, checked_payload
from .fanout import DONE, Encoded, Fanout, Recipient
from .presence import Member, Presence
from .recovery import Recovery
from .state import RecoveryState
from .subscription import BrokerAccess, Subscription

logger = logging.getLogger("asgi_ws")

# In bytes of UTF-8: brokers make subjects and keys of it.
_MAX_NAME_BYTES: Final = 255
# Methods that announce nothing.
_SILENT: Final = (Encoder.join, Encoder.leave)
_FOLLOWING: Final = RecoveryState.FOLLOWING


def check_room(name: object) -> str:
    """Return the name of a room after checking it.

    Raises:
        InvalidRoom: unless it is text of 1 to 255 bytes of UTF-8.
    """
    if not isinstance(name, str):
        raise InvalidRoom(name, "expected a name as str")
    if not name:
        raise InvalidRoom(name, "the name is empty")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidRoom(name, "the name cannot be encoded as UTF-8") from None
    if size > _MAX_NAME_BYTES:
        raise InvalidRoom(name, f"the name has {size} bytes of UTF-8; at most {_MAX_NAME_BYTES} are allowed")
    return name


Identities: TypeAlias = dict[str, dict[Recipient, None]]


class ActiveRoom:
    """A room that has members, or had until now.

    Args:
        fanout: sends to its members, of whom it has none yet.
        encoder: turns events into messages.
        identities: of the members of all rooms.
        keeps_history: whether the broker keeps some of what is published.
        on_empty: called when the last member has gone, and the broker knows.
    """

    __slots__ = (
        "_access",
        "_encoder",
        "_identities",
        "_sends_as_published",
        "fanout",
        "keeps_history",
        "name",
        "presence",
        "subscription",
    )

    def __init__(
        self,
        name: str,
        fanout: Fanout,
        access: BrokerAccess,
        encoder: Encoder,
        identities: Identities,
        *,
        keeps_history: bool,
        on_empty: "Callable[[ActiveRoom], None]",
    ) -> None:
        self.name = name
        self.keeps_history = keeps_history
        self._access = access
        self._encoder = encoder
        self._identities = identities
        # Most encoders leave messages alone, and then a call of them would be one for each message.
        self._sends_as_published = getattr(encoder.message, "__func__", None) is Encoder.message
        self.fanout = fanout
        self.presence = Presence()
        self.subscription = Subscription(
            name,
            access,
            members=fanout,
            keeps_history=keeps_history,
            new_recovery=self._new_recovery,
            on_end=lambda: on_empty(self),
        )

    def _new_recovery(self) -> Recovery:
        return Recovery(
            self.name,
            read=self._read,
            pass_on=self.pass_on,
            announce=self._announce,
            log=self._access.failure_logs.reading,
            loop=self._access.loop,
        )

    # -- members

    def add(self, recipient: Recipient, identity: str, info: Any) -> None:
        """Add a member. It gets what comes from now on, once the broker knows of it; see `Subscription.known`."""
        self.fanout.add(recipient)
        self._identities.setdefault(identity, {})[recipient] = None
        member, is_first = self.presence.enter(identity, info)
        # A broker may have an event at once, and the member may fail to send it and be taken out again.
        self.subscription.settle()
        if is_first and recipient.ending is None and self._is_announced(self._encoder.join):
            self.fanout.announce(partial(self._encode, self._encoder.join, self.name, member), exclude=recipient.origin)

    def remove(self, recipient: Recipient, identity: str) -> Member | None:
        """Remove a member; return it if its identity has left the room. See `announce_leave`."""
        self.fanout.remove(recipient)
        recipients = self._identities[identity]
        if len(recipients) > 1:
            del recipients[recipient]
        else:
            del self._identities[identity]
        return self.presence.leave(identity)

    def announce_leave(self, member: Member, origin: str) -> None:
        """Announce to the other members that an identity has left."""
        if self.fanout and self._is_announced(self._encoder.leave):
            self.fanout.announce(partial(self._encode_leave, member), exclude=origin)

    @staticmethod
    def _is_announced(encode: Callable[[str, Member], str | bytes | None]) -> bool:
        return getattr(encode, "__func__", None) not in _SILENT

    def _encode_leave(self, member: Member) -> Encoded | None:
        return self._encode(self._encoder.leave, self.name, replace(member, connections=0))

    def _encode(self, encode: Callable[..., str | bytes | None], *arguments: Any) -> Encoded | None:
        try:
            data = encode(*arguments)
            return None if data is None else (data, checked_payload(type(self._encoder).__name__, data))
        except BaseException as error:
            # It has no wait in which it could be cancelled, and it runs for all members.
            if end_of_program(error) is not None:
                raise
            logger.exception("the encoder of a hub raised")
            return None

    # -- messages

    @property
    def position(self) -> Position | None:
        """Return the position of the newest event that was passed to the members, if there is one."""
        return self.subscription.recovery.last

    def _read(self, since: Position | None, limit: int) -> Any:
        return self._access.broker.read(self.name, since, limit)

    def pass_on(self, event: RoomEvent) -> Awaitable[None]:
        """Send an event to the members; return an awaitable that is done when all of them have it."""
        envelope = event.envelope
        # Only the envelopes of this process have it.
        payload = getattr(envelope, "payload", None) if self._sends_as_published else None
        if payload is None:
            encoded = self._encode(self._encoder.message, self.name, event)
            if encoded is None:
                return DONE
            data, payload = encoded
        else:
            data = envelope.data
        return self.fanout.publish(data, payload, envelope.key, envelope.origin)

    def notice(self, missed: int) -> Broadcast | None:
        """Return the notice for a member that has missed messages, if the encoder has one."""
        encoded = self._encode(self._encoder.gap, Gap(self.name, missed, self.subscription.recovery.last))
        return None if encoded is None else Broadcast(*encoded)

    def _announce(self, missed: int | None, top: Position | None) -> None:
        encoded = self._encode(self._encoder.gap, Gap(self.name, missed, top))
        if encoded is not None:
            self.fanout.publish(*encoded)

    def stop(self) -> None:
        """Stop sending, and stop calling the broker."""
        self.fanout.stop()
        self.subscription.stop()


class Rooms(dict[str, ActiveRoom]):
    """The rooms of a hub by their names."""

    def on_event(self, room: str, event: RoomEvent) -> Awaitable[None]:
        """Take an event from the broker; see `OnEvent`."""
        state = self.get(room)
        if state is None:
            return DONE
        recovery = state.subscription.recovery
        if event.position is None and recovery.state is _FOLLOWING:
            # Without a history nothing can be missing.
            return state.pass_on(event)
        return recovery.take(event)
