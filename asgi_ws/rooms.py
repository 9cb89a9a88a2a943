"""One room of a hub: its members, its place in the broker, and the order of what they get."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from .brokers.base import Broker, Position, RoomEvent
from .delivery import DONE, Delivery, Recipient, Slice
from .eager import Starter
from .encoder import Encoder, Gap, encoded
from .errors import HubNotRunning, InvalidRoom
from .presence import Member, Presence
from .queues import resolve
from .sequence import Sequence

logger = logging.getLogger("asgi_ws")

# In bytes of UTF-8: brokers make subjects and keys of it.
_MAX_NAME_BYTES: Final = 255
# Methods that announce nothing.
_SILENT: Final = (Encoder.join, Encoder.leave)


def check_room(name: object) -> str:
    """The name of a room, if it can be one.

    Raises:
        InvalidRoom: unless it is text of 1 to 255 bytes of UTF-8.
    """
    if not isinstance(name, str):
        raise InvalidRoom(name, "a name is text")
    if not name:
        raise InvalidRoom(name, "a name has at least one character")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidRoom(name, "a name is text that UTF-8 can encode") from None
    if size > _MAX_NAME_BYTES:
        raise InvalidRoom(name, f"a name has at most {_MAX_NAME_BYTES} bytes of UTF-8, and this has {size}")
    return name


@dataclass(frozen=True, slots=True)
class Services:
    """What the rooms of a hub share."""

    loop: asyncio.AbstractEventLoop
    broker: Broker
    encoder: Encoder
    starter: Starter
    slice: Slice
    start: Callable[[], Awaitable[None]]
    """Starts the broker, if nobody has."""
    identities: dict[str, dict[Recipient, None]] = field(default_factory=dict)
    """The members of all rooms by their identities."""


class RoomState:
    """A room that has members, or had until now.

    Args:
        keeps_history: whether the broker keeps some of what is published.
        on_empty: called when the last member has gone, and the broker knows.
    """

    __slots__ = (
        "_changes",
        "_is_subscribed",
        "_on_empty",
        "_services",
        "delivery",
        "keeps_history",
        "name",
        "presence",
        "sequence",
    )

    def __init__(
        self, name: str, services: Services, *, keeps_history: bool, on_empty: "Callable[[RoomState], None]"
    ) -> None:
        self.name = name
        self.keeps_history = keeps_history
        self._services = services
        self._on_empty = on_empty
        self.delivery = Delivery(services.loop, services.starter, services.slice)
        self.presence = Presence()
        self.sequence = Sequence(self._read, self._pass_on, self._announce)
        # Whether the broker knows that there are members; and who waits for it to know, while it is told.
        self._is_subscribed = False
        self._changes: list[asyncio.Future[None]] | None = None

    # -- members

    def add(self, recipient: Recipient, identity: str, info: Any) -> None:
        """Add a member. It gets what comes to be known of from now on; see `subscribed`."""
        self.delivery.add(recipient)
        self.settle()
        self._services.identities.setdefault(identity, {})[recipient] = None
        member, is_first = self.presence.enter(identity, info)
        if is_first and self._is_announced(self._services.encoder.join):
            self.delivery.announce(
                partial(self._encode, self._services.encoder.join, self.name, member), exclude=recipient.origin
            )

    def take_out(self, recipient: Recipient, identity: str) -> Member | None:
        """Remove a member; return what its identity was if that has left the room. See `announce_leave`, `settle`."""
        self.delivery.remove(recipient)
        recipients = self._services.identities[identity]
        if len(recipients) > 1:
            del recipients[recipient]
        else:
            del self._services.identities[identity]
        return self.presence.leave(identity)

    def announce_leave(self, member: Member, origin: str) -> None:
        """Tell those who stay that an identity has left."""
        if self.delivery and self._is_announced(self._services.encoder.leave):
            self.delivery.announce(partial(self._encode_leave, member), exclude=origin)

    @staticmethod
    def _is_announced(encode: Callable[[str, Member], str | bytes | None]) -> bool:
        return getattr(encode, "__func__", None) not in _SILENT

    def _encode_leave(self, member: Member) -> str | bytes | None:
        return self._encode(self._services.encoder.leave, self.name, replace(member, connections=0))

    def _encode(self, encode: Callable[..., str | bytes | None], *arguments: Any) -> str | bytes | None:
        try:
            data = encode(*arguments)
            return None if data is None else encoded(type(self._services.encoder).__name__, data)
        except Exception:
            logger.exception("the encoder of a hub raised")
            return None

    # -- the broker

    def settle(self) -> None:
        """Tell the broker whether there are members, if it does not know."""
        if self._changes is not None:
            return
        if self._is_subscribed != bool(self.delivery):
            self._changes = []
            self._services.starter.start(iter([self._tell_broker()]))
        else:
            self._end_if_empty()

    async def _tell_broker(self) -> None:
        services = self._services
        error: Exception | None = None
        try:
            await services.start()
            while error is None and self._is_subscribed != bool(self.delivery):
                if self._is_subscribed:
                    self._is_subscribed = False
                    await services.broker.unsubscribe(self.name)
                else:
                    await self._subscribe()
        except asyncio.CancelledError:
            error = HubNotRunning("join()", "the hub stops")
            raise
        except Exception as failure:
            logger.exception("the broker could not be told of a room")
            error = failure
        finally:
            waiters, self._changes = self._changes or [], None
            for waiter in waiters:
                resolve(waiter, error)
            self._end_if_empty()

    def _end_if_empty(self) -> None:
        if not self.delivery:
            self.sequence.stop()
            self._on_empty(self)

    async def _subscribe(self) -> None:
        broker = self._services.broker
        await broker.subscribe(self.name)
        self._is_subscribed = True
        if self.keeps_history and self.sequence.last is None:
            page = await broker.read(self.name, None, 1)
            # Events may have come meanwhile.
            self.sequence.last = self.sequence.last or page.top

    async def subscribed(self) -> None:
        """Wait until the broker knows of the members; what is published after that comes to them.

        Raises:
            Exception: what the broker raised.
        """
        if self._is_subscribed and self._changes is None:
            return
        waiter = asyncio.get_running_loop().create_future()
        if self._changes is None:
            self._changes = [waiter]
            self._services.starter.start(iter([self._tell_broker()]))
        else:
            self._changes.append(waiter)
        await waiter

    # -- messages

    def _read(self, since: Position | None, limit: int) -> Any:
        return self._services.broker.read(self.name, since, limit)

    def _pass_on(self, event: RoomEvent) -> Awaitable[None]:
        data = self._encode(self._services.encoder.message, self.name, event)
        if data is None:
            return DONE
        return self.delivery.bring(data, key=event.envelope.key, exclude=event.envelope.origin)

    def gap(self, missed: int | None) -> str | bytes | None:
        """What to tell who has missed so many messages."""
        return self._encode(self._services.encoder.gap, Gap(self.name, missed, self.sequence.last))

    def _announce(self, missed: int | None, top: Position | None) -> None:
        data = self._encode(self._services.encoder.gap, Gap(self.name, missed, top))
        if data is not None:
            self.delivery.bring(data)

    def stop(self) -> None:
        """Bring nothing more."""
        self.delivery.stop()
        self.sequence.stop()
