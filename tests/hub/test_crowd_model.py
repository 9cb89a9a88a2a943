"""A room of a thousand members against lists: they come, leave in crowds, are excluded and disconnected."""

import asyncio
import random

import pytest

from asgi_ws import Hub, Membership

from .peers import Narrator, Peer

ROOM = "room"
CROWD = 1000


class Crowd:
    """The members of a room, each with the list of what it has to get."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.inside: dict[Membership, tuple[Peer, list[str]]] = {}
        self.every: list[tuple[Peer, list[str]]] = []

    def fill(self) -> None:
        for number in range(CROWD - len(self.inside)):
            peer: Peer = Peer()
            self.every.append((peer, []))
            self.inside[self.hub.join(peer.send, ROOM, identity=str(number % 10))] = self.every[-1]

    async def publish(self, text: str, without: set[Membership]) -> None:
        exclude = next(iter(without)) if len(without) == 1 else None
        await self.hub.publish(ROOM, text, exclude=exclude)
        for membership in self.inside.keys() - without:
            self.inside[membership][1].append(text)

    async def end(self, identity: str, how: str) -> None:
        leaving = {each for each in self.inside if each.identity == identity}
        if how == "leave":
            for membership in leaving:
                membership.leave()
        elif how == "disconnect":
            assert self.hub.disconnect(identity=identity, room=ROOM) == len(leaving)
        else:
            for membership in leaving:
                self.inside[membership][0].die()
            await self.publish("last", leaving)
        for membership in leaving:
            assert not membership.active
            del self.inside[membership]


@pytest.mark.parametrize("seed", range(2))
async def test_a_room_of_a_thousand_is_what_its_lists_are(seed: int) -> None:
    chance, crowd = random.Random(seed), Crowd()
    hub = crowd.hub
    for step in range(12):
        crowd.fill()
        await crowd.publish(str(step), {chance.choice(list(crowd.inside))})
        await crowd.end(str(step % 10), chance.choice(["leave", "disconnect", "fail"]))
        assert hub.statistics().members == len(crowd.inside)
        assert sum(member.connections for member in hub.members(ROOM)) == len(crowd.inside)
    assert [peer.taken for peer, _ in crowd.every] == [expected for _, expected in crowd.every]
    # The room goes with its last member, and the next one is another.
    for membership in list(crowd.inside):
        membership.leave()
    assert (hub.statistics().rooms, hub.members(ROOM)) == (0, [])
    late = Peer()
    async with hub.join(late.send, ROOM):
        await hub.publish(ROOM, "again")
    assert late.taken == ["again"]


async def test_a_member_that_stays_hears_of_each_that_leaves_in_their_order() -> None:
    hub, watcher = Hub(encoder=Narrator()), Peer()
    memberships = [hub.join(Peer().send, ROOM, info=number) for number in range(CROWD // 10)]
    hub.join(watcher.send, ROOM, info="watcher")
    for membership in memberships:
        membership.leave()
    async with asyncio.timeout(30):
        while len(watcher.taken) < len(memberships):
            await asyncio.sleep(0)
    assert watcher.taken == [f"leave {ROOM} {number}" for number in range(CROWD // 10)]
