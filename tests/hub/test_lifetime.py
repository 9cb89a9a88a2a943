"""Start and end: of hubs, of memberships and their blocks, with a broker that takes its time or fails."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from asgi_ws import App, ConnectionClosed, History, Hub, HubNotRunning, LifecycleError, Membership
from asgi_ws._asgi import Event
from asgi_ws.brokers import BrokerState
from asgi_ws.testing import LifespanManager, VirtualClock

from ..outcomes import outcome, until
from .inside import holds_nothing
from .peers import Narrator, Peer, ScriptedBroker

ROOM = "room"
each_start = pytest.mark.usefixtures("each_task_start")


def gated(*calls: str) -> ScriptedBroker:
    """Return a broker whose calls wait for their gates."""
    broker = ScriptedBroker()
    broker.gates = {call: asyncio.Event() for call in calls}
    return broker


# -- hubs


async def test_a_hub_starts_with_its_application_and_stops_with_it() -> None:
    broker = ScriptedBroker()
    hub = Hub(broker)
    async with LifespanManager(App([], lifespan=[hub])):
        assert broker.state is BrokerState.CONNECTED
        membership = hub.join(Peer().send, ROOM)
    assert broker.state.name == "STOPPED"
    assert not membership.active
    assert (broker.calls[0], broker.calls[-1]) == ("start", "stop")


@pytest.mark.parametrize("use", ["join", "publish", "read"])
async def test_without_a_lifespan_a_hub_starts_at_its_first_use(use: str) -> None:
    broker, peer = ScriptedBroker(), Peer()
    hub = Hub(broker, history=History())
    assert (hub.broker_state, hub.members(ROOM), hub.statistics().rooms) == (BrokerState.STOPPED, [], 0)
    if use == "join":
        hub.join(peer.send, ROOM)
    elif use == "publish":
        await hub.publish(ROOM, "hello")
    else:
        await hub.read(ROOM)
    assert hub.broker_state is BrokerState.CONNECTED
    assert broker.calls[0] == "start"


async def test_entering_twice_starts_once_and_the_last_exit_stops() -> None:
    broker = ScriptedBroker()
    hub = Hub(broker)
    async with hub:
        async with hub:
            pass
        assert broker.calls == ["start"]
    assert broker.calls == ["start", "stop"]


async def test_a_stopped_hub_says_how_to_start_it_and_then_counts_on() -> None:
    hub, peers = Hub(), [Peer(), Peer()]
    for peer in peers:
        async with hub:
            membership = hub.join(peer.send, ROOM)
            await hub.publish(ROOM, "hello")
        assert not membership.active
        with pytest.raises(HubNotRunning, match="start it again with `async with hub`"):
            await hub.publish(ROOM, "late")
    assert [peer.taken for peer in peers] == [["hello"], ["hello"]]
    assert (hub.statistics().published, hub.statistics().delivered, hub.statistics().rooms) == (2, 2, 0)


async def test_two_hubs_have_nothing_to_do_with_each_other() -> None:
    peer = Peer()
    async with Hub() as one, Hub() as other:
        one.join(peer.send, ROOM)
        await other.publish(ROOM, "elsewhere")
        await one.publish(ROOM, "here")
    assert peer.taken == ["here"]


def test_a_hub_that_has_stopped_in_one_loop_is_entered_in_the_next() -> None:
    hub = Hub()

    async def use() -> list[str]:
        peer = Peer()
        async with hub:
            hub.join(peer.send, ROOM)
            await hub.publish(ROOM, "hello")
        return peer.taken

    assert [asyncio.run(use()) for _ in range(3)] == [["hello"]] * 3


@pytest.mark.parametrize("stop_fails", [False, True])
def test_a_hub_that_nobody_stopped_or_that_was_only_looked_at_starts_again_in_the_next_loop(stop_fails: bool) -> None:
    broker = ScriptedBroker()
    hub = Hub(broker)

    async def use() -> list[str]:
        peer = Peer()
        hub.join(peer.send, ROOM)
        await hub.publish(ROOM, "hello")
        return peer.taken

    async def look() -> None:
        assert hub.disconnect(room=ROOM) == 0

    assert asyncio.run(use()) == ["hello"]
    asyncio.run(look())
    if stop_fails:
        broker.failing.add("stop")
    assert asyncio.run(use()) == ["hello"]
    assert hub.statistics().published == 2


async def test_a_stop_ends_what_is_stuck_and_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    async with Hub(encoder=Narrator()) as hub:
        peers = [Peer(), Peer(), Peer()]
        ws = await peers[1].accepted()
        memberships = [hub.join(socket, ROOM) for socket in (peers[0].send, ws, peers[2].send)]
        for peer in peers[:2]:
            peer.stall()
        peers[2].taken.clear()
        await hub.publish(ROOM, "stuck")
        await hub.publish(ROOM, "waits")
        assert hub.statistics().slow_members == 2
    assert [membership.active for membership in memberships] == [False] * 3
    # Members that leave together are not notified of each other.
    assert peers[2].taken == ["stuck", "waits"]
    assert asyncio.all_tasks() - {peers[1].task} == before
    # The connection is its handler's to close.
    assert not ws.closed
    peers[1].leave()
    assert peers[1].task is not None
    await peers[1].task


async def test_a_send_that_does_not_end_when_it_is_cancelled_does_not_hold_a_stop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = asyncio.Event()

    async def stubborn(event: Event) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await gate.wait()

    with VirtualClock() as clock:
        hub = await Hub().__aenter__()
        hub.join(stubborn, ROOM)
        await hub.publish(ROOM, "hello")
        stopping = asyncio.create_task(hub.__aexit__(None, None, None))
        await clock.advance(1.1)
        assert stopping.done()
    told = ["hub stopped, but 1 cancelled sends still run"]
    assert [record.message for record in caplog.records] == told
    gate.set()
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


@each_start
async def test_a_hub_that_is_entered_while_it_stops_waits_for_that() -> None:
    broker = gated("stop")
    hub = Hub(broker)
    stopping = asyncio.create_task((await hub.__aenter__()).__aexit__(None, None, None))
    await until(lambda: "stop" in broker.calls)
    entering = [asyncio.create_task(hub.__aenter__()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in entering)
    broker.gates["stop"].set()
    assert await asyncio.gather(stopping, *entering) == [None, hub, hub]
    for _ in entering:
        await hub.publish(ROOM, "hello")
        await hub.__aexit__(None, None, None)


@each_start
async def test_a_broker_that_cannot_start_says_so_to_its_caller_and_is_asked_again() -> None:
    broker = ScriptedBroker()
    broker.failing.add("start")
    hub = Hub(broker)
    with pytest.raises(OSError, match="no start"):
        async with hub:
            pass
    with pytest.raises(OSError, match="no start"):
        await hub.publish(ROOM, "hello")
    broker.failing.clear()
    async with hub:
        await hub.publish(ROOM, "hello")
    assert broker.calls == ["start", "start", "start", "stop"]


@each_start
@pytest.mark.parametrize("ending", ["goes well", "fails", "is cancelled"])
async def test_calls_that_come_while_a_broker_starts_share_how_that_goes(ending: str) -> None:
    broker = gated("start")
    hub = Hub(broker)
    starting = [asyncio.create_task(hub.publish(ROOM, str(number))) for number in range(3)]
    await asyncio.sleep(0)
    assert broker.calls == ["start"]
    if ending == "is cancelled":
        starting[0].cancel()
    elif ending == "fails":
        broker.failing.add("start")
    # A caller that is cancelled while it waits for another's start does not cancel the others.
    starting[2].cancel()
    broker.gates["start"].set()
    await asyncio.wait(starting)
    assert starting[2].cancelled()
    if ending == "goes well":
        assert [await outcome(task) for task in starting[:2]] == [None, None]
    elif ending == "fails":
        assert [type(await outcome(task)) for task in starting[:2]] == [OSError, OSError]
    else:
        assert starting[0].cancelled()
        # The next one has begun again.
        assert await outcome(starting[1]) is None
    broker.failing.clear()
    await hub.publish(ROOM, "now")
    assert broker.calls == ["start"] + ["start"] * (ending != "goes well")


# -- memberships and their blocks


async def entered(membership: Membership) -> None:
    async with membership:
        # A block that is to end at once is cancelled in its first wait.
        await asyncio.sleep(0)
        raise AssertionError("the block began")


async def test_a_membership_entered_after_its_connection_has_left_leaves_the_room_to_the_others() -> None:
    hub, leaving, staying = Hub(), Peer(), Peer()
    membership = hub.join(await leaving.accepted(), ROOM)
    leaving.leave()
    await until(lambda: not membership.active)
    hub.join(staying.send, ROOM, identity="ann")
    with pytest.raises(ConnectionClosed) as closed:
        await entered(membership)
    assert closed.value.code == 1001
    await hub.publish(ROOM, "hello")
    assert (staying.taken, [member.identity for member in hub.members(ROOM)]) == (["hello"], ["ann"])
    assert (hub.statistics().rooms, hub.statistics().members) == (1, 1)


def disconnect(hub: Hub, membership: Membership) -> None:
    hub.disconnect(room=ROOM, code=4001, reason="out")


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    ("end", "error", "text"),
    [
        (disconnect, ConnectionClosed, r"4001.*out"),
        (lambda hub, membership: membership.leave(), LifecycleError, r"^async with membership .* LEFT: join\(\) again"),
    ],
)
async def test_entering_a_membership_that_has_ended_says_why(
    own: bool, end: Callable[[Hub, Membership], None], error: type[Exception], text: str
) -> None:
    hub, peer = Hub(), Peer()
    membership = hub.join(await peer.accepted() if own else peer.send, ROOM)
    end(hub, membership)
    with pytest.raises(error, match=text):
        await entered(membership)
    assert holds_nothing(hub)


async def test_entering_a_membership_after_a_failed_send_or_a_stop_says_so() -> None:
    async def fails(event: Event) -> None:
        raise ValueError

    async with Hub() as hub:
        gone = Peer()
        broken, lost, stopped = hub.join(fails, ROOM), hub.join(gone.send, ROOM), hub.join(Peer().send, ROOM)
        gone.die()
        await hub.publish(ROOM, "hello")
        with pytest.raises(LifecycleError, match="FAILED: its send raised"):
            await entered(broken)
        with pytest.raises(ConnectionClosed, match="1006"):
            await entered(lost)
    with pytest.raises(HubNotRunning, match="the hub has stopped"):
        await entered(stopped)


@pytest.mark.parametrize("while_entering", [False, True])
async def test_a_membership_has_one_block_and_a_second_one_is_refused(while_entering: bool) -> None:
    broker = gated("subscribe") if while_entering else ScriptedBroker()
    hub, peer = Hub(broker), Peer()
    membership = hub.join(peer.send, ROOM)
    entering = asyncio.create_task(membership.__aenter__())
    await asyncio.sleep(0)
    assert entering.done() is not while_entering
    with pytest.raises(LifecycleError, match="already entered: a membership has one block"):
        await entered(membership)
    # The first one is as it was.
    for gate in broker.gates.values():
        gate.set()
    await entering
    await hub.publish(ROOM, "hello")
    assert (membership.active, peer.taken) == (True, ["hello"])
    await membership.__aexit__(None, None, None)
    with pytest.raises(LifecycleError, match="LEFT"):
        await entered(membership)


@each_start
async def test_a_block_begins_when_the_broker_knows_of_it_and_where_it_joined() -> None:
    broker = gated("subscribe")
    hub, peers, reached = Hub(broker, history=History()), [Peer(), Peer()], []
    position = await hub.publish(ROOM, "before")

    async def handler(peer: Peer) -> None:
        async with hub.join(peer.send, ROOM) as membership:
            reached.append(membership.position)
            await until(lambda: peer.taken)

    handling = [asyncio.create_task(handler(peer)) for peer in peers]
    await until(lambda: "subscribe" in broker.calls)
    assert reached == []
    broker.gates["subscribe"].set()
    await until(lambda: len(reached) == 2)
    assert reached == [position, position]
    await hub.publish(ROOM, "hello")
    await asyncio.wait(handling)
    assert [peer.taken for peer in peers] == [["hello"], ["hello"]]


@each_start
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("end", ["fails", "is disconnected", "is cancelled", "stops"])
async def test_a_membership_that_ends_while_the_broker_is_told_has_no_block(own: bool, end: str) -> None:
    broker = gated("subscribe")
    hub = await Hub(broker, encoder=Narrator()).__aenter__()
    peer = Peer()
    membership = hub.join(await peer.accepted() if own else peer.send, ROOM, identity="ann")
    entering = asyncio.create_task(entered(membership))
    await asyncio.sleep(0)
    if end == "fails":
        peer.die()
        hub.join(Peer().send, ROOM)
    elif end == "is disconnected":
        assert hub.disconnect(identity="ann") == 1
    elif end == "is cancelled":
        entering.cancel()
    else:
        await hub.__aexit__(None, None, None)
    await until(lambda: not membership.active)
    broker.gates["subscribe"].set()
    await asyncio.wait([entering])
    if end == "is cancelled":
        assert entering.cancelled()
    elif end == "is disconnected" and not own:
        # Its server does not notify the handler, so the block ends instead.
        assert entering.exception() is None
    else:
        assert type(entering.exception()) is (HubNotRunning if end == "stops" else ConnectionClosed)
    peer.leave()


async def test_all_who_wait_for_a_subscription_are_told_that_it_failed(caplog: pytest.LogCaptureFixture) -> None:
    broker = gated("subscribe")
    with VirtualClock() as clock:
        hub = Hub(broker)
        entering = [asyncio.create_task(entered(hub.join(Peer().send, ROOM))) for _ in range(3)]
        await clock.settle()
        entering[2].cancel()
        broker.failing.add("subscribe")
        broker.gates["subscribe"].set()
        await clock.advance(5)
        assert [str(await outcome(task)) for task in entering[:2]] == ["no subscribe"] * 2
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert holds_nothing(hub)


async def test_an_error_a_time_out_and_a_cancellation_of_a_block_go_through_it() -> None:
    hub, peer = Hub(), Peer()
    with pytest.raises(LookupError, match="mine"):
        async with hub.join(peer.send, ROOM):
            raise LookupError("mine")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0), hub.join(peer.send, ROOM):
            await asyncio.Event().wait()
    assert hub.members(ROOM) == []
