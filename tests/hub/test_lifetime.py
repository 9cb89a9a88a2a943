"""Start and end: of hubs, of blocks, and of what a broker takes time for."""

import asyncio
import logging

import pytest

from asgi_ws import App, History, Hub, HubNotRunning, MemoryBroker, Position, WrongLoop
from asgi_ws.brokers.base import BrokerState, HistoryPage, OnEvent, OnInterrupted
from asgi_ws.testing import LifespanManager, VirtualClock

from ..outcomes import outcome, until
from .peers import Narrator, Peer

ROOM = "room"


class Scripted(MemoryBroker):
    """A broker that takes its time, or fails, where a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.failing: set[str] = set()
        # Who waits for what.
        self.gates: dict[str, asyncio.Event] = {}

    async def _reach(self, call: str) -> None:
        self.calls.append(call)
        if call in self.gates:
            await self.gates[call].wait()
        if call in self.failing:
            raise OSError(f"no {call}")

    async def start(self, on_event: OnEvent, on_interrupted: OnInterrupted) -> None:
        await self._reach("start")
        await super().start(on_event, on_interrupted)

    async def stop(self) -> None:
        self.calls.append("stop")
        await super().stop()

    async def subscribe(self, room: str) -> None:
        await self._reach("subscribe")
        await super().subscribe(room)

    async def unsubscribe(self, room: str) -> None:
        await self._reach("unsubscribe")
        await super().unsubscribe(room)

    async def read(self, room: str, since: Position | None, limit: int) -> HistoryPage:
        await self._reach("read")
        return await super().read(room, since, limit)


async def test_a_hub_starts_with_its_application_and_stops_with_it() -> None:
    broker = Scripted()
    hub = Hub(broker)
    async with LifespanManager(App([], lifespan=[hub])):
        assert broker.state is BrokerState.CONNECTED
        membership = hub.join(Peer().send, ROOM)
    assert broker.state.name == "STOPPED"
    assert not membership.active
    assert (broker.calls[0], broker.calls[-1]) == ("start", "stop")


async def test_without_a_lifespan_a_hub_starts_at_its_first_use() -> None:
    for use in ("join", "publish", "read"):
        broker = Scripted()
        hub = Hub(broker, history=History())
        assert (hub.broker_state, hub.members(ROOM), hub.statistics().rooms) == (BrokerState.STOPPED, [], 0)
        if use == "join":
            hub.join(Peer().send, ROOM)
        elif use == "publish":
            await hub.publish(ROOM, "hello")
        else:
            await hub.read(ROOM)
        assert hub.broker_state is BrokerState.CONNECTED
        assert broker.calls[0] == "start"


async def test_entering_twice_starts_once_and_the_last_exit_stops() -> None:
    broker = Scripted()
    hub = Hub(broker)
    async with hub:
        async with hub:
            assert broker.calls == ["start"]
        assert broker.calls == ["start"]
    assert broker.calls == ["start", "stop"]


async def test_a_hub_that_has_stopped_can_start_again_with_its_counters() -> None:
    hub, peers = Hub(), [Peer(), Peer()]
    for peer in peers:
        async with hub:
            membership = hub.join(peer.send, ROOM)
            await hub.publish(ROOM, "hello")
        assert not membership.active
    assert [peer.taken for peer in peers] == [["hello"], ["hello"]]
    assert (hub.statistics().published, hub.statistics().delivered, hub.statistics().rooms) == (2, 2, 0)


def test_a_hub_that_nobody_stopped_starts_again_in_another_loop() -> None:
    hub = Hub()

    async def use() -> list[str]:
        peer = Peer()
        hub.join(peer.send, ROOM)
        await hub.publish(ROOM, "hello")
        return peer.taken

    assert [asyncio.run(use()) for _ in range(2)] == [["hello"], ["hello"]]


async def test_a_stop_ends_what_is_stuck_and_leaves_no_task() -> None:
    async with Hub() as hub:
        peers = [Peer(), Peer()]
        ws = await peers[1].accepted()
        memberships = [hub.join(peers[0].send, ROOM), hub.join(ws, ROOM)]
        for peer in peers:
            peer.stall()
        await hub.publish(ROOM, "stuck")
        await hub.publish(ROOM, "waits")
        assert hub.statistics().slow_members == 2
    assert [membership.active for membership in memberships] == [False, False]
    assert asyncio.all_tasks() - {peers[1].task} == {asyncio.current_task()}
    # The connection is its handler's to close.
    assert not ws.closed
    peers[1].leave()
    assert peers[1].task is not None
    await peers[1].task


async def test_a_broker_that_cannot_start_says_so_to_who_asked_and_is_asked_again() -> None:
    broker = Scripted()
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


@pytest.mark.parametrize("ending", ["goes well", "fails", "is cancelled"])
async def test_who_comes_while_a_broker_starts_shares_how_that_goes(ending: str) -> None:
    broker = Scripted()
    broker.gates["start"] = asyncio.Event()
    hub = Hub(broker)
    starting = [asyncio.create_task(hub.publish(ROOM, str(number))) for number in range(3)]
    await asyncio.sleep(0)
    assert broker.calls == ["start"]
    if ending == "is cancelled":
        starting[0].cancel()
    elif ending == "fails":
        broker.failing.add("start")
    # Who is cancelled while he waits for another's start takes nobody with him.
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


@pytest.mark.parametrize("failing", ["start", "subscribe"])
async def test_a_block_raises_what_keeps_the_broker_from_subscribing_and_leaves_nothing(
    failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Scripted()
    broker.failing.add(failing)
    with VirtualClock() as clock:
        hub, peer = Hub(broker, history=History()), Peer()
        entering = asyncio.create_task(hub.join(peer.send, ROOM).__aenter__())
        await clock.advance(5)
        assert str(await outcome(entering)) == f"no {failing}"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert (hub.statistics().rooms, hub.statistics().connections) == (0, 0)
    assert hub._running is not None
    assert (hub._running.rooms, hub._running.subscribers) == ({}, {})
    # And again, when it can.
    broker.failing.clear()
    async with hub.join(peer.send, ROOM):
        await hub.publish(ROOM, "hello")
    assert peer.taken == ["hello"]


async def test_a_membership_whose_room_the_broker_did_not_take_leaves_nothing() -> None:
    broker = Scripted()
    broker.failing.add("subscribe")
    hub = Hub(broker)
    hub.join(Peer().send, ROOM).leave()
    assert hub._running is not None
    assert (hub._running.rooms, hub._running.subscribers) == ({}, {})


async def test_a_room_that_a_broker_could_not_unsubscribe_is_joined_again(caplog: pytest.LogCaptureFixture) -> None:
    broker = Scripted()
    broker.failing.add("unsubscribe")
    hub, peer = Hub(broker), Peer()
    hub.join(peer.send, ROOM).leave()
    assert hub.statistics().rooms == 0
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "hello")
    assert peer.taken == ["hello"]


async def test_a_block_begins_when_the_broker_knows_of_it() -> None:
    broker = Scripted()
    broker.gates["subscribe"] = asyncio.Event()
    hub, peers, reached = Hub(broker, history=History()), [Peer(), Peer()], []

    async def handler(peer: Peer) -> None:
        async with hub.join(peer.send, ROOM) as membership:
            reached.append(membership.active)
            await until(lambda: peer.taken)

    handling = [asyncio.create_task(handler(peer)) for peer in peers]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (reached, broker.calls) == ([], ["start", "subscribe"])
    await hub.publish(ROOM, "too early")
    broker.gates["subscribe"].set()
    await until(lambda: len(reached) == 2)
    await hub.publish(ROOM, "hello")
    await asyncio.wait(handling)
    assert [peer.taken for peer in peers] == [["hello"], ["hello"]]


async def test_who_is_cancelled_while_the_broker_is_told_is_a_member_no_more() -> None:
    broker = Scripted()
    broker.gates["subscribe"] = asyncio.Event()
    hub, peers = Hub(broker), [Peer(), Peer()]

    async def handler(peer: Peer) -> None:
        async with hub.join(peer.send, ROOM):
            await asyncio.Event().wait()

    handling = [asyncio.create_task(handler(peer)) for peer in peers]
    await until(lambda: len(hub.members(ROOM)) == 2)
    handling[0].cancel()
    await asyncio.wait(handling[:1])
    assert len(hub.members(ROOM)) == 1
    broker.gates["subscribe"].set()
    await until(lambda: "subscribe" in broker.calls)
    handling[1].cancel()
    await asyncio.wait(handling)
    await until(lambda: broker.calls[-1] == "unsubscribe")
    assert hub.members(ROOM) == []


async def test_who_is_disconnected_while_the_broker_is_told_has_no_block() -> None:
    broker = Scripted()
    broker.gates["subscribe"] = asyncio.Event()
    hub, peer, reached = Hub(broker), Peer(), []

    async def handler() -> None:
        async with hub.join(peer.send, ROOM, identity="ann"):
            reached.append("block")
            await asyncio.Event().wait()
        reached.append("end")

    handling = asyncio.create_task(handler())
    await until(lambda: "subscribe" in broker.calls)
    assert hub.disconnect(identity="ann") == 1
    broker.gates["subscribe"].set()
    await asyncio.wait_for(handling, 5)
    assert reached[-1] == "end"


async def test_a_room_that_is_wanted_again_while_the_broker_forgets_it_is_subscribed_again() -> None:
    broker = Scripted()
    hub, peer = Hub(broker, history=History()), Peer()
    async with hub.join(peer.send, ROOM):
        await hub.publish(ROOM, "1")
        broker.gates["unsubscribe"] = asyncio.Event()
    await hub.publish(ROOM, "nobody is there")
    async with asyncio.timeout(5):
        entering = hub.join(peer.send, ROOM)
        broker.gates["unsubscribe"].set()
        async with entering:
            await hub.publish(ROOM, "2")
            await until(lambda: "2" in peer.taken)
    assert peer.taken[0] == "1"
    assert broker.calls.count("subscribe") == 2


async def test_a_first_member_knows_where_it_joined_when_its_block_begins() -> None:
    broker = Scripted()
    broker.gates["subscribe"] = asyncio.Event()
    hub, peer = Hub(broker, history=History()), Peer()
    position = await hub.publish(ROOM, "before")
    membership = hub.join(peer.send, ROOM)
    assert membership.position is None
    broker.gates["subscribe"].set()
    async with membership:
        assert membership.position == position


async def test_an_error_of_a_block_is_that_of_the_block() -> None:
    hub, peer = Hub(), Peer()
    with pytest.raises(LookupError):
        async with hub.join(peer.send, ROOM):
            raise LookupError
    assert hub.members(ROOM) == []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0), hub.join(peer.send, ROOM):
            await asyncio.Event().wait()
    assert hub.members(ROOM) == []


async def test_publishing_from_a_thread_needs_a_hub_that_runs_and_another_thread() -> None:
    hub, peer = Hub(), Peer()
    with pytest.raises(HubNotRunning, match=r"App\(lifespan=\[hub\]\) starts it"):
        await asyncio.to_thread(hub.publish_from_thread, ROOM, "hello")
    async with hub:
        hub.join(peer.send, ROOM)
        with pytest.raises(WrongLoop, match=r"await publish\(\)"):
            hub.publish_from_thread(ROOM, "hello")
        assert await asyncio.to_thread(hub.publish_from_thread, ROOM, "hello") is None
        with pytest.raises(TypeError):
            await asyncio.to_thread(hub.publish_from_thread, ROOM, 7)  # type: ignore[arg-type] # that is the point
    with pytest.raises(HubNotRunning):
        await asyncio.to_thread(hub.publish_from_thread, ROOM, "hello")
    assert peer.taken == ["hello"]


async def test_publishing_from_a_thread_has_a_bound_and_is_not_published_after_it() -> None:
    hub, peer = Hub(), Peer()
    async with hub:
        hub.join(peer.send, ROOM)
        with VirtualClock():
            thread = asyncio.get_running_loop().run_in_executor(
                None, lambda: hub.publish_from_thread(ROOM, "late", timeout=0.01)
            )
            import time

            # The loop is busy for longer than that.
            time.sleep(0.1)
            assert type(await outcome(thread)) is TimeoutError
        await hub.publish(ROOM, "hello")
    assert peer.taken == ["hello"]


async def test_a_hub_that_stops_says_so_to_nobody_who_has_left_with_it() -> None:
    peers = [Peer(), Peer(), Peer()]
    async with Hub(encoder=Narrator()) as hub:
        for number, peer in enumerate(peers):
            hub.join(peer.send, ROOM, info=number)
            peer.taken.clear()
    # All of them go: whoever is left hears of those before him.
    assert [len(peer.taken) for peer in peers] == [2, 2, 2] or sum(len(peer.taken) for peer in peers) <= 6
