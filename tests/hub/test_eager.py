"""How a hub calls `send`: at once, without a task where it need not wait, and in a task of its own where it does."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from asgi_ws import Hub, OutboxLimits
from asgi_ws._asgi import Event
from asgi_ws.testing import VirtualClock

from ..outcomes import until
from .peers import Narrator, Peer

ROOM = "room"
variable: ContextVar[str] = ContextVar("variable", default="untouched")


def tasks() -> int:
    return len(asyncio.all_tasks())


async def test_a_message_that_every_server_takes_at_once_costs_one_task_at_most() -> None:
    hub, peers = Hub(), [Peer() for _ in range(50)]
    seen: list[int] = []

    async def count(event: Event) -> None:
        seen.append(tasks())

    for peer in peers:
        hub.join(peer.send, ROOM)
    hub.join(count, ROOM)
    await asyncio.sleep(0)
    before = tasks()
    await hub.publish(ROOM, "1")
    await hub.publish(ROOM, "2")
    assert [peer.taken for peer in peers] == [["1", "2"]] * 50
    # One stands ready, and ends in the next turn.
    assert max(seen) <= before + 1
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert tasks() == before


async def test_the_task_that_was_not_needed_may_be_cancelled_like_any_other() -> None:
    hub, peer = Hub(), Peer()
    before = asyncio.all_tasks()
    hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "hello")
    (spare,) = asyncio.all_tasks() - before
    with pytest.raises(TypeError, match="run by its task"):
        await spare.get_coro()  # type: ignore[misc] # that is the mistake
    spare.cancel()
    with pytest.raises(asyncio.CancelledError):
        await spare
    await hub.publish(ROOM, "again")
    assert peer.taken == ["hello", "again"]


async def test_a_message_costs_one_task_for_each_server_that_makes_it_wait_and_no_more_with_further_ones() -> None:
    hub, peers = Hub(), [Peer() for _ in range(10)]
    for peer in peers:
        hub.join(peer.send, ROOM)
    for peer in peers[:3]:
        peer.stall()
    await asyncio.sleep(0)
    before = tasks()
    for number in range(20):
        await hub.publish(ROOM, str(number))
    await asyncio.sleep(0)
    assert (tasks(), hub.statistics().slow_members) == (before + 3, 3)
    for peer in peers:
        peer.resume()
    await until(lambda: all(len(peer.taken) == 20 for peer in peers))
    await until(lambda: tasks() == before)


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


def timed(seconds: float, wait: Callable[[], Any], ended: list[Any]) -> Any:
    """A `send` with a timeout in it."""

    async def send(event: Event) -> None:
        task = asyncio.current_task()
        try:
            async with asyncio.timeout(seconds):
                await wait()
            ended.append(None)
        except TimeoutError as error:
            ended.append(error)
            raise
        finally:
            assert asyncio.current_task() is task

    return send


@pytest.mark.parametrize("seconds", [0, -1, 0.001, 1])
async def test_a_timeout_in_a_send_ends_that_send_and_never_the_publisher(seconds: float) -> None:
    with VirtualClock() as clock:
        hub, other = Hub(), Peer()
        ended: list[Any] = []
        hub.join(timed(seconds, asyncio.Event().wait, ended), ROOM)
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


async def test_a_timeout_that_is_over_before_the_task_has_run_is_no_harm() -> None:
    """All of it in one turn of the loop: the first step, the end of what it waits for, and the timeout."""
    hub, peer = Hub(), Peer()
    ended: list[Any] = []
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait() -> None:
        await future

    hub.join(timed(0, wait, ended), ROOM)
    hub.join(peer.send, ROOM)
    publishing = hub.publish(ROOM, "hello")
    await publishing
    future.set_result(None)
    await until(lambda: ended)
    assert peer.taken == ["hello"]
    await until(lambda: hub.statistics().slow_members == 0)


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


async def test_a_send_that_only_lets_others_have_a_turn_goes_on_after_it() -> None:
    seen: list[str] = []

    async def send(event: Event) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        seen.append(event["text"])

    hub = Hub()
    hub.join(send, ROOM)
    await hub.publish(ROOM, "1")
    await hub.publish(ROOM, "2")
    await until(lambda: seen == ["1", "2"])


async def test_a_send_may_wait_for_what_fails() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def send(event: Event) -> None:
        with pytest.raises(LookupError):
            await future
        seen.append(event["text"])

    seen: list[str] = []
    hub = Hub()
    hub.join(send, ROOM)
    await hub.publish(ROOM, "1")
    future.set_exception(LookupError())
    await until(lambda: seen)
    assert hub.statistics().delivered == 1


@pytest.mark.parametrize("when", ["first step", "later"])
async def test_a_send_that_is_cancelled_by_itself_ends_its_membership_alone(when: str) -> None:
    async def send(event: Event) -> None:
        if when == "later":
            await asyncio.sleep(0)
        raise asyncio.CancelledError

    hub, peer = Hub(), Peer()
    hub.join(send, ROOM)
    hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "hello")
    assert peer.taken == ["hello"]
    await until(lambda: hub.statistics().members == 1)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_goes_through(error: type[BaseException]) -> None:
    async def send(event: Event) -> None:
        raise error

    async def main() -> None:
        hub = Hub()
        hub.join(send, ROOM)
        await hub.publish(ROOM, "hello")

    with pytest.raises(error):
        asyncio.run(main())


@pytest.mark.parametrize(
    "error", [OSError(), RuntimeError(), ValueError(), ExceptionGroup("", [OSError(), LookupError()])]
)
async def test_a_send_that_fails_ends_the_membership_and_a_mistake_is_logged(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def send(event: Event) -> None:
        raise error

    hub, peer = Hub(), Peer()
    membership = hub.join(send, ROOM)
    other = hub.join(send, "another")
    hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "hello")
    assert (membership.active, other.active, peer.taken) == (False, False, ["hello"])
    levels = {OSError: [], RuntimeError: ["WARNING"]}
    assert [record.levelname for record in caplog.records] == levels.get(type(error), ["ERROR"])
    assert (hub.statistics().connections, hub.statistics().delivered) == (1, 1)


async def test_a_send_may_publish_in_the_room_that_it_serves_and_the_order_is_one_for_all() -> None:
    hub, first, last = Hub(), Peer(), Peer()

    async def echo(event: Event) -> None:
        if event["text"].isdigit() and int(event["text"]) < 3:
            await hub.publish(ROOM, str(int(event["text"]) + 1))
        seen.append(event["text"])

    seen: list[str] = []
    hub.join(first.send, ROOM)
    hub.join(echo, ROOM)
    hub.join(last.send, ROOM)
    await hub.publish(ROOM, "0")
    await until(lambda: len(seen) == 4)
    assert first.taken == last.taken == seen == ["0", "1", "2", "3"]


async def test_a_send_may_publish_elsewhere_join_and_leave_in_its_first_step() -> None:
    hub, peer, other = Hub(), Peer(), Peer()

    async def busy(event: Event) -> None:
        hub.join(other.send, ROOM)
        await hub.publish("another", "from within")
        membership.leave()

    membership = hub.join(busy, ROOM)
    hub.join(peer.send, "another")
    await hub.publish(ROOM, "1")
    await hub.publish(ROOM, "2")
    assert (peer.taken, other.taken, membership.active) == (["from within"], ["2"], False)


async def test_a_send_may_give_up_its_own_connection_in_its_first_step() -> None:
    hub, peer = Hub(outbox=OutboxLimits(max_messages=1)), Peer()

    async def quits(event: Event) -> None:
        if event["type"] == "websocket.send":
            assert hub.disconnect(identity="me") == 1
        else:
            closes.append(event["code"])

    closes: list[int] = []
    hub.join(quits, ROOM, identity="me")
    hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "hello")
    await until(lambda: closes)
    assert (closes, peer.taken, hub.statistics().connections) == ([1008], ["hello"], 1)


async def test_a_message_is_published_outside_of_any_task_too() -> None:
    """A membership that begins in a callback of the loop says so to the others."""
    hub, peer, done = Hub(encoder=Narrator()), Peer(), asyncio.Event()
    hub.join(peer.send, ROOM)

    def call() -> None:
        hub.join(Peer().send, ROOM, info="ann")
        done.set()

    asyncio.get_running_loop().call_soon(call)
    await done.wait()
    assert peer.taken == ["join room ann"]


def test_what_is_stuck_when_the_loop_ends_ends_with_it() -> None:
    ended: list[str] = []

    async def send(event: Event) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(event["text"])

    async def main(turns: int) -> None:
        hub = Hub()
        hub.join(send, ROOM)
        await hub.publish(ROOM, f"after {turns}")
        await hub.publish(ROOM, "never begun")
        for _ in range(turns):
            await asyncio.sleep(0)

    for turns in range(3):
        asyncio.run(main(turns))
    assert ended == ["after 0", "after 1", "after 2"]
