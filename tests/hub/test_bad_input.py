"""Calls that a hub refuses, and the errors that it raises."""

import logging
from typing import Any

import pytest

from asgi_ws import (
    AlreadyJoined,
    ConnectionClosed,
    Encoder,
    Hub,
    InvalidCloseCode,
    InvalidCloseReason,
    InvalidLimit,
    InvalidMessage,
    InvalidOverflow,
    InvalidRoom,
    OutboxLimits,
)

from ..outcomes import until
from .inside import holds_nothing
from .peers import Peer


async def test_a_name_that_no_room_can_have_is_refused_by_every_call() -> None:
    names: list[tuple[Any, str]] = [
        ("", "room '': the name is empty"),
        ("é" * 128, "the name has 256 bytes of UTF-8; at most 255 are allowed"),
        ("\ud800", "room '\\ud800': the name cannot be encoded as UTF-8"),
        (b"room", "room b'room': expected a name as str"),
        (None, "room None: expected a name as str"),
    ]
    hub, peer = Hub(), Peer()
    for name, told in names:
        for call in (lambda name: hub.join(peer.send, name), hub.room, hub.members):
            with pytest.raises(InvalidRoom) as refused:
                call(name)
            assert told in str(refused.value)
        for calling in (hub.publish(name, "hello"), hub.read(name)):
            with pytest.raises(InvalidRoom):
                await calling
    assert hub.statistics().connections == 0
    # The longest name there can be.
    hub.join(peer.send, "é" * 127 + "e")
    await hub.publish("é" * 127 + "e", "hello")
    assert peer.taken == ["hello"]


async def test_a_message_or_a_key_that_is_none_is_refused_and_harms_nobody() -> None:
    hub, peer = Hub(overflow="conflate"), Peer()
    hub.join(peer.send, "room")
    peer.stall()
    await hub.publish("room", "first")
    data: list[Any] = [7, None, ["text"], {"type": "websocket.send"}]
    for each in data:
        with pytest.raises(InvalidMessage, match=r"publish\(\): expected str or bytes, got "):
            await hub.publish("room", each)
    with pytest.raises(InvalidMessage, match="UTF-8"):
        await hub.publish("room", "\ud800")
    keys: list[Any] = [["a"], {"a": 1}, 7]
    for key in keys:
        with pytest.raises(InvalidMessage, match="key"):
            await hub.publish("room", "second", key=key)
    await hub.publish("room", "third", key="key")
    peer.resume()
    await until(lambda: peer.taken == ["first", "third"])


async def test_joining_twice_says_so_and_keeps_the_first_membership() -> None:
    hub, peer = Hub(), Peer()
    membership = hub.join(peer.send, "room")
    with pytest.raises(AlreadyJoined, match="already in room 'room'"):
        hub.join(peer.send, "room")
    await hub.publish("room", "hello")
    assert membership.active
    assert peer.taken == ["hello"]


@pytest.mark.parametrize("rooms", [[], ["another"]])
async def test_joining_with_a_connection_that_has_ended_tells_how(rooms: list[str]) -> None:
    hub, peer = Hub(), Peer()
    ws = await peer.accepted()
    for room in rooms:
        hub.join(ws, room)
    await ws.close(4001, "enough")
    with pytest.raises(ConnectionClosed) as closed:
        hub.join(ws, "room")
    assert (closed.value.code, closed.value.reason) == (4001, "enough")
    assert hub.statistics().connections == 0


async def test_joining_with_a_connection_that_is_being_closed_tells_so_also_while_something_is_stuck() -> None:
    hub, peer = Hub(), Peer()
    ws = await peer.accepted()
    hub.join(ws, "room", identity="ann")
    peer.stall()
    await hub.publish("room", "stuck")
    assert hub.disconnect(identity="ann") == 1
    with pytest.raises(ConnectionClosed):
        hub.join(ws, "another")
    peer.die()
    assert peer.task is not None
    await peer.task


async def test_an_unknown_policy_is_refused_with_those_there_are() -> None:
    told = "expected one of 'close', 'drop_oldest', 'drop_newest', 'conflate'"
    for overflow in ("drop", "", 7):
        with pytest.raises(InvalidOverflow, match=told):
            Hub(overflow=overflow)  # type: ignore[arg-type] # that is the point
        with pytest.raises(InvalidOverflow, match=told):
            Hub().join(Peer().send, "room", overflow=overflow)  # type: ignore[arg-type] # likewise


@pytest.mark.parametrize("name", ["max_bytes", "max_messages", "max_age", "unpaced_bytes_per_second"])
def test_a_bound_that_is_none_is_refused(name: str) -> None:
    number = "number" if name == "max_age" else "whole number"
    values: list[Any] = [0, -1, "7", None, True, float("nan"), float("inf"), *([1.5] if name != "max_age" else [])]
    for value in values:
        with pytest.raises(InvalidLimit) as refused:
            OutboxLimits(**{name: value})
        assert str(refused.value) == f"OutboxLimits({name}={value!r}): expected a positive {number}"
    assert OutboxLimits(max_age=0.5).max_age == 0.5


async def test_disconnecting_nobody_in_particular_or_with_a_close_that_no_frame_can_carry_is_refused() -> None:
    hub = Hub()
    with pytest.raises(TypeError, match=r"disconnect\(\): give identity=, room= or both"):
        hub.disconnect()
    with pytest.raises(InvalidCloseCode):
        hub.disconnect(room="room", code=1006)
    with pytest.raises(InvalidCloseReason):
        hub.disconnect(room="room", reason="r" * 124)
    assert hub.disconnect(room="room") == 0


async def test_a_history_function_that_raises_leaves_nothing_behind() -> None:
    def fail(room: str) -> None:
        raise LookupError(room)

    hub = Hub(history=fail)
    with pytest.raises(LookupError):
        hub.join(Peer().send, "room")
    assert holds_nothing(hub)


async def test_an_identity_that_cannot_be_one_leaves_nothing_behind() -> None:
    hub = Hub()
    with pytest.raises(TypeError):
        hub.join(Peer().send, "room", identity=["ann"])  # type: ignore[arg-type] # that is the point
    assert (hub.statistics().rooms, hub.statistics().connections, hub.members("room")) == (0, 0, [])


async def test_leaving_what_one_is_not_in_is_no_error() -> None:
    hub, peer = Hub(), Peer()
    hub.leave(peer.send, "room")
    membership = hub.join(peer.send, "room")
    hub.leave(peer.send, "another")
    hub.leave(Peer().send, "room")
    assert membership.active
    hub.leave(peer.send, "room")
    membership.leave()
    assert not membership.active


@pytest.mark.parametrize("value", [None, 7, "\ud800"])
async def test_an_encoder_that_gives_nonsense_or_raises_is_logged_and_nothing_is_sent(
    value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Nonsense(Encoder):
        def message(self, room: str, event: Any) -> str:
            if event.envelope.data != "again":
                raise LookupError("no such word")
            return "again"

        def join(self, room: str, member: Any) -> Any:
            return value

    hub, peer = Hub(encoder=Nonsense()), Peer()
    hub.join(peer.send, "room")
    hub.join(Peer().send, "room")
    await hub.publish("room", "hello")
    await hub.publish("room", "again")
    assert peer.taken == ["again"]
    logged = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    times = 1 if value is None else 3
    assert logged == ["the encoder of a hub raised"] * times
