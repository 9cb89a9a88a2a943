"""Moments that seldom come: two things that end at once, and members that end others."""

import asyncio
import itertools
import time

import pytest

from asgi_ws import Hub, OutboxLimits
from asgi_ws._asgi import Event
from asgi_ws.brokers import Envelope, RoomEvent
from asgi_ws.uvicorn_protocol.writer import Writer

from ..outcomes import until
from .peers import Narrator, Peer, ScriptedBroker, join_all

ROOM = "room"

pytestmark = pytest.mark.usefixtures("each_task_start")


@pytest.mark.usefixtures("no_slice")
async def test_a_hub_that_stops_during_a_message_waits_for_its_broker_and_cancels_nobody() -> None:
    broker = ScriptedBroker()
    hub = await Hub(broker).__aenter__()
    peers = [Peer() for _ in range(200)]
    join_all(hub, *peers)
    publishing = [asyncio.create_task(hub.publish(ROOM, text)) for text in ("1", "2")]
    await asyncio.sleep(0)
    broker.gates["stop"] = asyncio.Event()
    stopping = asyncio.create_task(hub.__aexit__(None, None, None))
    await until(lambda: "stop" in broker.calls)
    broker.gates["stop"].set()
    await stopping
    assert (peers[0].taken, peers[-1].taken) == (["1"], [])
    assert [await task for task in publishing] == [None, None]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_hub_that_is_stopped_by_a_send_sends_that_message_to_no_other_member() -> None:
    hub, peer = Hub(), Peer()
    await hub.__aenter__()
    stopped = asyncio.Event()

    async def stopping(event: Event) -> None:
        asyncio.get_running_loop().call_soon(stopped.set)
        await hub.__aexit__(None, None, None)

    hub.join(stopping, ROOM)
    hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "hello")
    await stopped.wait()
    assert (peer.taken, hub.statistics().members) == ([], 0)


async def test_an_event_of_a_room_that_has_gone_is_nobodys() -> None:
    broker = ScriptedBroker()
    hub, peer = Hub(broker), Peer()
    hub.join(peer.send, ROOM)
    await broker.deliver("another", RoomEvent(Envelope("late")))
    assert peer.taken == []


async def test_a_message_that_comes_in_the_moment_of_a_failure_goes_to_those_that_are_left() -> None:
    """Fail in two rooms: the leave notice in the second makes the next member there fail."""
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


async def test_of_two_that_disconnect_each_other_in_one_message_neither_gets_another() -> None:
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


async def test_a_slice_that_ends_in_a_message_that_waits_for_a_full_outbox_leaves_nobody_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub, stuck = Hub(outbox=OutboxLimits(max_messages=2)), Peer()
    hub.join(stuck.send, ROOM)
    stuck.stall()
    others = [Peer() for _ in range(200)]
    join_all(hub, *others)
    for text in ("1", "2", "3"):
        await hub.publish(ROOM, text)
    seconds = itertools.count()
    monkeypatch.setattr(time, "thread_time", lambda: float(next(seconds)))
    await hub.publish(ROOM, "4")
    assert {tuple(peer.taken) for peer in others} == {("1", "2", "3", "4")}


async def test_a_member_that_is_disconnected_while_its_message_waits_for_its_turn_is_closed_all_the_same() -> None:
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


async def test_a_member_that_is_disconnected_from_within_a_message_takes_no_other_message_along() -> None:
    hub, victims = Hub(), [Peer(), Peer()]

    async def curious(event: Event) -> None:
        if event.get("text") == "1":
            await hub.publish("audit", "seen")

    async def auditor(event: Event) -> None:
        hub.disconnect(identity="curious")

    hub.join(curious, ROOM, identity="curious")
    hub.join(auditor, "audit")
    join_all(hub, *victims)
    for peer in victims:
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
    writers = asyncio.all_tasks() - before
    for task in writers:
        task.cancel()
    await asyncio.wait(writers)
    assert all(task.cancelled() for task in writers)
    assert not membership.active
    peer.resume()
    await hub.publish(ROOM, "4")
    assert peer.taken == []
    assert membership.dropped == 2


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
    # The notice that the first has left is what ends it.
    peers[1].die()
    assert hub.disconnect(room=ROOM) == 3
    assert [ws.closed for ws in sockets] == [True] * 3
    await asyncio.gather(*(peer.task for peer in peers if peer.task is not None))


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
