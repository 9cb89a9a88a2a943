"""One member's failure is its own: neither another member nor a publisher notices."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable

import pytest

from asgi_ws import ConnectionClosed, Encoder, Hub, Member, MemoryBroker
from asgi_ws._asgi import Broadcast, Event
from asgi_ws.brokers.base import Envelope, RoomEvent

from ..outcomes import until
from .peers import Peer

ROOM = "room"


class Custom(BaseException):
    """Something that nobody expects."""


def nested(*errors: BaseException) -> BaseException:
    return BaseExceptionGroup("outer", [ValueError(), BaseExceptionGroup("inner", errors)])


FAILURES = [
    GeneratorExit(),
    Custom(),
    asyncio.CancelledError(),
    BaseExceptionGroup("", [asyncio.CancelledError()]),
    nested(GeneratorExit(), Custom()),
]


class Failing(Peer):
    """A peer whose server fails with `error`: at once, after a wait, or in `push_broadcast`."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.failure = error

    async def at_once(self, event: Event) -> None:
        raise self.failure

    async def later(self, event: Event) -> None:
        await asyncio.sleep(0)
        raise self.failure


class Pushing(Failing):
    def push_broadcast(self, broadcast: Broadcast) -> bool:
        raise self.failure


SENDS: dict[str, Callable[[BaseException], Callable[[Event], Awaitable[None]]]] = {
    "at once": lambda error: Failing(error).at_once,
    "later": lambda error: Failing(error).later,
    "in a push": lambda error: Pushing(error).send,
}


@pytest.mark.parametrize("how", SENDS)
@pytest.mark.parametrize("error", FAILURES, ids=repr)
async def test_a_send_that_raises_whatever_ends_its_membership_alone(how: str, error: BaseException) -> None:
    hub, peers = Hub(), [Peer() for _ in range(3)]
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    hub.join(peers[0].send, ROOM)
    membership = hub.join(SENDS[how](error), ROOM)
    for peer in peers[1:]:
        hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "1")
    await until(lambda: not membership.active)
    await hub.publish(ROOM, "2")
    assert [peer.taken for peer in peers] == [["1", "2"]] * 3
    assert hub.statistics().members == 3
    gc.collect()
    assert complaints == []


@pytest.mark.parametrize("error", FAILURES, ids=repr)
async def test_an_encoder_that_raises_whatever_keeps_nobody_from_joining_and_publishing(error: BaseException) -> None:
    class Raising(Encoder):
        def join(self, room: str, member: Member) -> str:
            raise error

        def message(self, room: str, event: RoomEvent) -> str | bytes:
            if event.envelope.data == "1":
                raise error
            return event.envelope.data

    hub, peers = Hub(encoder=Raising()), [Peer(), Peer()]
    for peer in peers:
        hub.join(peer.send, ROOM)
    for text in ("1", "2"):
        await hub.publish(ROOM, text)
    assert [peer.taken for peer in peers] == [["2"]] * 2
    assert hub.statistics().members == 2


async def test_an_encoder_that_raises_what_ends_the_program_ends_it() -> None:
    class Ending(Encoder):
        def message(self, room: str, event: RoomEvent) -> str:
            raise SystemExit(3)

    hub = Hub(encoder=Ending())
    hub.join(Peer().send, ROOM)
    with pytest.raises(SystemExit):
        await hub.publish(ROOM, "hello")


async def test_a_member_whose_send_fails_while_it_joins_leaves_the_room_as_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Retaining(MemoryBroker):
        async def subscribe(self, room: str) -> None:
            await super().subscribe(room)
            await self.publish(room, Envelope("retained"), None)

    hub, peer = Hub(Retaining()), Peer()
    membership = hub.join(Failing(ConnectionClosed(1001, "")).at_once, ROOM, identity="name")
    assert not membership.active
    assert hub.members(ROOM) == []
    hub.join(peer.send, ROOM, identity="name")
    await until(lambda: peer.taken == ["retained"])
    assert [member.connections for member in hub.members(ROOM)] == [1]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_send_that_raises_a_group_of_leavings_is_not_an_error(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub()
    for number, error in enumerate([asyncio.CancelledError(), ConnectionClosed(1001, ""), OSError()]):
        hub.join(Failing(nested_leaving(error)).at_once, ROOM, identity=str(number))
    await hub.publish(ROOM, "hello")
    assert hub.statistics().members == 0
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def nested_leaving(error: BaseException) -> BaseException:
    return BaseExceptionGroup("outer", [asyncio.CancelledError(), BaseExceptionGroup("inner", [error])])


@pytest.mark.parametrize("how", SENDS)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), nested(KeyboardInterrupt())], ids=repr)
def test_what_ends_the_program_ends_it_also_in_a_group(how: str, error: BaseException) -> None:
    async def main() -> None:
        hub = Hub()
        hub.join(SENDS[how](error), ROOM)
        await hub.publish(ROOM, "hello")
        await asyncio.Event().wait()

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        asyncio.run(main())


def cancel_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


def cancel_itself_and_take_it_back() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    task.uncancel()


@pytest.mark.parametrize("then", ["ends", "waits", "raises"])
@pytest.mark.parametrize("cancel", [cancel_itself, cancel_itself_and_take_it_back])
async def test_a_send_that_cancels_the_task_it_runs_in_cancels_neither_others_nor_the_publisher(
    cancel: Callable[[], None], then: str
) -> None:
    async def send(event: Event) -> None:
        cancel()
        if then == "waits":
            await asyncio.Event().wait()
        elif then == "raises":
            raise asyncio.CancelledError

    hub, before, after = Hub(), Peer(), Peer()
    hub.join(before.send, ROOM)
    membership = hub.join(send, ROOM)
    hub.join(after.send, ROOM)
    before.stall()
    after.stall()
    for text in ("1", "2"):
        await hub.publish(ROOM, text)
    await asyncio.sleep(0)
    for peer in (before, after):
        peer.resume()
    await until(lambda: len(before.taken) == len(after.taken) == 2)
    assert hub.statistics().members == 3 - (not membership.active)
    publisher = asyncio.current_task()
    assert publisher is not None
    assert publisher.cancelling() == 0


async def test_a_push_that_cancels_the_task_it_runs_in_cancels_nobody() -> None:
    class Cancelling(Peer):
        def push_broadcast(self, broadcast: Broadcast) -> bool:
            cancel_itself()
            self.taken.append(broadcast.event["text"])
            return True

    hub, pushing, slow = Hub(), Cancelling(), Peer()
    hub.join(pushing.send, ROOM)
    hub.join(slow.send, ROOM)
    slow.stall()
    await hub.publish(ROOM, "hello")
    await asyncio.sleep(0)
    slow.resume()
    await until(lambda: slow.taken)
    assert (pushing.taken, hub.statistics().members) == (["hello"], 2)


async def test_a_close_frame_that_fails_with_whatever_is_nobodys_error() -> None:
    hub = Hub()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    for error in FAILURES:
        hub.join(Failing(error).at_once, ROOM)
    before = asyncio.all_tasks()
    assert hub.disconnect(room=ROOM) == len(FAILURES)
    await until(lambda: asyncio.all_tasks() <= before)
    gc.collect()
    assert complaints == []


def test_a_send_that_is_closed_after_its_loop_has_not_failed(caplog: pytest.LogCaptureFixture) -> None:
    closed: list[str] = []

    async def stuck(event: Event) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closed.append(event["text"])

    async def main() -> None:
        hub = Hub()
        hub.join(stuck, ROOM)
        await hub.publish(ROOM, "hello")

    loop = asyncio.new_event_loop()
    # Nobody cancels what is left, as `asyncio.run` would: the loop tells of that at the end of its task.
    loop.set_exception_handler(lambda _, context: None)
    loop.run_until_complete(main())
    loop.close()
    del loop
    gc.collect()
    assert (closed, caplog.records) == (["hello"], [])
