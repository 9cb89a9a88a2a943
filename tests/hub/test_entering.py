"""`async with` on a membership: once, and only while it lasts."""

import asyncio
from collections.abc import Callable

import pytest

from asgi_ws import ConnectionClosed, Hub, HubNotRunning, LifecycleError, Membership
from asgi_ws._asgi import Event

from ..outcomes import until
from .peers import Narrator, Peer
from .test_lifetime import Scripted

ROOM = "room"

pytestmark = pytest.mark.usefixtures("each_task_start")


async def entered(membership: Membership) -> None:
    async with membership:
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


async def fails(event: Event) -> None:
    raise ValueError


def disconnect(hub: Hub, membership: Membership) -> None:
    hub.disconnect(room=ROOM, code=4001, reason="out")


def leave(hub: Hub, membership: Membership) -> None:
    membership.leave()


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    ("end", "error", "text"),
    [
        (disconnect, ConnectionClosed, r"4001.*out"),
        (leave, LifecycleError, r"^async with membership is not allowed in state LEFT: join\(\) again$"),
    ],
)
async def test_entering_a_membership_that_has_ended_says_why(
    own: bool, end: Callable[[Hub, Membership], None], error: type[Exception], text: str
) -> None:
    hub, peer = Hub(), Peer()
    membership = hub.join(await peer.accepted() if own else peer.send, ROOM)
    end(hub, membership)
    for _ in range(2):
        with pytest.raises(error, match=text):
            await entered(membership)
    assert hub._running is not None
    assert (hub._running.rooms, hub._running.subscribers) == ({}, {})


async def test_entering_a_membership_whose_send_has_failed_says_so() -> None:
    hub, gone = Hub(), Peer()
    broken, lost = hub.join(fails, ROOM), hub.join(gone.send, ROOM)
    gone.die()
    await hub.publish(ROOM, "hello")
    with pytest.raises(LifecycleError, match="FAILED: its send raised"):
        await entered(broken)
    with pytest.raises(ConnectionClosed, match="1006"):
        await entered(lost)


async def test_entering_a_membership_after_its_hub_has_stopped_says_so() -> None:
    async with Hub() as hub:
        membership = hub.join(Peer().send, ROOM)
    with pytest.raises(HubNotRunning, match="the hub has stopped"):
        await entered(membership)


@pytest.mark.parametrize("while_entering", [False, True])
async def test_a_membership_has_one_block_and_a_second_one_is_refused(while_entering: bool) -> None:
    broker = Scripted()
    hub, peer = Hub(broker), Peer()
    if while_entering:
        broker.gates["subscribe"] = asyncio.Event()
    membership = hub.join(peer.send, ROOM)
    entering = asyncio.create_task(membership.__aenter__())
    await asyncio.sleep(0)
    assert entering.done() is not while_entering
    with pytest.raises(LifecycleError, match="ENTERED: a membership has one block"):
        await entered(membership)
    # The first one is as it was.
    for gate in broker.gates.values():
        gate.set()
    await entering
    await hub.publish(ROOM, "hello")
    assert (membership.active, peer.taken) == (True, ["hello"])
    membership.leave()


async def test_a_membership_is_not_entered_again_after_its_block() -> None:
    hub, peer = Hub(), Peer()
    async with hub.join(peer.send, ROOM) as membership:
        pass
    with pytest.raises(LifecycleError, match="LEFT"):
        await entered(membership)


@pytest.mark.parametrize("own", [True, False])
async def test_a_membership_that_ends_while_the_broker_is_told_has_no_block(own: bool) -> None:
    broker = Scripted()
    broker.gates["subscribe"] = asyncio.Event()
    hub, peer = Hub(broker, encoder=Narrator()), Peer()
    membership = hub.join(await peer.accepted() if own else peer.send, ROOM)
    entering = asyncio.create_task(entered(membership))
    await until(lambda: "subscribe" in broker.calls)
    peer.die()
    hub.join(Peer().send, ROOM)
    assert not membership.active
    broker.gates["subscribe"].set()
    with pytest.raises(ConnectionClosed, match="1006"):
        await entering
