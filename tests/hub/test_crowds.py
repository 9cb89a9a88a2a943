"""Members that come and go in crowds: linear in time and memory, and never for long in one iteration of the loop."""

import asyncio
import random
import tracemalloc
from collections.abc import Callable

import pytest

from asgi_ws import ConnectionClosed, Encoder, Hub, Member, Membership

from ..outcomes import until
from .inside import holds_nothing
from .peers import Narrator, Peer, crowd

ROOM = "room"
CROWD = 1000


async def iterations_until(condition: Callable[[], object]) -> int:
    count = 0

    def is_met() -> object:
        nonlocal count
        count += 1
        return condition()

    await until(is_met)
    return count


async def test_members_that_are_disconnected_together_do_not_hear_of_each_other_and_all_others_hear_of_each() -> None:
    hub, watcher, elsewhere = Hub(encoder=Narrator()), Peer(), Peer()
    peers = [Peer() for _ in range(3)]
    hub.join(elsewhere.send, "another")
    for number, peer in enumerate(peers):
        hub.join(peer.send, ROOM, identity="out" if number else "in", info=number)
        hub.join(peer.send, "another", info=number)
    hub.join(watcher.send, ROOM)
    for peer in (*peers, watcher, elsewhere):
        peer.taken.clear()
    assert hub.disconnect(identity="out") == 2
    # One identity, which has left with its last connection.
    assert (watcher.taken, elsewhere.taken) == (["leave room 2"], ["leave another 1", "leave another 2"])
    assert [peer.taken for peer in peers] == [["leave another 1", "leave room 2", "leave another 2"], [], []]
    await until(lambda: peers[1].close and peers[2].close)


async def test_nothing_is_announced_in_a_room_whose_members_are_all_disconnected() -> None:
    announced = []

    class Listing(Encoder):
        def leave(self, room: str, member: Member) -> None:
            announced.append(member)

    hub = Hub(encoder=Listing())
    memberships = [hub.join(Peer().send, ROOM) for _ in range(3)]
    memberships.pop().leave()
    assert len(announced) == 1
    assert hub.disconnect(room=ROOM) == 2
    assert len(announced) == 1


async def test_members_of_a_room_that_is_disconnected_have_all_left_when_the_call_returns_and_are_closed_in_turn() -> (
    None
):
    hub = Hub(encoder=Narrator())
    taken, memberships = crowd(hub, 500)
    for own in taken:
        own.clear()
    assert hub.disconnect(room=ROOM, code=4000, reason="out") == 500
    assert (hub.members(ROOM), hub.statistics().members, hub.statistics().connections) == ([], 0, 0)
    assert not any(membership.active for membership in memberships)
    assert hub.disconnect(room=ROOM) == hub.disconnect(identity=memberships[0].identity) == 0
    # Each close is work for other tasks in the iterations that follow, so they are not all begun in one.
    assert await iterations_until(lambda: all(taken)) > 5
    assert taken == [["websocket.close"]] * 500
    assert holds_nothing(hub)


@pytest.mark.usefixtures("no_slice")
async def test_a_block_of_a_member_that_is_still_to_be_closed_does_not_begin_and_one_that_has_begun_ends() -> None:
    hub, peers, ended = Hub(), [Peer() for _ in range(3)], []

    async def handler(peer: Peer) -> None:
        async with hub.join(peer.send, ROOM):
            await asyncio.Event().wait()
        ended.append(peer)

    handling = [asyncio.create_task(handler(peer)) for peer in peers]
    await until(lambda: len(hub.members(ROOM)) == 3)
    late = hub.join(Peer().send, ROOM)
    assert hub.disconnect(room=ROOM) == 4
    with pytest.raises(ConnectionClosed):
        await late.__aenter__()
    await asyncio.gather(*handling)
    assert ended == peers


@pytest.mark.usefixtures("no_slice")
async def test_a_connection_that_ends_before_its_disconnect_comes_to_it_is_not_closed_again() -> None:
    hub, peers = Hub(), [Peer() for _ in range(3)]
    sockets = [await peer.accepted() for peer in peers]
    for ws in sockets:
        hub.join(ws, ROOM)
    assert hub.disconnect(room=ROOM, code=4000) == 3
    assert sockets[0].closed
    await sockets[2].close(4001)
    await until(lambda: all(peer.close for peer in peers))
    assert [peer.close for peer in peers] == [(4000, ""), (4000, ""), (4001, "")]
    await until(lambda: holds_nothing(hub))
    await asyncio.gather(*(peer.task for peer in peers if peer.task is not None))


class Leaves(Encoder):
    """Announces leaves, and counts them."""

    count = 0

    def leave(self, room: str, member: Member) -> str:
        self.count += 1
        return "left"


@pytest.mark.usefixtures("no_slice")
async def test_a_crowd_that_leaves_one_by_one_takes_memory_for_each_and_not_for_each_pair() -> None:
    hub = Hub(encoder=(encoder := Leaves()))
    taken, memberships = crowd(hub, 2000)
    tracemalloc.start()
    try:
        for membership in memberships:
            membership.leave()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A list of the remaining members for each one that leaves would be 16 MiB.
    assert peak < 4 * 2**20
    # The first message takes one iteration for each member. The others find the room empty.
    for _ in range(2500):
        await asyncio.sleep(0)
    assert encoder.count <= 2
    assert sum(map(len, taken)) <= 200


@pytest.mark.usefixtures("no_slice")
async def test_a_message_that_waits_for_its_turn_goes_to_those_who_were_there_when_it_came_and_still_are() -> None:
    hub = Hub()
    taken, memberships = crowd(hub, 200)
    publishing = [asyncio.create_task(hub.publish(ROOM, text)) for text in ("1", "2")]
    await asyncio.sleep(0)
    late = Peer()
    hub.join(late.send, ROOM)
    memberships[-1].leave()
    publishing.append(asyncio.create_task(hub.publish(ROOM, "3")))
    await asyncio.gather(*publishing)
    assert late.taken == ["3"]
    assert (taken[0], taken[-2], taken[-1]) == (["1", "2", "3"], ["1", "2", "3"], [])


@pytest.mark.usefixtures("no_slice")
async def test_a_connection_in_many_rooms_leaves_them_in_slices_and_each_room_hears_of_it() -> None:
    hub, peer = Hub(encoder=Narrator()), Peer()
    ws = await peer.accepted()
    watchers: list[list[str]] = []
    for number in range(100):
        watchers += crowd(hub, 1, f"room {number}")[0]
        hub.join(ws, f"room {number}", info="bot")
    await until(lambda: all(watchers))
    peer.leave()
    assert await iterations_until(lambda: all(len(own) == 2 for own in watchers)) > 5
    assert {own[-1] for own in watchers} == {f"leave room {number} bot" for number in range(100)}
    assert hub.statistics().members == 100


@pytest.mark.usefixtures("no_slice")
@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_stop_ends_all_members_in_slices_and_none_hears_of_another(is_cancelled: bool) -> None:
    hub = Hub(encoder=Narrator())
    await hub.__aenter__()
    taken, memberships = crowd(hub, 50)
    await until(lambda: len(taken[0]) == 49)
    stopping = asyncio.create_task(hub.__aexit__(None, None, None))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not stopping.done()
    if is_cancelled:
        stopping.cancel()
    else:
        # By itself, while the hub comes to the others.
        memberships[-1].leave()
    await asyncio.wait([stopping])
    assert stopping.cancelled() is is_cancelled
    assert not any(membership.active for membership in memberships)
    assert (hub.members(ROOM), hub.statistics().connections) == ([], 0)
    assert not any(text.startswith("leave") for own in taken for text in own)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def end(hub: Hub, how: str, leaving: dict[Membership, Peer]) -> None:
    """Let members of one identity go; those that fail are members until they are sent something."""
    if how == "disconnect":
        assert hub.disconnect(identity=next(iter(leaving)).identity, room=ROOM) == len(leaving)
    for membership, peer in leaving.items():
        if how == "leave":
            membership.leave()
        elif how == "fail":
            peer.die()


@pytest.mark.parametrize("seed", range(2))
async def test_a_room_of_a_thousand_against_lists(seed: int) -> None:
    """Compare each member with a list, while members join, leave in crowds, fail, or are excluded or disconnected."""
    chance, hub = random.Random(seed), Hub()
    inside: dict[Membership, tuple[Peer, list[str]]] = {}
    every: list[tuple[Peer, list[str]]] = []

    async def publish(text: str, exclude: Membership) -> None:
        await hub.publish(ROOM, text, exclude=exclude)
        for membership in inside.keys() - {exclude}:
            inside[membership][1].append(text)

    for step in range(12):
        for number in range(CROWD - len(inside)):
            every.append((Peer(), []))
            inside[hub.join(every[-1][0].send, ROOM, identity=str(number % 10))] = every[-1]
        await publish(str(step), chance.choice(list(inside)))
        leaving = {each: peer for each, (peer, _) in inside.items() if each.identity == str(step % 10)}
        end(hub, chance.choice(["leave", "disconnect", "fail"]), leaving)
        for membership in leaving:
            del inside[membership]
        await publish("next", chance.choice(list(inside)))
        assert not any(membership.active for membership in leaving)
        assert hub.statistics().members == sum(each.connections for each in hub.members(ROOM)) == len(inside)
    assert [peer.taken for peer, _ in every] == [expected for _, expected in every]
    for membership in list(inside):
        membership.leave()
    assert (hub.statistics().rooms, hub.members(ROOM)) == (0, [])
