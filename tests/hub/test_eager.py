"""How a hub calls `send`: at once, in a task of its own where it waits, and so that a failure is one member's own."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from asgi_ws import ConnectionClosed, Encoder, Hub, Member
from asgi_ws._asgi import Broadcast, Event
from asgi_ws.brokers import Envelope, MemoryBroker, RoomEvent
from asgi_ws.testing import VirtualClock

from ..outcomes import until
from .peers import Narrator, Peer, join_all

ROOM = "room"
variable: ContextVar[str] = ContextVar("variable", default="untouched")


def tasks() -> int:
    return len(asyncio.all_tasks())


async def test_a_message_costs_a_task_for_each_server_that_waits_and_one_at_most_for_all_others() -> None:
    hub, peers = Hub(), [Peer() for _ in range(10)]
    seen: list[int] = []

    async def count(event: Event) -> None:
        seen.append(tasks())

    join_all(hub, *peers)
    hub.join(count, ROOM)
    await asyncio.sleep(0)
    before = tasks()
    await hub.publish(ROOM, "1")
    # One is ready for what waits, and ends in the next iteration.
    assert max(seen) <= before + 1
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert tasks() == before
    for peer in peers[:3]:
        peer.stall()
    for number in range(2, 20):
        await hub.publish(ROOM, str(number))
    await asyncio.sleep(0)
    assert (tasks(), hub.statistics().slow_members) == (before + 3, 3)
    for peer in peers:
        peer.resume()
    await until(lambda: all(len(peer.taken) == 19 for peer in peers))
    await until(lambda: tasks() == before)


async def test_the_task_that_was_not_needed_may_be_cancelled_like_any_other() -> None:
    hub, peer = Hub(), Peer()
    before = asyncio.all_tasks()
    hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "hello")
    for spare in asyncio.all_tasks() - before:
        with pytest.raises(TypeError, match="run by its task"):
            await spare.get_coro()  # type: ignore[misc] # that is the mistake
        spare.cancel()
        with pytest.raises(asyncio.CancelledError):
            await spare
    await hub.publish(ROOM, "again")
    assert peer.taken == ["hello", "again"]


@pytest.mark.parametrize("waits", [False, True])
async def test_what_a_send_sets_in_its_context_is_its_own_affair(waits: bool) -> None:
    seen: list[str] = []
    gate = asyncio.Event()

    async def send(event: Event) -> None:
        token = variable.set("of send")
        if waits:
            await gate.wait()
        seen.append(variable.get())
        # In another context than that of `set` this would raise.
        variable.reset(token)
        seen.append(variable.get())

    hub = Hub()
    hub.join(send, ROOM)
    variable.set("of the publisher")
    await hub.publish(ROOM, "hello")
    assert variable.get() == "of the publisher"
    variable.set("changed since")
    gate.set()
    await until(lambda: len(seen) == 2)
    assert seen == ["of send", "of the publisher"]
    assert hub.statistics().delivered == 1


@pytest.mark.parametrize("seconds", [0, -1, 1])
async def test_a_timeout_in_a_send_ends_that_send_and_never_the_publisher(seconds: float) -> None:
    ended: list[Any] = []

    async def send(event: Event) -> None:
        task = asyncio.current_task()
        try:
            async with asyncio.timeout(seconds):
                await asyncio.Event().wait()
        except TimeoutError as error:
            ended.append(error)
            raise
        finally:
            assert asyncio.current_task() is task

    with VirtualClock() as clock:
        hub, other = Hub(), Peer()
        hub.join(send, ROOM)
        hub.join(other.send, ROOM)

        async def publish() -> None:
            await hub.publish(ROOM, "hello")
            await asyncio.sleep(10)
            await hub.publish(ROOM, "again")

        publishing = asyncio.create_task(publish())
        await clock.advance(20)
        await publishing
        assert publishing.cancelling() == 0
        assert [type(error) for error in ended] == [TimeoutError]
        assert other.taken == ["hello", "again"]
        assert (hub.statistics().connections, hub.statistics().slow_members) == (1, 0)


async def test_a_timeout_of_the_publisher_is_not_that_of_a_send() -> None:
    with VirtualClock() as clock:
        hub, peer = Hub(), Peer()
        hub.join(peer.send, ROOM)
        peer.stall()

        async def publish() -> None:
            async with asyncio.timeout(1):
                await hub.publish(ROOM, "hello")
                await asyncio.Event().wait()

        publishing = asyncio.create_task(publish())
        await clock.advance(2)
        assert isinstance(publishing.exception(), TimeoutError)
        peer.resume()
        await clock.settle()
        assert peer.taken == ["hello"]


async def test_a_send_may_wait_for_the_next_iteration_and_for_what_fails() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    seen: list[str] = []

    async def send(event: Event) -> None:
        await asyncio.sleep(0)
        with pytest.raises(LookupError):
            await future
        seen.append(event["text"])

    hub = Hub()
    hub.join(send, ROOM)
    await hub.publish(ROOM, "1")
    future.set_exception(LookupError())
    await hub.publish(ROOM, "2")
    await until(lambda: seen == ["1", "2"])
    assert hub.statistics().delivered == 2


async def test_a_send_may_publish_in_the_room_that_it_serves_and_the_order_is_one_for_all() -> None:
    hub, first, last = Hub(), Peer(), Peer()
    seen: list[str] = []

    async def echo(event: Event) -> None:
        if int(event["text"]) < 3:
            await hub.publish(ROOM, str(int(event["text"]) + 1))
        seen.append(event["text"])

    hub.join(first.send, ROOM)
    hub.join(echo, ROOM)
    hub.join(last.send, ROOM)
    await hub.publish(ROOM, "0")
    await until(lambda: len(seen) == 4)
    assert first.taken == last.taken == seen == ["0", "1", "2", "3"]


async def test_a_send_may_publish_elsewhere_join_leave_and_disconnect_in_its_first_step() -> None:
    hub, peer, other = Hub(), Peer(), Peer()
    closes: list[int] = []

    async def busy(event: Event) -> None:
        hub.join(other.send, ROOM)
        await hub.publish("another", "from within")
        membership.leave()

    async def quits(event: Event) -> None:
        if event["type"] == "websocket.send":
            assert hub.disconnect(identity="me") == 1
        else:
            closes.append(event["code"])

    membership = hub.join(busy, ROOM)
    hub.join(quits, ROOM, identity="me")
    hub.join(peer.send, "another")
    await hub.publish(ROOM, "1")
    await hub.publish(ROOM, "2")
    await until(lambda: closes)
    assert (peer.taken, other.taken, membership.active, closes) == (["from within"], ["2"], False, [1008])


async def test_a_message_is_published_outside_of_any_task_too() -> None:
    """Join in a callback of the loop, which publishes a notice to the others."""
    hub, peer, done = Hub(encoder=Narrator()), Peer(), asyncio.Event()
    hub.join(peer.send, ROOM)

    def call() -> None:
        hub.join(Peer().send, ROOM, info="ann")
        done.set()

    asyncio.get_running_loop().call_soon(call)
    await done.wait()
    assert peer.taken == ["join room ann"]


@pytest.mark.parametrize("iterations", range(3))
def test_what_is_stuck_when_the_loop_ends_ends_with_it(iterations: int) -> None:
    ended: list[str] = []

    async def send(event: Event) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(event["text"])

    async def main() -> None:
        hub = Hub()
        hub.join(send, ROOM)
        await hub.publish(ROOM, "begun")
        await hub.publish(ROOM, "never begun")
        for _ in range(iterations):
            await asyncio.sleep(0)

    asyncio.run(main())
    assert ended == ["begun"]


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
    # Remaining tasks are not cancelled, as `asyncio.run` would do: the loop reports that at the end of its task.
    loop.set_exception_handler(lambda _, context: None)
    loop.run_until_complete(main())
    loop.close()
    del loop
    gc.collect()
    assert (closed, caplog.records) == (["hello"], [])


# -- failures


class Custom(BaseException):
    """An unexpected error."""


def nested(*errors: BaseException) -> BaseException:
    return BaseExceptionGroup("outer", [ValueError(), BaseExceptionGroup("inner", errors)])


FAILURES = [GeneratorExit(), Custom(), asyncio.CancelledError(), nested(GeneratorExit(), asyncio.CancelledError())]


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


@pytest.mark.usefixtures("no_slice")
@pytest.mark.parametrize("how", SENDS)
@pytest.mark.parametrize("error", [*FAILURES, MemoryError()], ids=repr)
async def test_a_send_that_raises_whatever_ends_its_membership_alone(how: str, error: BaseException) -> None:
    hub, peers = Hub(), [Peer() for _ in range(100)]
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    hub.join(peers[0].send, ROOM)
    send = SENDS[how](error)
    memberships = [hub.join(send, ROOM), hub.join(send, "another")]
    join_all(hub, *peers[1:])
    await hub.publish(ROOM, "1")
    await until(lambda: not any(membership.active for membership in memberships))
    await hub.publish(ROOM, "2")
    assert {tuple(peer.taken) for peer in peers} == {("1", "2")}
    assert (hub.statistics().members, hub.statistics().delivered) == (100, 200)
    gc.collect()
    assert complaints == []


@pytest.mark.parametrize("how", SENDS)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), nested(SystemExit(3))], ids=repr)
def test_a_send_that_raises_what_ends_the_program_ends_it(how: str, error: BaseException) -> None:
    async def main() -> None:
        hub = Hub()
        hub.join(SENDS[how](error), ROOM)
        await hub.publish(ROOM, "hello")
        await asyncio.Event().wait()

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        asyncio.run(main())


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
    join_all(hub, *peers)
    for text in ("1", "2"):
        await hub.publish(ROOM, text)
    assert [peer.taken for peer in peers] == [["2"]] * 2


async def test_an_encoder_that_raises_what_ends_the_program_ends_it_and_the_room_goes_on() -> None:
    class Ending(Encoder):
        def message(self, room: str, event: RoomEvent) -> str | bytes:
            return event.envelope.data

        def join(self, room: str, member: Member) -> str:
            raise SystemExit(3)

    hub, peer = Hub(encoder=Ending()), Peer()
    with pytest.raises(SystemExit):
        hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "hello")
    assert peer.taken == ["hello"]


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


def cancel_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@pytest.mark.parametrize("then", ["ends", "takes it back", "waits", "raises"])
async def test_a_send_that_cancels_the_task_it_runs_in_cancels_neither_others_nor_the_publisher(then: str) -> None:
    class Cancelling(Peer):
        async def send(self, event: Event) -> None:
            cancel_itself()
            if then == "takes it back":
                asyncio.current_task().uncancel()  # type: ignore[union-attr] # there is one
            elif then == "waits":
                await asyncio.Event().wait()
            elif then == "raises":
                raise asyncio.CancelledError

    hub, before, after = Hub(), Peer(), Peer()
    hub.join(before.send, ROOM)
    membership = hub.join(Cancelling().send, ROOM)
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
