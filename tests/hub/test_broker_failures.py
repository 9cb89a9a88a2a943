"""A broker that fails for a while: what is tried again, what members learn of it, and what the log says."""

import asyncio
from collections.abc import Callable

import pytest

from asgi_ws import History, Hub, Membership
from asgi_ws.testing import VirtualClock

from ..outcomes import outcome, until
from .inside import holds_nothing
from .peers import Gaps, Peer, ScriptedBroker

ROOM = "room"
each_start = pytest.mark.usefixtures("each_task_start")


def hub_of(broker: ScriptedBroker, *, keeps: bool = True) -> Hub:
    return Hub(broker, history=History(messages=3) if keeps else None, encoder=Gaps())


def failing(*calls: str) -> ScriptedBroker:
    broker = ScriptedBroker()
    broker.failing.update(calls)
    return broker


async def missed(hub: Hub, broker: ScriptedBroker, text: str) -> None:
    """Publish a message that the broker keeps and does not deliver."""
    broker.losing = True
    await hub.publish(ROOM, text)
    broker.losing = False


def changes(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.levelname} {record.message}" for record in caplog.records]


FAILED = "ERROR broker failed to subscribe to room 'room'; retrying, and its members miss messages until it succeeds"
RECOVERED = "WARNING broker can subscribe to rooms again"


@each_start
@pytest.mark.parametrize(
    ("call", "keeps", "notice"),
    [
        ("start", False, "gap None None"),
        ("subscribe", False, "gap None None"),
        ("subscribe", True, "gap None 2"),
        ("read", True, None),
    ],
)
async def test_a_failed_subscription_is_tried_again_and_logged_once_and_members_are_told(
    call: str, keeps: bool, notice: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    broker = failing(call)
    with VirtualClock() as clock:
        hub, peer = hub_of(broker, keeps=keeps), Peer()
        hub.join(peer.send, ROOM)
        for text in ("1", "2") if call == "subscribe" else ():
            await hub.publish(ROOM, text)
        await clock.advance(60)
        assert (hub.statistics().rooms, hub.statistics().pending_rooms) == (1, 1)
        # Twelve in a minute at least, and it does not get quicker.
        assert 12 <= broker.calls.count(call) <= 32
        # A broker that fails to read delivers.
        for text in ("1", "2") if call == "read" else ():
            await hub.publish(ROOM, text)
        broker.failing.clear()
        await clock.advance(5)
        assert hub.statistics().pending_rooms == 0
        await hub.publish(ROOM, "3")
    assert peer.taken == ([notice, "3"] if notice else ["1", "2", "3"])
    assert changes(caplog) == [FAILED, RECOVERED]


async def test_a_failing_history_is_nothing_to_a_room_without_one(caplog: pytest.LogCaptureFixture) -> None:
    hub = hub_of(failing("read"), keeps=False)
    async with hub.join(Peer().send, ROOM):
        assert hub.statistics().pending_rooms == 0
    assert changes(caplog) == []


async def test_what_is_published_after_the_position_is_known_is_replayed_and_not_missed() -> None:
    broker = failing("subscribe")
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


@each_start
async def test_a_block_waits_for_a_broker_that_fails_for_a_moment() -> None:
    broker = failing("subscribe")
    with VirtualClock() as clock:
        membership = hub_of(broker).join(Peer().send, ROOM)
        entering = asyncio.create_task(membership.__aenter__())
        await clock.advance(1)
        assert not entering.done()
        broker.failing.clear()
        await clock.advance(3)
        assert entering.done()
        assert membership.position is not None
        await membership.__aexit__(None, None, None)


async def test_a_block_raises_the_error_of_a_broker_that_fails_on_and_the_others_stay() -> None:
    broker = failing("subscribe")
    with VirtualClock() as clock:
        hub = hub_of(broker)
        hub.join(Peer().send, ROOM)
        await clock.advance(60)
        # The time between two tries has become long: it waits no longer for that.
        entering = asyncio.create_task(hub.join(Peer().send, ROOM).__aenter__())
        await clock.advance(5)
        assert type(await outcome(entering)) is OSError
        assert (hub.statistics().members, hub.statistics().pending_rooms) == (1, 1)


@pytest.mark.parametrize("end", [lambda membership: membership.leave(), None], ids=["leaves", "client leaves"])
@pytest.mark.parametrize("forgets", [True, False])
async def test_a_membership_that_ends_while_its_block_waits_for_a_failing_broker_says_so(
    forgets: bool, end: Callable[[Membership], None] | None
) -> None:
    broker = failing("subscribe") if forgets else failing("subscribe", "unsubscribe")
    with VirtualClock() as clock:
        hub, peer = hub_of(broker), Peer()
        membership = hub.join(await peer.accepted(), ROOM)
        other = hub.join(Peer().send, ROOM)
        entering = asyncio.create_task(membership.__aenter__())
        await clock.settle()
        if end is None:
            peer.leave()
        else:
            end(membership)
        await clock.settle()
        assert type(await outcome(entering)).__name__ == ("LifecycleError" if end else "ConnectionClosed")
        other.leave()
        broker.calls.clear()
        await clock.advance(60)
        # Nothing is asked any more of a broker that has forgotten the room.
        assert "subscribe" not in broker.calls
        assert ("unsubscribe" in broker.calls) is not forgets
        assert holds_nothing(hub)
    peer.leave()


async def test_a_failed_unsubscription_is_tried_again_some_times_and_then_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = ScriptedBroker()
    with VirtualClock() as clock:
        hub = hub_of(broker)
        for is_over in (False, True):
            hub.join(Peer().send, ROOM).leave()
            broker.failing.add("unsubscribe")
            broker.calls.clear()
            hub.join(Peer().send, ROOM).leave()
            assert not holds_nothing(hub)
            if is_over:
                await clock.advance(60)
                assert broker.calls.count("unsubscribe") == 8
            else:
                broker.failing.clear()
                await clock.advance(5)
                assert (broker.calls.count("unsubscribe"), broker.rooms) == (2, set())
            assert holds_nothing(hub)
    told = "ERROR broker failed to unsubscribe from room 'room'; retrying some times"
    assert changes(caplog) == [told, RECOVERED.replace("subscribe to", "unsubscribe from"), told]


@pytest.mark.parametrize("fails", [True, False])
async def test_a_room_that_is_joined_again_before_it_is_unsubscribed_is_a_new_one(fails: bool) -> None:
    broker = failing("unsubscribe") if fails else ScriptedBroker()
    broker.gates["unsubscribe"] = gate = asyncio.Event()
    if fails:
        gate.set()
    with VirtualClock() as clock:
        hub, peers = hub_of(broker), [Peer(), Peer()]
        first = hub.join(peers[0].send, ROOM)
        await hub.publish(ROOM, "1")
        first.leave()
        await hub.publish(ROOM, "nobody is there")
        # A broker that is back meanwhile has nothing to say to the next member.
        await broker.recover()
        second = hub.join(peers[1].send, ROOM)
        entering = asyncio.create_task(second.__aenter__())
        await clock.settle()
        gate.set()
        await clock.advance(1)
        await entering
        await hub.publish(ROOM, "2")
        await clock.advance(60)
        await hub.publish(ROOM, "3")
        assert second.position is not None
        assert second.position.offset == 2
        # And what is missing in it is found.
        await missed(hub, broker, "4")
        await asyncio.create_task(hub.publish(ROOM, "5"))
    assert [peer.taken for peer in peers] == [["1"], ["2", "3", "4", "5"]]
    assert broker.calls.count("subscribe") == 2


async def test_a_broker_that_is_back_is_asked_at_once_for_the_rooms_that_it_did_not_take() -> None:
    broker = failing("subscribe")
    with VirtualClock() as clock:
        hub, peer = hub_of(broker), Peer()
        hub.join(peer.send, ROOM)
        await clock.advance(60)
        await broker.recover()
        await hub.publish(ROOM, "hello")
        assert peer.taken[-1] == "hello"
        # And for what others may have missed.
        await broker.recover()
        await clock.settle()
        assert hub.statistics().pending_rooms == 0


async def test_a_broker_that_is_back_while_it_is_asked_is_not_asked_twice() -> None:
    broker = ScriptedBroker()
    broker.gates["subscribe"] = asyncio.Event()
    entering = asyncio.create_task(hub_of(broker).join(Peer().send, ROOM).__aenter__())
    await until(lambda: "subscribe" in broker.calls)
    await broker.recover()
    broker.gates["subscribe"].set()
    await entering
    assert broker.calls.count("subscribe") == 1


async def test_one_room_that_a_broker_never_takes_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    class Choosy(ScriptedBroker):
        async def subscribe(self, room: str) -> None:
            if room == "bad":
                raise OSError("not that one")
            await super().subscribe(room)

    with VirtualClock() as clock:
        hub = hub_of(Choosy())
        bad = hub.join(Peer().send, "bad")
        for number in range(10):
            hub.join(Peer().send, str(number))
            await clock.advance(10)
        assert changes(caplog) == [FAILED.replace("'room'", "'bad'")]
        bad.leave()
        hub.join(Peer().send, ROOM)
        assert changes(caplog)[1:] == [RECOVERED]


class Custom(BaseException):
    """A BaseException, as a library with tasks of its own may raise."""


@each_start
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
    broker = failing("subscribe")
    broker.error = error
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
    broker = failing("subscribe")
    broker.error = error
    with pytest.raises(type(error)):
        hub_of(broker).join(Peer().send, ROOM)


@each_start
async def test_a_call_of_the_broker_that_somebody_cancels_is_made_again() -> None:
    broker = ScriptedBroker()
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


# -- stops


@each_start
async def test_a_stop_ends_the_tries_and_logs_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    class Noticing(ScriptedBroker):
        async def stop(self) -> None:
            await super().stop()
            await self.recover()

    broker = Noticing()
    with VirtualClock() as clock:
        async with hub_of(broker) as hub:
            known = hub.join(Peer().send, "known")
            await known.publish("1")
            broker.failing.add("subscribe")
            hub.join(Peer().send, ROOM)
            broker.gates["subscribe"] = asyncio.Event()
            hub.join(Peer().send, "another")
            entering = asyncio.create_task(hub.join(Peer().send, ROOM).__aenter__())
            await clock.settle()
            broker.calls.clear()
        assert type(await outcome(entering)).__name__ == "HubNotRunning"
        await clock.advance(60)
        # An interruption that it noticed when it was stopped included.
        assert broker.calls == ["stop"]
    assert changes(caplog) == [FAILED]


@pytest.mark.parametrize("fails", [True, False])
async def test_a_broker_that_answers_after_the_stop_changes_nothing(
    fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(ScriptedBroker):
        async def subscribe(self, room: str) -> None:
            try:
                await super().subscribe(room)
            except asyncio.CancelledError:
                if fails:
                    raise OSError("cancelled") from None
                # Python 3.11 shows coverage nothing of what runs until the next wait.
                await asyncio.sleep(0)

    broker = Stubborn()
    broker.gates["subscribe"] = asyncio.Event()
    async with hub_of(broker) as hub:
        hub.join(Peer().send, ROOM)
        await until(lambda: "subscribe" in broker.calls)
    assert (changes(caplog), hub.statistics().rooms) == ([], 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


# -- catching up


@each_start
async def test_a_catch_up_that_cannot_read_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    broker = ScriptedBroker()
    with VirtualClock() as clock:
        hub, peer = hub_of(broker), Peer()
        hub.join(peer.send, ROOM)
        await hub.publish(ROOM, "1")
        await missed(hub, broker, "2")
        broker.calls.clear()
        await broker.recover()
        broker.failing.add("read")
        await clock.advance(60)
        assert 12 <= broker.calls.count("read") <= 32
        broker.failing.clear()
        await clock.advance(5)
        await hub.publish(ROOM, "3")
        assert peer.taken == ["1", "2", "3"]
    told = "ERROR broker failed to read the history of room 'room'; its members may miss messages"
    assert changes(caplog) == [told, RECOVERED.replace("subscribe to", "read the history of")]


@pytest.mark.parametrize("is_missing", [False, True])
async def test_a_message_that_comes_while_a_catch_up_cannot_read_is_not_kept_back(is_missing: bool) -> None:
    broker = ScriptedBroker()
    with VirtualClock() as clock:
        hub, peer = hub_of(broker), Peer()
        membership = hub.join(peer.send, ROOM)
        await hub.publish(ROOM, "1")
        if is_missing:
            await missed(hub, broker, "2")
        await broker.recover()
        broker.failing.add("read")
        await clock.advance(1)
        await asyncio.create_task(hub.publish(ROOM, "3"))
        assert peer.taken == ["1", "gap 1 3", "3"] if is_missing else ["1", "3"]
        membership.leave()
        broker.calls.clear()
        await clock.advance(60)
        assert "read" not in broker.calls


@each_start
async def test_a_catch_up_that_somebody_cancels_is_made_with_the_next_message() -> None:
    broker, peer = ScriptedBroker(), Peer()
    hub = hub_of(broker)
    hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "1")
    await missed(hub, broker, "2")
    before = asyncio.all_tasks()
    publishing = asyncio.create_task(hub.publish(ROOM, "3"))
    await until(lambda: len(asyncio.all_tasks() - before - {publishing}) == 1)
    for task in asyncio.all_tasks() - before - {publishing}:
        task.cancel()
    await publishing
    await hub.publish(ROOM, "4")
    assert peer.taken == ["1", "2", "3", "4"]


@pytest.mark.usefixtures("no_slice")
async def test_a_stop_ends_an_interruption_that_rooms_are_still_to_be_told_of() -> None:
    broker = ScriptedBroker()
    async with hub_of(broker) as hub:
        for number in range(5):
            hub.join(Peer().send, str(number))
        await until(lambda: hub.statistics().pending_rooms == 0)
        broker.calls.clear()
        recovering = asyncio.create_task(broker.recover())
        await asyncio.sleep(0)
        assert not recovering.done()
    await recovering
    assert broker.calls.count("read") < 5


async def test_a_call_that_somebody_cancels_is_not_made_for_a_room_that_all_have_left() -> None:
    broker = ScriptedBroker()
    broker.gates["subscribe"] = asyncio.Event()
    with VirtualClock() as clock:
        hub = hub_of(broker)
        before = asyncio.all_tasks()
        membership = hub.join(Peer().send, ROOM)
        await clock.settle()
        membership.leave()
        for task in asyncio.all_tasks() - before:
            task.cancel()
        await clock.advance(1)
        assert (broker.calls.count("subscribe"), broker.rooms) == (1, set())
        assert holds_nothing(hub)
