"""A broker that fails for a while: what is tried again, what members learn of it, and what the log says."""

import asyncio
from collections.abc import Callable

import pytest

from asgi_ws import ConnectionClosed, Encoder, Gap, History, Hub, Membership
from asgi_ws.testing import VirtualClock

from ..outcomes import outcome, until
from .peers import Peer
from .test_lifetime import Scripted

ROOM = "room"

pytestmark = pytest.mark.usefixtures("each_task_start")


class Gaps(Encoder):
    def gap(self, gap: Gap) -> str:
        return f"gap {gap.missed} {gap.top.offset if gap.top else None}"


def hub_of(broker: Scripted, *, keeps: bool = True) -> Hub:
    return Hub(broker, history=History(messages=3) if keeps else None, encoder=Gaps())


def changes(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.levelname} {record.message}" for record in caplog.records]


FAILED = "ERROR broker failed to subscribe to room 'room'; retrying, and its members miss messages until it succeeds"
RECOVERED = "WARNING broker does not fail any more to subscribe to rooms"


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("failing", ["start", "subscribe", "read"])
async def test_a_failed_subscription_is_tried_again_and_said_once(
    failing: str, keeps: bool, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Scripted()
    broker.failing.add(failing)
    with VirtualClock() as clock:
        hub, peer = hub_of(broker, keeps=keeps), Peer()
        hub.join(peer.send, ROOM)
        await clock.advance(60)
        is_told = failing != "read" or keeps
        assert (hub.statistics().rooms, hub.statistics().pending_rooms) == (1, int(is_told))
        # Twelve in a minute at least, and it does not get quicker.
        assert (12 <= broker.calls.count(failing) <= 32) is is_told
        broker.failing.clear()
        await clock.advance(5)
        assert hub.statistics().pending_rooms == 0
        await hub.publish(ROOM, "hello")
        assert peer.taken[-1] == "hello"
    assert changes(caplog) == [FAILED, RECOVERED] * is_told


@pytest.mark.parametrize(("keeps", "notice"), [(False, "gap None None"), (True, "gap None 2")])
async def test_members_are_told_that_they_missed_messages_while_a_broker_failed(keeps: bool, notice: str) -> None:
    broker = Scripted()
    broker.failing.add("subscribe")
    with VirtualClock() as clock:
        hub, peer = hub_of(broker, keeps=keeps), Peer()
        hub.join(peer.send, ROOM)
        for text in ("1", "2"):
            await hub.publish(ROOM, text)
        broker.failing.clear()
        await clock.advance(5)
        await hub.publish(ROOM, "3")
    assert peer.taken == [notice, "3"]


async def test_what_is_published_after_the_position_is_known_is_replayed_and_not_missed() -> None:
    broker = Scripted()
    broker.failing.add("subscribe")
    with VirtualClock() as clock:
        hub, peer = hub_of(broker), Peer()
        hub.join(peer.send, ROOM)
        await hub.publish(ROOM, "1")
        await clock.advance(1)
        assert peer.taken == ["gap None 1"]
        second = hub.join(Peer().send, ROOM)
        assert second.position is not None
        assert second.position.offset == 1
        for text in ("2", "3"):
            await hub.publish(ROOM, text)
        broker.failing.clear()
        await clock.advance(5)
        assert peer.taken == ["gap None 1", "2", "3"]


async def test_a_position_that_cannot_be_read_at_first_is_read_later_and_nothing_is_missed() -> None:
    broker = Scripted()
    broker.failing.add("read")
    with VirtualClock() as clock:
        hub, peer = hub_of(broker), Peer()
        hub.join(peer.send, ROOM)
        await hub.publish(ROOM, "1")
        broker.failing.clear()
        await clock.advance(5)
        await hub.publish(ROOM, "2")
        async with hub.join(Peer().send, ROOM) as other:
            assert other.position is not None
            assert other.position.offset == 2
    assert peer.taken == ["1", "2"]


async def test_a_block_waits_for_a_broker_that_fails_for_a_moment() -> None:
    broker = Scripted()
    broker.failing.add("subscribe")
    with VirtualClock() as clock:
        hub, peer = hub_of(broker), Peer()
        membership = hub.join(peer.send, ROOM)
        entering = asyncio.create_task(membership.__aenter__())
        await clock.advance(1)
        assert not entering.done()
        broker.failing.clear()
        await clock.advance(3)
        assert entering.done()
        assert membership.position is not None
        await membership.__aexit__(None, None, None)


async def test_a_block_raises_the_error_of_a_broker_that_fails_on_and_the_others_stay() -> None:
    broker = Scripted()
    broker.failing.add("subscribe")
    with VirtualClock() as clock:
        hub = hub_of(broker)
        hub.join(Peer().send, ROOM)
        await clock.advance(60)
        # The time between two tries has become long: it waits no longer for that.
        entering = [asyncio.create_task(hub.join(Peer().send, ROOM).__aenter__()) for _ in range(3)]
        await clock.settle()
        entering[2].cancel()
        await clock.advance(5)
        assert [type(await outcome(each)) for each in entering[:2]] == [OSError, OSError]
        assert (hub.statistics().members, hub.statistics().pending_rooms) == (1, 1)


@pytest.mark.parametrize("ended", [lambda membership: membership.leave(), None])
async def test_a_membership_that_ends_while_its_block_waits_for_a_failing_broker_says_so(
    ended: Callable[[Membership], None] | None,
) -> None:
    broker = Scripted()
    broker.failing.add("subscribe")
    with VirtualClock() as clock:
        hub, peer = hub_of(broker), Peer()
        membership = hub.join(await peer.accepted(), ROOM)
        entering = asyncio.create_task(membership.__aenter__())
        await clock.settle()
        if ended is None:
            peer.leave()
        else:
            ended(membership)
        await clock.settle()
        assert type(await outcome(entering)).__name__ == ("LifecycleError" if ended else "ConnectionClosed")
        # Nobody asks any more.
        broker.calls.clear()
        await clock.advance(60)
        assert broker.calls == []
        assert hub._running is not None
        assert hub._running.rooms == {}


async def test_a_failed_unsubscription_is_tried_again_some_times_and_then_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = Scripted()
    with VirtualClock() as clock:
        hub = hub_of(broker)
        for is_over in (False, True):
            hub.join(Peer().send, ROOM).leave()
            broker.failing.add("unsubscribe")
            broker.calls.clear()
            hub.join(Peer().send, ROOM).leave()
            assert hub._running is not None
            assert list(hub._running.rooms) == [ROOM]
            if is_over:
                await clock.advance(60)
                assert broker.calls.count("unsubscribe") == 8
            else:
                broker.failing.clear()
                await clock.advance(5)
                assert (broker.calls.count("unsubscribe"), broker._rooms) == (2, set())
            assert hub._running.rooms == {}
    told = "ERROR broker failed to unsubscribe from room 'room'; retrying some times"
    assert changes(caplog) == [told, RECOVERED.replace("subscribe to", "unsubscribe from"), told]


async def test_a_room_that_is_wanted_again_while_it_cannot_be_unsubscribed_is_a_new_one() -> None:
    broker = Scripted()
    with VirtualClock() as clock:
        hub, peers = hub_of(broker), [Peer(), Peer()]
        first = hub.join(peers[0].send, ROOM)
        await hub.publish(ROOM, "1")
        broker.failing.add("unsubscribe")
        first.leave()
        await hub.publish(ROOM, "nobody is there")
        second = hub.join(peers[1].send, ROOM)
        await hub.publish(ROOM, "2")
        await clock.advance(60)
        await hub.publish(ROOM, "3")
        assert second.position is not None
        assert second.position.offset == 2
    assert [peer.taken for peer in peers] == [["1"], ["2", "3"]]


async def test_a_broker_that_is_back_is_asked_at_once_for_the_rooms_that_it_did_not_take() -> None:
    broker = Scripted()
    broker.failing.add("subscribe")
    with VirtualClock() as clock:
        hub, peer = hub_of(broker), Peer()
        hub.join(peer.send, ROOM)
        await clock.advance(60)
        broker.failing.clear()
        assert hub._running is not None
        await hub._running._on_interrupted()
        await hub.publish(ROOM, "hello")
        assert peer.taken[-1] == "hello"
        # And for what others may have missed.
        await hub._running._on_interrupted()
        await clock.settle()
        assert hub.statistics().pending_rooms == 0


async def test_one_room_that_a_broker_never_takes_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    class Choosy(Scripted):
        async def subscribe(self, room: str) -> None:
            if room == "bad" and "subscribe" not in self.failing:
                raise OSError("not that one")
            await super().subscribe(room)

    broker = Choosy()
    with VirtualClock() as clock:
        hub = hub_of(broker)
        bad = hub.join(Peer().send, "bad")
        for number in range(10):
            hub.join(Peer().send, str(number))
            await clock.advance(10)
        assert changes(caplog) == [FAILED.replace("'room'", "'bad'")]
        bad.leave()
        hub.join(Peer().send, ROOM)
        assert changes(caplog)[1:] == [RECOVERED]


class Custom(BaseException):
    """What is not an Exception, as a library of its own tasks may have."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (asyncio.CancelledError(), "the broker cancelled the call"),
        (Custom(), "the broker raised Custom"),
        (BaseExceptionGroup("", [Custom(), asyncio.CancelledError()]), "the broker raised BaseExceptionGroup"),
    ],
)
async def test_a_broker_that_raises_what_is_not_an_exception_has_failed_and_cancels_nobody(
    error: BaseException, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Raising(Scripted):
        async def subscribe(self, room: str) -> None:
            if "subscribe" in self.failing:
                raise error
            await super().subscribe(room)

    broker = Raising()
    broker.failing.add("subscribe")
    with VirtualClock() as clock:
        hub, peer = hub_of(broker), Peer()
        entering = asyncio.create_task(hub.join(peer.send, ROOM).__aenter__())
        await clock.advance(5)
        assert str(await outcome(entering)) == told
        hub.join(peer.send, ROOM)
        broker.failing.clear()
        await clock.advance(5)
        await hub.publish(ROOM, "hello")
        assert peer.taken[-1] == "hello"
    assert changes(caplog) == [FAILED, RECOVERED]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BaseExceptionGroup("", [SystemExit(3)])], ids=repr)
async def test_a_broker_that_raises_what_ends_the_program_ends_it(error: BaseException) -> None:
    class Ending(Scripted):
        async def subscribe(self, room: str) -> None:
            raise error

    with pytest.raises(type(error)):
        hub_of(Ending()).join(Peer().send, ROOM)


async def test_a_task_that_asks_the_broker_and_is_cancelled_by_somebody_asks_again() -> None:
    broker = Scripted()
    broker.gates["subscribe"] = asyncio.Event()
    with VirtualClock() as clock:
        hub, peer = hub_of(broker), Peer()
        before = asyncio.all_tasks()
        entering = asyncio.create_task(hub.join(peer.send, ROOM).__aenter__())
        await clock.settle()
        for task in asyncio.all_tasks() - before - {entering}:
            task.cancel()
        await clock.settle()
        broker.gates["subscribe"].set()
        await clock.advance(1)
        await entering
        await hub.publish(ROOM, "hello")
    assert peer.taken[-1] == "hello"


async def test_a_stop_ends_the_tries_and_logs_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    broker = Scripted()
    with VirtualClock() as clock:
        async with hub_of(broker) as hub:
            broker.failing.add("subscribe")
            hub.join(Peer().send, ROOM)
            broker.gates["subscribe"] = asyncio.Event()
            hub.join(Peer().send, "another")
            entering = asyncio.create_task(hub.join(Peer().send, ROOM).__aenter__())
            await clock.settle()
        assert type(await outcome(entering)).__name__ == "HubNotRunning"
        broker.calls.clear()
        await clock.advance(60)
        assert broker.calls == []
    assert changes(caplog) == [FAILED]


async def test_whoever_joins_after_an_interruption_is_not_told_of_it_while_the_room_is_unsubscribed() -> None:
    broker = Scripted()
    broker.gates["unsubscribe"] = asyncio.Event()
    hub, peer = hub_of(broker), Peer()
    hub.join(Peer().send, ROOM).leave()
    await until(lambda: "unsubscribe" in broker.calls)
    assert hub._running is not None
    await hub._running._on_interrupted()
    async with asyncio.timeout(10):
        entering = asyncio.create_task(hub.join(peer.send, ROOM).__aenter__())
        broker.gates["unsubscribe"].set()
        await entering
    await hub.publish(ROOM, "hello")
    assert peer.taken == ["hello"]


async def test_a_broker_that_notices_an_interruption_when_it_is_stopped_is_asked_for_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Noticing(Scripted):
        async def stop(self) -> None:
            await super().stop()
            await on_interrupted()

    broker = Noticing()
    with VirtualClock() as clock:
        async with hub_of(broker) as hub:
            hub.join(Peer().send, ROOM)
            await hub.publish(ROOM, "1")
            assert hub._running is not None
            on_interrupted = hub._running._on_interrupted
            broker.calls.clear()
        await clock.advance(60)
        assert broker.calls == ["stop"]
    assert changes(caplog) == []


async def test_a_catch_up_that_cannot_read_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    broker = Scripted()
    with VirtualClock() as clock:
        hub, peer = hub_of(broker), Peer()
        hub.join(peer.send, ROOM)
        await hub.publish(ROOM, "1")
        on_event, broker._on_event = broker._on_event, None
        await hub.publish(ROOM, "2")
        broker._on_event = on_event
        broker.failing.add("read")
        assert hub._running is not None
        await hub._running._on_interrupted()
        await clock.advance(60)
        assert 12 <= broker.calls.count("read") <= 32
        broker.failing.clear()
        await clock.advance(5)
        assert peer.taken == ["1", "2"]
        await hub.publish(ROOM, "3")
        assert peer.taken == ["1", "2", "3"]
    told = "ERROR broker failed to read the history of room 'room'; its members may miss messages"
    assert changes(caplog) == [told, RECOVERED.replace("subscribe to", "read the history of")]


@pytest.mark.parametrize("is_missing", [False, True])
async def test_a_message_that_comes_while_a_catch_up_cannot_read_is_not_kept_back(is_missing: bool) -> None:
    broker = Scripted()
    with VirtualClock() as clock:
        hub, peer = hub_of(broker), Peer()
        membership = hub.join(peer.send, ROOM)
        await hub.publish(ROOM, "1")
        if is_missing:
            on_event, broker._on_event = broker._on_event, None
            await hub.publish(ROOM, "2")
            broker._on_event = on_event
        broker.failing.add("read")
        assert hub._running is not None
        await hub._running._on_interrupted()
        await clock.advance(1)
        await asyncio.create_task(hub.publish(ROOM, "3"))
        assert peer.taken == ["1", "gap 1 3", "3"] if is_missing else ["1", "3"]
        await hub._running._on_interrupted()
        membership.leave()
        broker.calls.clear()
        await clock.advance(60)
        assert "read" not in broker.calls


async def test_a_catch_up_that_somebody_cancels_is_made_with_the_next_message() -> None:
    broker = Scripted()
    hub, peer = hub_of(broker), Peer()
    hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "1")
    on_event, broker._on_event = broker._on_event, None
    await hub.publish(ROOM, "2")
    broker._on_event = on_event
    before = asyncio.all_tasks()
    publishing = asyncio.create_task(hub.publish(ROOM, "3"))
    await until(lambda: len(asyncio.all_tasks() - before - {publishing}) == 1)
    for task in asyncio.all_tasks() - before - {publishing}:
        task.cancel()
    await publishing
    await hub.publish(ROOM, "4")
    assert peer.taken == ["1", "2", "3", "4"]


async def test_a_room_that_is_born_again_while_the_last_member_of_the_old_one_is_told_stays() -> None:
    class Leaving(Encoder):
        def leave(self, room: str, member: object) -> str:
            return "leave"

    hub, peer = Hub(encoder=Leaving()), Peer()

    async def send(event: object) -> None:
        last.leave()
        hub.join(peer.send, ROOM)

    first, last = hub.join(Peer().send, ROOM), hub.join(send, ROOM)
    first.leave()
    await hub.publish(ROOM, "hello")
    assert (peer.taken, hub.statistics().rooms) == (["hello"], 1)


@pytest.mark.parametrize("is_alone", [True, False])
async def test_a_client_that_leaves_does_not_wait_for_a_broker_that_fails(is_alone: bool) -> None:
    broker = Scripted()
    broker.failing |= {"subscribe", "unsubscribe"}
    with VirtualClock() as clock:
        hub, peer = hub_of(broker), Peer()
        membership = hub.join(await peer.accepted(), ROOM)
        other = None if is_alone else hub.join(Peer().send, ROOM)
        entering = asyncio.create_task(membership.__aenter__())
        await clock.settle()
        peer.leave()
        await clock.settle()
        assert type(await outcome(entering)) is ConnectionClosed
        if other is not None:
            other.leave()
        await clock.advance(60)
        assert hub._running is not None
        assert hub._running.rooms == {}


@pytest.mark.parametrize("fails", [True, False])
async def test_a_broker_that_answers_after_the_stop_changes_nothing(
    fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(Scripted):
        async def subscribe(self, room: str) -> None:
            try:
                await super().subscribe(room)
            except asyncio.CancelledError:
                if fails:
                    raise OSError("cancelled") from None

    broker = Stubborn()
    broker.gates["subscribe"] = asyncio.Event()
    async with hub_of(broker) as hub:
        hub.join(Peer().send, ROOM)
        await until(lambda: "subscribe" in broker.calls)
    assert (changes(caplog), hub.statistics().rooms) == ([], 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_broker_that_is_back_while_it_is_asked_is_not_asked_twice() -> None:
    broker = Scripted()
    broker.gates["subscribe"] = asyncio.Event()
    hub = hub_of(broker)
    entering = asyncio.create_task(hub.join(Peer().send, ROOM).__aenter__())
    await until(lambda: "subscribe" in broker.calls)
    assert hub._running is not None
    await hub._running._on_interrupted()
    broker.gates["subscribe"].set()
    await entering
    assert broker.calls.count("subscribe") == 1
