"""Moments that seldom come: two things that end at once, and brokers that end in the middle."""

import asyncio

import pytest

from asgi_ws import History, Hub, HubNotRunning, MemoryBroker, OutboxLimits
from asgi_ws._asgi import Broadcast, Event
from asgi_ws.brokers.base import HistoryPage
from asgi_ws.uvicorn_protocol.writer import Writer

from ..outcomes import outcome, until
from .peers import LossyBroker, Narrator, Peer, SlowBroker

ROOM = "room"

pytestmark = pytest.mark.usefixtures("each_task_start")


class Gated(MemoryBroker):
    """A broker that changes its subscriptions when a test lets it, and then fails where that says so."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.fails = False

    async def subscribe(self, room: str) -> None:
        await self.gate.wait()
        if self.fails:
            raise OSError("no store")
        await super().subscribe(room)

    async def unsubscribe(self, room: str) -> None:
        await self.gate.wait()
        await super().unsubscribe(room)

    async def stop(self) -> None:
        await super().stop()
        if self.fails:
            raise OSError("no store")


async def test_a_hub_that_stops_during_a_message_waits_for_its_broker_and_cancels_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("asgi_ws._aio.time_slice._SLICE_SECONDS", 0.0)
    broker = Gated()
    broker.gate.set()
    async with Hub(broker) as hub:
        peers = [Peer() for _ in range(200)]
        for peer in peers:
            hub.join(peer.send, ROOM)
        publishing = [asyncio.create_task(hub.publish(ROOM, text)) for text in ("1", "2")]
        await asyncio.sleep(0)
        broker.gate.clear()
        asyncio.get_running_loop().call_later(0.01, broker.gate.set)
    assert (peers[0].taken, peers[-1].taken) == (["1"], [])
    assert [await task for task in publishing] == [None, None]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_all_who_wait_for_a_subscription_are_told_that_it_failed() -> None:
    broker = Gated()
    hub = Hub(broker)

    async def enter() -> None:
        async with hub.join(Peer().send, ROOM):
            raise AssertionError

    entering = [asyncio.create_task(enter()) for _ in range(3)]
    await until(lambda: len(hub.members(ROOM)) == 3)
    entering[2].cancel()
    broker.fails = True
    broker.gate.set()
    assert [type(await outcome(task)) for task in entering[:2]] == [OSError, OSError]
    assert hub.members(ROOM) == []
    assert hub._running is not None
    await until(lambda: hub._running is not None and not hub._running.rooms)


def test_a_broker_that_cannot_be_stopped_in_another_loop_is_started_there_all_the_same() -> None:
    broker = Gated()
    hub = Hub(broker)
    asyncio.run(hub.publish(ROOM, "hello"))
    broker.fails = True
    asyncio.run(hub.publish(ROOM, "hello"))
    assert hub.statistics().published == 2


def test_a_loop_that_ends_in_the_turn_of_a_message_is_no_error() -> None:
    async def main() -> list[str]:
        hub, peer = Hub(), Peer()
        hub.join(peer.send, ROOM)
        await hub.publish(ROOM, "hello")
        return peer.taken

    assert asyncio.run(main()) == ["hello"]


async def test_a_room_without_a_history_has_nothing_to_read() -> None:
    hub = Hub(history=lambda room: History() if room == ROOM else None)
    await hub.publish("another", "hello")
    assert await hub.read("another") == HistoryPage((), None)


async def test_a_message_that_comes_in_the_moment_of_a_failure_goes_to_those_who_are_left() -> None:
    """The one who fails leaves two rooms, and the next to fail, who is in the second, makes a message there."""
    hub, watcher = Hub(encoder=Narrator()), Peer()
    failing = [Peer(), Peer()]
    for room in ("one", "two"):
        for number, peer in enumerate(failing):
            hub.join(peer.send, room, info=number)
        hub.join(watcher.send, room, info="watcher")
    for peer in (*failing, watcher):
        peer.taken.clear()
    for peer in failing:
        peer.die()
    await hub.publish("one", "hello")
    assert sorted(watcher.taken) == ["hello", "leave one 0", "leave one 1", "leave two 0", "leave two 1"]
    assert hub.statistics().members == 2


async def test_of_two_who_disconnect_each_other_in_one_message_neither_gets_another() -> None:
    hub, watcher = Hub(), Peer()
    closes: list[str] = []

    def ending(own: str, other: str) -> None:
        async def send(event: Event) -> None:
            if event["type"] == "websocket.close":
                closes.append(own)
            else:
                hub.disconnect(identity=other)

        hub.join(send, ROOM, identity=own)

    ending("ann", "ben")
    ending("ben", "ann")
    hub.join(watcher.send, ROOM, identity="watcher")
    await hub.publish(ROOM, "hello")
    await until(lambda: closes)
    await asyncio.sleep(0)
    assert (closes, watcher.taken) == (["ben"], ["hello"])
    assert [member.identity for member in hub.members(ROOM)] == ["ann", "watcher"]


async def test_a_turn_that_ends_in_a_message_that_waits_for_somebody_leaves_nobody_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub, stuck = Hub(outbox=OutboxLimits(max_messages=2)), Peer()
    hub.join(stuck.send, ROOM)
    stuck.stall()
    others = [Peer() for _ in range(200)]
    for peer in others:
        hub.join(peer.send, ROOM)
    for text in ("1", "2", "3"):
        await hub.publish(ROOM, text)
    monkeypatch.setattr("asgi_ws._aio.time_slice._SLICE_SECONDS", 0.0)
    await hub.publish(ROOM, "4")
    assert {tuple(peer.taken) for peer in others} == {("1", "2", "3", "4")}


async def test_who_is_expelled_while_his_message_waits_for_its_turn_is_closed_all_the_same() -> None:
    hub, peer = Hub(), Peer()
    ws = await peer.accepted()
    hub.join(ws, ROOM, identity="ann")
    peer.stall()
    sending = asyncio.create_task(ws.send("own"))
    await asyncio.sleep(0)
    await hub.publish(ROOM, "begun, and waits for its turn")
    assert hub.disconnect(identity="ann") == 1
    peer.resume()
    await sending
    await until(lambda: peer.close is not None)
    assert (peer.taken, peer.close) == (["own"], (1008, ""))
    assert peer.task is not None
    await peer.task


def test_a_hub_that_was_only_looked_at_in_a_loop_starts_in_the_next() -> None:
    hub = Hub()

    async def look() -> None:
        assert hub.disconnect(room=ROOM) == 0

    asyncio.run(hub.publish(ROOM, "1"))
    asyncio.run(look())
    asyncio.run(hub.publish(ROOM, "2"))
    assert hub.statistics().published == 2


async def test_a_stop_waits_for_no_broker_that_does_not_answer() -> None:
    hub = Hub(Gated())
    async with asyncio.timeout(5):
        async with hub:
            hub.join(Peer().send, ROOM)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_is_published_after_a_stop_is_an_error_that_says_how_to_start() -> None:
    async with Hub() as hub:
        pass
    with pytest.raises(HubNotRunning, match="`async with hub` starts it again"):
        await hub.publish(ROOM, "late")
    async with hub:
        await hub.publish(ROOM, "in time")
    assert hub.statistics().published == 1


async def test_who_is_expelled_from_within_a_message_takes_nobody_s_message_along() -> None:
    hub, victims = Hub(), [Peer(), Peer()]

    async def curious(event: Event) -> None:
        if event.get("text") == "1":
            await hub.publish("audit", "seen")

    async def auditor(event: Event) -> None:
        hub.disconnect(identity="curious")

    hub.join(curious, ROOM, identity="curious")
    hub.join(auditor, "audit")
    for peer in victims:
        hub.join(peer.send, ROOM)
        peer.stall()
    for text in ("1", "2"):
        await hub.publish(ROOM, text)
    for peer in victims:
        peer.resume()
    await until(lambda: all(len(peer.taken) == 2 for peer in victims))
    assert [peer.taken for peer in victims] == [["1", "2"]] * 2


async def test_a_writer_that_somebody_cancels_ends_its_membership_and_reorders_nothing() -> None:
    hub, peer = Hub(), Peer()
    before = asyncio.all_tasks()
    membership = hub.join(peer.send, ROOM)
    peer.stall()
    for text in ("1", "2", "3"):
        await hub.publish(ROOM, text)
    for task in asyncio.all_tasks() - before:
        task.cancel()
    await until(lambda: not membership.active)
    peer.resume()
    await hub.publish(ROOM, "4")
    assert peer.taken == []
    assert membership.dropped == 2


async def test_an_interruption_while_the_last_one_is_made_good_is_made_good_too() -> None:
    broker, peer = SlowBroker(), Peer()
    broker.gate.set()
    hub = Hub(broker, history=History())
    hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "1")
    broker.losing = True
    broker.gate.clear()
    await hub.publish(ROOM, "2")
    await broker.recover()
    await asyncio.sleep(0)
    broker.losing = True
    await hub.publish(ROOM, "3")
    await broker.recover()
    broker.gate.set()
    await until(lambda: len(peer.taken) == 3)
    assert peer.taken == ["1", "2", "3"]


async def test_a_transport_that_raises_keeps_no_other_connection_from_being_written() -> None:
    class Transport(asyncio.Transport):
        def __init__(self, *, raises: bool) -> None:
            super().__init__()
            self.raises = raises
            self.written = b""

        def get_write_buffer_size(self) -> int:
            return 0

        def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

        def write(self, data: bytes | bytearray | memoryview) -> None:
            if self.raises:
                raise RuntimeError("Cannot call write() after write_eof()")
            self.written += data

    loop = asyncio.get_running_loop()
    told: list[str] = []
    loop.set_exception_handler(lambda _, context: told.append(context["message"]))
    broken, whole = Transport(raises=True), Transport(raises=False)
    for transport in (broken, whole):
        Writer(transport, loop).cork(b"frame")
    await until(lambda: whole.written)
    assert (whole.written, told) == (b"frame", ["a WebSocket could not be written"])


async def test_a_disconnect_that_ends_one_by_way_of_another_ends_all() -> None:
    hub, peers = Hub(encoder=Narrator()), [Peer() for _ in range(3)]
    sockets = [await peer.accepted() for peer in peers]
    for ws in sockets:
        hub.join(ws, ROOM)
    # It is told that the first has left, and that is what ends it.
    peers[1].die()
    assert hub.disconnect(room=ROOM) == 3
    assert [ws.closed for ws in sockets] == [True] * 3
    await asyncio.gather(*(peer.task for peer in peers if peer.task is not None))


@pytest.mark.parametrize("others", [1, 200])
async def test_a_push_that_raises_ends_its_membership_alone(others: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asgi_ws._aio.time_slice._SLICE_SECONDS", 0.0)

    class Pushing(Peer):
        def push_broadcast(self, broadcast: Broadcast) -> bool:
            raise MemoryError

    hub, broken, peers = Hub(), Pushing(), [Peer() for _ in range(others)]
    for peer in peers:
        hub.join(peer.send, ROOM)
    membership = hub.join(broken.send, ROOM)
    last = Peer()
    hub.join(last.send, ROOM)
    for text in ("1", "2"):
        await hub.publish(ROOM, text)
    assert {tuple(peer.taken) for peer in (*peers, last)} == {("1", "2")}
    assert not membership.active


async def test_what_a_message_waits_for_is_cancelled_with_it_though_its_task_has_not_run() -> None:
    hub, semaphore = Hub(), asyncio.Semaphore(1)
    waited: list[asyncio.Task[bool]] = []

    async def patient(event: Event) -> None:
        async with semaphore:
            raise AssertionError

    async def asking(event: Event) -> None:
        if event["type"] == "websocket.send":
            waited.append(asyncio.ensure_future(asyncio.Event().wait()))
            await waited[0]

    await semaphore.acquire()
    hub.join(patient, ROOM, identity="ann")
    hub.join(asking, ROOM, identity="ann")
    await hub.publish(ROOM, "hello")
    assert hub.disconnect(identity="ann") == 2
    await asyncio.wait(waited)
    assert waited[0].cancelled()
    semaphore.release()
    async with asyncio.timeout(1), semaphore:
        assert semaphore.locked()


async def test_an_interruption_while_what_came_meanwhile_is_passed_on_is_made_good_too() -> None:
    broker, slow = LossyBroker(), Peer()
    hub = Hub(broker, history=History())
    hub.join(slow.send, ROOM)
    await hub.publish(ROOM, "1")
    broker.losing = True
    await hub.publish(ROOM, "2")
    await broker.recover(says_so=False)
    publishing = asyncio.create_task(hub.publish(ROOM, "3"))
    await asyncio.sleep(0)
    broker.losing = True
    lost = asyncio.create_task(hub.publish(ROOM, "4"))
    await asyncio.sleep(0)
    await broker.recover()
    await asyncio.wait([publishing, lost])
    await until(lambda: len(slow.taken) == 4)
    assert slow.taken == ["1", "2", "3", "4"]


async def test_who_enters_while_a_hub_stops_waits_for_that() -> None:
    gate = asyncio.Event()

    class Slow(Gated):
        async def stop(self) -> None:
            await gate.wait()
            await super().stop()

    hub = Hub(Slow())
    async with hub:
        entering = [asyncio.create_task(hub.__aenter__()) for _ in range(2)]
        asyncio.get_running_loop().call_later(0.01, gate.set)
    assert await asyncio.gather(*entering) == [hub, hub]
    for _ in entering:
        await hub.publish(ROOM, "hello")
        await hub.__aexit__(None, None, None)


async def test_a_send_that_does_not_end_when_it_is_cancelled_does_not_hold_a_stop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("asgi_ws.hub.runtime.FORCED_CLOSE_TIMEOUT", 0.01)
    gate = asyncio.Event()

    async def stubborn(event: Event) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await gate.wait()

    async with Hub() as hub:
        hub.join(stubborn, ROOM)
        await hub.publish(ROOM, "hello")
    assert [record.message for record in caplog.records] == ["a hub has stopped, and 1 sends go on that were cancelled"]
    gate.set()
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


async def test_a_block_that_waits_for_the_broker_when_the_hub_stops_is_told_so() -> None:
    hub = Hub(Gated())

    async def enter() -> None:
        async with hub.join(Peer().send, ROOM):
            raise AssertionError

    async with hub:
        entering = asyncio.create_task(enter())
        await until(lambda: hub.members(ROOM))
    with pytest.raises(HubNotRunning, match="the hub stops"):
        await entering
