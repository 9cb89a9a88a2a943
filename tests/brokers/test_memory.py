"""Promises of MemoryBroker and MemoryStore beyond the contract."""

import asyncio
import gc
import logging
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from asgi_ws.brokers import BrokerState, Envelope, History, MemoryBroker, MemoryStore, OnEvent, Position, RoomEvent
from asgi_ws.errors import InvalidLimit, LifecycleError
from asgi_ws.testing import VirtualClock

FOREVER = History(messages=100, seconds=None)


async def nothing(*_: object) -> None: ...


async def started(store: MemoryStore | None = None, on_event: OnEvent = nothing, *rooms: str) -> MemoryBroker:
    """Return a started broker that is subscribed to `rooms`."""
    broker = MemoryBroker(store)
    await broker.start(on_event, nothing)
    for room in rooms:
        await broker.subscribe(room)
    return broker


async def publish(broker: MemoryBroker, room: str, data: str | bytes, history: History = FOREVER) -> Position:
    position = await broker.publish(room, Envelope(data), history)
    assert position is not None
    return position


async def kept(broker: MemoryBroker, room: str) -> list[str | bytes]:
    return [event.envelope.data for event in (await broker.read(room, None, 1000)).events]


async def kept_in(broker: MemoryBroker, *rooms: str) -> list[list[str | bytes]]:
    return [await kept(broker, room) for room in rooms]


def sees(seen: list[str | bytes]) -> OnEvent:
    """Return an on_event that notes the data of each event."""

    async def on_event(room: str, event: RoomEvent) -> None:
        seen.append(event.envelope.data)

    return on_event


def without_waiting(call: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that must not wait for anything."""
    try:
        waits_for = call.send(None)
    except StopIteration as end:
        return end.value
    call.close()
    raise AssertionError(f"it waits for {waits_for!r}")


class Done:
    """An awaitable that completes at once."""

    def __await__(self) -> Any:
        return iter(())


async def test_no_method_waits_unless_on_event_does() -> None:
    broker = MemoryBroker()
    seen: list[str] = []

    def on_event(room: str, event: RoomEvent) -> Awaitable[None]:
        seen.append(room)
        return Done()

    without_waiting(broker.start(on_event, nothing))
    without_waiting(broker.subscribe("a"))
    assert without_waiting(broker.publish("a", Envelope("x"), None)) is None
    position = without_waiting(broker.publish("a", Envelope("x"), FOREVER))
    assert position.offset == 1
    assert without_waiting(broker.read("a", None, 10)).top == position
    without_waiting(broker.unsubscribe("a"))
    without_waiting(broker.stop())
    assert seen == ["a", "a"]


async def test_all_brokers_are_called_before_anything_is_awaited() -> None:
    store, log = MemoryStore(), list[str]()

    def logs(name: str) -> OnEvent:
        def on_event(room: str, event: RoomEvent) -> Awaitable[None]:
            log.append(f"{name} called with {event.envelope.data!s}")
            return hand_over(event)

        async def hand_over(event: RoomEvent) -> None:
            # An event published meanwhile comes second for every broker.
            await asyncio.sleep(0)
            log.append(f"{name} handed over {event.envelope.data!s}")

        return on_event

    one = await started(store, logs("one"), "room")
    other = await started(store, logs("other"), "room")
    await asyncio.gather(publish(one, "room", "a"), publish(other, "room", "b"))
    assert log[:4] == ["one called with a", "other called with a", "one called with b", "other called with b"]
    assert sorted(log[4:]) == sorted(f"{name} handed over {data}" for name in ("one", "other") for data in "ab")


async def test_publish_returns_when_all_have_handed_it_over() -> None:
    store, gate = MemoryStore(), asyncio.Event()

    async def waits(room: str, event: RoomEvent) -> None:
        await gate.wait()

    one = await started(store, nothing, "room")
    await started(store, waits, "room")
    publishing = asyncio.create_task(publish(one, "room", "a"))
    await asyncio.sleep(0)
    assert not publishing.done()
    gate.set()
    assert (await publishing).offset == 1


@pytest.mark.parametrize("at_call", [True, False])
async def test_an_on_event_that_raises_is_logged_and_costs_the_others_nothing(
    caplog: pytest.LogCaptureFixture, at_call: bool
) -> None:
    store, seen = MemoryStore(), list[str | bytes]()

    async def fails(room: str, event: RoomEvent) -> None:
        raise RuntimeError("no")

    def fails_at_call(room: str, event: RoomEvent) -> Awaitable[None]:
        raise RuntimeError("no")

    one = await started(store, fails_at_call if at_call else fails, "a\nroom")
    await started(store, sees(seen), "a\nroom")
    assert (await publish(one, "a\nroom", "x")).offset == 1
    assert seen == ["x"]
    (record,) = caplog.records
    assert record.name == "asgi_ws"
    assert record.getMessage() == "an event of room 'a\\nroom' was not handed over"
    assert record.exc_info is not None


async def test_a_publisher_that_is_cancelled_leaves_the_others_their_event() -> None:
    store, seen, begun = MemoryStore(), list[str | bytes](), asyncio.Event()

    async def hangs(room: str, event: RoomEvent) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def sees(room: str, event: RoomEvent) -> None:
        await asyncio.sleep(0)
        seen.append(event.envelope.data)

    one = await started(store, hangs, "room")
    await started(store, sees, "room")
    publishing = asyncio.create_task(publish(one, "room", "x"))
    await begun.wait()
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    assert seen == ["x"]
    assert await kept(one, "room") == ["x"]


@pytest.mark.parametrize("ends", [MemoryBroker.stop, lambda broker: broker.unsubscribe("room")])
async def test_a_subscription_that_ends_during_an_event_does_not_get_it(
    ends: Callable[[MemoryBroker], Coroutine[Any, Any, None]],
) -> None:
    store, seen = MemoryStore(), list[str | bytes]()

    def on_event(room: str, event: RoomEvent) -> Awaitable[None]:
        without_waiting(ends(other))
        return Done()

    one = await started(store, on_event, "room")
    other = await started(store, sees(seen), "room")
    await publish(one, "room", "x")
    assert seen == []


async def test_a_stopped_broker_says_what_is_wrong() -> None:
    broker = MemoryBroker()
    calls: list[tuple[str, Callable[[], Coroutine[Any, Any, object]]]] = [
        ("subscribe()", lambda: broker.subscribe("room")),
        ("publish()", lambda: broker.publish("room", Envelope("x"), None)),
        ("read()", lambda: broker.read("room", None, 1)),
    ]
    for name, call in calls:
        with pytest.raises(LifecycleError) as refused:
            await call()
        assert str(refused.value) == f"{name} is not allowed in state STOPPED: start the broker first"
    await broker.start(nothing, nothing)
    with pytest.raises(LifecycleError, match="start\\(\\) is not allowed in state CONNECTED: a broker serves one hub"):
        await broker.start(nothing, nothing)
    assert broker.state is BrokerState.CONNECTED


async def test_brokers_without_a_common_store_know_nothing_of_each_other() -> None:
    one, other = await started(), await started()
    await publish(one, "room", "x")
    assert await kept(other, "room") == []


async def test_a_store_outlives_its_brokers() -> None:
    store = MemoryStore()
    one = await started(store)
    position = await publish(one, "room", "x")
    await one.stop()
    page = await (await started(store)).read("room", None, 10)
    assert page.top == position
    assert len(page.events) == 1


# -- age


async def test_messages_expire_one_by_one_and_their_room_keeps_its_place() -> None:
    with VirtualClock() as clock:
        broker = await started()
        history = History(messages=10, seconds=60)
        await publish(broker, "room", "a", history)
        await clock.advance(40)
        last = await publish(broker, "room", "b", history)
        await clock.advance(19)
        assert await kept(broker, "room") == ["a", "b"]
        await clock.advance(1)
        assert await kept(broker, "room") == ["b"]
        await clock.advance(40)
        page = await broker.read("room", last, 10)
        # A member that has seen the last event has missed nothing, however long ago that was.
        assert page.top == last
        assert page.follows(last)
        assert not page.follows(Position(last.epoch, 1))
        assert (await publish(broker, "room", "c", history)) == Position(last.epoch, 3)


async def test_messages_without_an_age_stay() -> None:
    with VirtualClock() as clock:
        broker = await started()
        await publish(broker, "room", "a")
        await clock.advance(10**6)
        assert await kept(broker, "room") == ["a"]


async def test_what_has_expired_makes_room_without_being_read() -> None:
    store = MemoryStore(max_bytes=10)
    with VirtualClock() as clock:
        broker = await started(store)
        await publish(broker, "one", "12345", History(messages=10, seconds=5))
        await publish(broker, "two", "12345", FOREVER)
        await clock.advance(5)
        await publish(broker, "three", "12345", FOREVER)
        assert await kept_in(broker, "one", "two", "three") == [[], ["12345"], ["12345"]]


class Text(str):
    """Text whose end can be seen."""

    __slots__ = ("__weakref__",)


async def test_the_memory_of_what_has_expired_is_freed_as_the_store_is_used() -> None:
    history = History(messages=10, seconds=5)
    with VirtualClock() as clock:
        broker = await started()
        quiet = weakref.WeakSet([first := Text("a"), second := Text("b")])
        await publish(broker, "quiet", first, history)
        await publish(broker, "quiet", second, history)
        busy = weakref.WeakSet([third := Text("c")])
        await publish(broker, "busy", third, history)
        del first, second, third
        await clock.advance(4)
        await publish(broker, "busy", "d", history)
        assert (len(quiet), len(busy)) == (2, 1)
        await clock.advance(1)
        # In its own room, and in an unused one.
        await publish(broker, "busy", "e", history)
        gc.collect()
        assert (len(quiet), len(busy)) == (0, 0)
        assert await kept(broker, "busy") == ["d", "e"]


# -- bounds


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None])
@pytest.mark.parametrize("name", ["max_rooms", "max_bytes"])
def test_a_store_without_room_is_refused(name: str, value: int) -> None:
    with pytest.raises(InvalidLimit) as refused:
        MemoryStore(**{name: value})
    assert str(refused.value) == f"MemoryStore({name}={value!r}): expected a positive whole number"


async def test_the_least_recently_used_room_goes_and_begins_anew_in_another_epoch() -> None:
    broker = await started(MemoryStore(max_rooms=2))
    first = await publish(broker, "one", "a")
    await publish(broker, "two", "b")
    # Reading is a use too.
    assert await kept(broker, "one") == ["a"]
    await publish(broker, "three", "c")
    assert await kept_in(broker, "one", "two", "three") == [["a"], [], ["c"]]
    await publish(broker, "four", "d")
    page = await broker.read("one", first, 10)
    assert page.events == ()
    assert not page.follows(first)
    again = await publish(broker, "one", "e")
    assert again.epoch != first.epoch
    assert again.offset == 1
    page = await broker.read("one", first, 10)
    assert [event.envelope.data for event in page.events] == ["e"]
    assert page.events[0].previous == Position(again.epoch, 0)
    assert not page.follows(first)


async def test_publishing_is_a_use_of_a_room() -> None:
    broker = await started(MemoryStore(max_rooms=2))
    for room in ("one", "two", "one", "three"):
        await publish(broker, room, "x")
    assert await kept_in(broker, "one", "two", "three") == [["x", "x"], [], ["x"]]


async def test_a_room_with_subscribers_keeps_its_place_whatever_happens_in_others() -> None:
    broker = await started(MemoryStore(max_rooms=2))
    rooms = ["one", "two", "three"]
    for room in rooms:
        await broker.subscribe(room)
    tops = [(await broker.read(room, None, 10)).top for room in rooms]
    for number in range(10):
        await publish(broker, f"other {number}", "x")
    for room, top in zip(rooms, tops, strict=True):
        assert top is not None
        await publish(broker, room, "x")
        assert (await broker.read(room, top, 10)).follows(top)
    # Of the others there is one.
    assert [await kept(broker, f"other {number}") for number in range(10)] == [[]] * 9 + [["x"]]
    await broker.unsubscribe("nobody's")
    await broker.unsubscribe("two")
    await broker.unsubscribe("one")
    await broker.unsubscribe("three")
    assert await kept_in(broker, *rooms) == [["x"], [], ["x"]]
    # A subscription in the past does not protect a history.
    await publish(broker, "other", "x")
    assert await kept_in(broker, *rooms) == [[], [], ["x"]]


async def test_a_room_is_sheltered_while_any_broker_is_subscribed() -> None:
    store = MemoryStore(max_rooms=1)
    one = await started(store, nothing, "room")
    other = await started(store, nothing, "room")
    await publish(one, "room", "x")
    await one.stop()
    await publish(other, "another", "x")
    await publish(other, "a third", "x")
    assert await kept_in(other, "room", "another", "a third") == [["x"], [], ["x"]]
    await other.stop()
    assert len(store._rings) == 1


async def test_a_room_that_had_nobody_is_sheltered_once_somebody_comes() -> None:
    broker = await started(MemoryStore(max_rooms=1))
    await publish(broker, "room", "x")
    await broker.subscribe("room")
    await publish(broker, "another", "x")
    assert await kept(broker, "room") == ["x"]


async def test_a_store_that_was_cleared_begins_anew() -> None:
    store = MemoryStore(max_rooms=1)
    broker = await started(store)
    before = await publish(broker, "room", "x")
    store.clear()
    for room in ("another", "room"):
        await publish(broker, room, "y")
    assert await kept(broker, "room") == ["y"]
    assert not (await broker.read("room", before, 10)).follows(before)


async def test_no_room_has_an_epoch_twice() -> None:
    broker = await started(MemoryStore(max_rooms=1))
    epochs = [(await publish(broker, room, "x")).epoch for room in ("one", "two") * 20]
    assert len(set(epochs[::2])) == len(set(epochs[1::2])) == 20
    other = await publish(await started(MemoryStore(max_rooms=1)), "one", "x")
    assert other.epoch not in epochs


async def test_asking_for_rooms_that_have_no_history_costs_no_room_its_own() -> None:
    broker = await started(MemoryStore(max_rooms=1))
    position = await publish(broker, "room", "x")
    for number in range(100):
        assert (await broker.read(f"guessed {number}", None, 10)).events == ()
    assert (await broker.read("room", None, 10)).top == position


async def test_who_asks_before_the_first_event_knows_where_it_will_follow() -> None:
    broker = await started(MemoryStore(max_rooms=1))
    await publish(broker, "a room that has to go for it", "x")
    top = (await broker.read("room", None, 10)).top
    assert top is not None
    await publish(broker, "room", "x")
    assert (await broker.read("room", top, 10)).follows(top)


async def test_the_oldest_messages_of_the_room_that_is_quiet_for_longest_go_first() -> None:
    broker = await started(MemoryStore(max_bytes=10))
    for data in ("111", "22", "33"):
        last = await publish(broker, "quiet", data)
    await publish(broker, "busy", "444")
    # Reading does not make a room less quiet.
    assert await kept(broker, "quiet") == ["111", "22", "33"]
    await publish(broker, "busy", "5")
    assert await kept_in(broker, "quiet", "busy") == [["22", "33"], ["444", "5"]]
    page = await broker.read("quiet", Position(last.epoch, 1), 10)
    assert page.follows(Position(last.epoch, 1))
    assert not page.follows(Position(last.epoch, 0))


async def test_a_room_in_which_somebody_publishes_again_is_not_the_quietest() -> None:
    broker = await started(MemoryStore(max_bytes=10))
    for room, data in (("one", "11111"), ("two", "2222"), ("one", "1"), ("three", "3")):
        await publish(broker, room, data)
    assert await kept_in(broker, "one", "two", "three") == [["11111", "1"], [], ["3"]]


async def test_text_counts_in_utf_8() -> None:
    broker = await started(MemoryStore(max_bytes=6))
    await publish(broker, "room", "€")
    await publish(broker, "room", "€")
    assert await kept(broker, "room") == ["€", "€"]
    await publish(broker, "room", b"1")
    assert await kept(broker, "room") == ["€", b"1"]


async def test_a_message_larger_than_the_store_is_delivered_and_not_kept() -> None:
    seen: list[str | bytes] = []

    broker = await started(MemoryStore(max_bytes=10), sees(seen))
    await broker.subscribe("room")
    await publish(broker, "room", "1")
    position = await publish(broker, "room", "x" * 11)
    page = await broker.read("room", Position(position.epoch, 0), 10)
    assert page.top == position
    assert page.events == ()
    assert not page.follows(Position(position.epoch, 1))
    await publish(broker, "room", "2")
    assert await kept(broker, "room") == ["2"]
    assert seen == ["1", "x" * 11, "2"]


async def test_the_bytes_of_rooms_that_are_gone_do_not_count() -> None:
    store = MemoryStore(max_rooms=2, max_bytes=10)
    broker = await started(store)
    for number in range(50):
        await publish(broker, f"room {number}", "12345", History(messages=1, seconds=None))
        await publish(broker, f"room {number}", "12345", History(messages=1, seconds=None))
    assert await kept(broker, "room 48") == await kept(broker, "room 49") == ["12345"]
    # Nor do they give anything that could be taken in their place.
    await publish(broker, "room 49", "123456", History(messages=2, seconds=None))
    assert (await kept(broker, "room 48"), await kept(broker, "room 49")) == ([], ["123456"])
    await publish(broker, "room 49", "1234", History(messages=2, seconds=None))
    assert await kept(broker, "room 49") == ["123456", "1234"]
    store.clear()
    assert await kept(broker, "room 49") == []
    await publish(broker, "room", "1234567890", FOREVER)
    assert await kept(broker, "room") == ["1234567890"]


async def test_rooms_without_members_and_without_histories_leave_nothing_behind() -> None:
    store = MemoryStore()
    broker = await started(store)
    for number in range(100):
        await broker.subscribe(f"room {number}")
        await broker.publish(f"room {number}", Envelope("x"), None)
        await broker.read(f"room {number}", None, 10)
        if number % 2:
            await broker.unsubscribe(f"room {number}")
    await broker.stop()
    assert not store.subscribers
    assert not store._rings
    assert not store._idle
    assert not store._filled


async def test_a_loop_has_no_timer_and_no_task_of_a_broker(caplog: pytest.LogCaptureFixture) -> None:
    tasks = asyncio.all_tasks()
    with VirtualClock() as clock, caplog.at_level(logging.DEBUG):
        broker = await started()
        await broker.subscribe("room")
        await publish(broker, "room", "x", History(messages=1, seconds=1))
        assert clock.next_timer is None
    assert asyncio.all_tasks() == tasks
    assert caplog.records == []
