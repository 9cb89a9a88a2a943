"""Who is in a room, and who hears of it."""

from asgi_ws import Encoder, Hub, Member

from .peers import Narrator, Peer


def present(hub: Hub) -> list[tuple[str, object, int]]:
    return [(member.identity, member.info, member.connections) for member in hub.members("room")]


async def test_an_identity_with_several_connections_is_there_once_and_is_announced_once() -> None:
    hub, watcher, phone, laptop = Hub(encoder=Narrator()), Peer(), Peer(), Peer()
    hub.join(watcher.send, "room", identity="watcher", info="watcher")
    first = hub.join(phone.send, "room", identity="ann", info="ann")
    assert watcher.taken == ["join room ann"]
    second = hub.join(laptop.send, "room", identity="ann", info="Ann")
    assert present(hub) == [("watcher", "watcher", 1), ("ann", "Ann", 2)]
    assert first.members() == hub.room("room").members() == hub.members("room")
    first.leave()
    assert present(hub) == [("watcher", "watcher", 1), ("ann", "Ann", 1)]
    assert watcher.taken == ["join room ann"]
    second.leave()
    assert present(hub) == [("watcher", "watcher", 1)]
    assert watcher.taken == ["join room ann", "leave room Ann"]
    # Nobody hears of himself, and a second connection of an identity is no other.
    assert (phone.taken, laptop.taken) == ([], [])


async def test_without_an_identity_each_connection_is_one_and_the_same_in_all_rooms() -> None:
    hub, first, second = Hub(), Peer(), Peer()
    memberships = [hub.join(first.send, "room"), hub.join(first.send, "another"), hub.join(second.send, "room")]
    assert memberships[0].identity == memberships[1].identity != memberships[2].identity
    assert hub.members("room") == [
        Member(memberships[0].identity, None, 1),
        Member(memberships[2].identity, None, 1),
    ]


async def test_the_end_of_a_connection_is_a_leave_in_all_of_its_rooms() -> None:
    hub, watcher, peer = Hub(encoder=Narrator()), Peer(), Peer()
    ws = await peer.accepted()
    for room in ("one", "two"):
        hub.join(watcher.send, room, info="watcher")
        hub.join(ws, room, info="ann")
    peer.leave()
    assert peer.task is not None
    await peer.task
    assert watcher.taken == ["join one ann", "join two ann", "leave one ann", "leave two ann"]
    assert (hub.statistics().connections, hub.statistics().members) == (1, 2)


async def test_by_itself_a_hub_says_nothing_of_who_comes_and_goes() -> None:
    hub, watcher, peer = Hub(encoder=Encoder()), Peer(), Peer()
    hub.join(watcher.send, "room")
    hub.join(peer.send, "room").leave()
    assert watcher.taken == []


async def test_an_encoder_that_leaves_joins_and_leaves_to_its_base_says_nothing_of_them() -> None:
    class Counting(Encoder):
        calls = 0

        def join(self, room: str, member: Member) -> str | bytes | None:
            self.calls += 1
            return super().join(room, member)

        def leave(self, room: str, member: Member) -> str | bytes | None:
            self.calls += 1
            return super().leave(room, member)

    encoder = Counting()
    hub, watcher, peer = Hub(encoder=encoder), Peer(), Peer()
    hub.join(watcher.send, "room")
    hub.join(peer.send, "room").leave()
    assert (encoder.calls, watcher.taken) == (3, [])


async def test_a_membership_shows_itself_without_a_line_break_that_a_client_chose() -> None:
    hub, peer = Hub(), Peer()
    membership = hub.join(peer.send, "ro\nom", identity="a\nn")
    assert repr(membership) == "<Membership of 'a\\nn' in 'ro\\nom'>"
    membership.leave()
    assert repr(membership) == "<Membership of 'a\\nn' in 'ro\\nom', ended>"
