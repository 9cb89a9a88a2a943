"""The contract of brokers: what arrives, where, and in which order."""

import asyncio
from typing import Final

from ...brokers import BrokerState, Envelope
from .hooks import ENVELOPES, KEPT, Hooks, data_of, expect, new_room, positions, publish
from .subscriber import Subscriber

# Wildcards and separators of the engines behind brokers, and long names.
_NAMES: Final = (
    "a",
    "A",
    "ab",
    "a*",
    "a?",
    "[a]",
    "a.b",
    "a.>",
    "*",
    ">",
    "a b",
    "a:b",
    "{a}",
    "a\n",
    "ä€😀",
    "a" * 200,
)


class Delivery(Hooks):
    """Tests of subscribing and publishing, of starting and stopping."""

    async def test_an_event_arrives_as_it_was_published(self) -> None:
        for history in (None, KEPT):
            room = new_room()
            async with self.started(room) as one:
                for envelope in ENVELOPES:
                    await one.broker.publish(room, envelope, history)
                await one.broker.publish(room, Envelope("end"), history)
                events = await one.events_until(room, "end")
                found = [event.envelope for event in events]
                expect(found, [*ENVELOPES, Envelope("end")], "an event arrives once, as it was published")

    async def test_an_event_arrives_at_every_broker_that_is_subscribed(self) -> None:
        room = new_room()
        async with self.started(room) as one, self.started(room) as other, self.started() as third:
            await publish(third, room, ["a"])
            await publish(other, room, ["b"])
            await publish(one, room, ["c", "end"])
            for each in (one, other):
                found = await each.data_until(room, "end")
                expect(found, ["a", "b", "c", "end"], "an event arrives once, whichever broker published it")
            expect(third.delivered, [], "who is subscribed to nothing gets nothing")

    async def test_two_brokers_that_publish_at_once_see_one_order(self) -> None:
        for history in (None, KEPT):
            room = new_room()
            async with self.started(room) as one, self.started(room) as other:
                data = [[f"{name}{number}" for number in range(30)] for name in ("one ", "other ")]
                await asyncio.gather(publish(one, room, data[0], history), publish(other, room, data[1], history))
                await publish(one, room, ["end"], history)
                seen = await one.data_until(room, "end")
                expect(await other.data_until(room, "end"), seen, "everyone sees one order")
                for own in data:
                    found = [each for each in seen if each in own]
                    expect(found, own, "what one task publishes stays in order, and arrives once")

    async def test_a_room_is_known_by_its_exact_name(self) -> None:
        prefix = new_room()
        rooms = [prefix + name for name in _NAMES]
        async with self.started(*rooms) as one, self.started(rooms[0]) as other:
            for room in rooms:
                await publish(one, room, [room], KEPT)
            for room in rooms:
                expect(await one.data_until(room, room), [room], "a room gets what was published there, and once")
                page = await one.broker.read(room, None, 10)
                expect(data_of(page.events), [room], "the history of a room has what was published there, and once")
            # An event of another room would have been delivered before this one.
            await publish(one, rooms[0], ["end"])
            expect(await other.data_until(rooms[0], "end"), [rooms[0], "end"], "a room gets its own events alone")
            expect({room for room, _ in other.delivered}, {rooms[0]}, "a broker gets the rooms it is subscribed to")

    async def test_nothing_arrives_after_unsubscribe(self) -> None:
        room, another = new_room(), new_room()
        async with self.started(room, another) as one, self.started() as other:
            await publish(other, room, ["a"])
            await one.events_until(room, "a")
            await one.broker.unsubscribe(room)
            await publish(other, room, ["b"])
            await publish(other, another, ["end"])
            await one.events_until(another, "end")
            await one.broker.subscribe(room)
            await publish(other, room, ["c"])
            found = await one.data_until(room, "c")
            expect(found, ["a", "c"], "nothing arrives between unsubscribe and subscribe, and everything after")

    async def test_subscribing_twice_is_as_good_as_once(self) -> None:
        room = new_room()
        async with self.started(room) as one, self.started(room) as other:
            await one.broker.unsubscribe(new_room())
            await one.broker.subscribe(room)
            await publish(other, room, ["a", "b"])
            expect(await one.data_until(room, "b"), ["a", "b"], "an event arrives once, after two subscriptions too")
            await one.broker.unsubscribe(room)
            await publish(other, room, ["c"])
            await other.events_until(room, "c")
            await one.broker.subscribe(room)
            await publish(other, room, ["d"])
            found = await one.data_until(room, "d")
            expect(found, ["a", "b", "d"], "one unsubscribe ends what two subscriptions began")

    async def test_what_on_event_returns_is_awaited(self) -> None:
        room = new_room()
        async with self.started(room) as one, self.started(room) as other:
            await publish(one, room, ["a", "b", "c"])
            for each in (one, other):
                await each.wait_until_handed_over(3)

    async def test_an_on_event_that_raises_costs_nobody_an_event(self) -> None:
        room = new_room()
        async with (
            self.started(room, fails_at_call=["a"], fails_when_awaited=["b"]) as one,
            self.started(room) as other,
        ):
            await publish(one, room, ["a", "b"])
            await publish(other, room, ["a", "b", "end"])
            for each in (one, other):
                found = await each.data_until(room, "end")
                expect(found, ["a", "b", "a", "b", "end"], "what on_event raises does not end the delivery")

    async def test_a_stopped_broker_delivers_nothing_and_can_start_again(self) -> None:
        room, another = new_room(), new_room()
        broker = await self.make_broker()
        expect(broker.state, BrokerState.STOPPED, "a new broker is stopped")
        await broker.stop()
        async with self.started(room, another, broker=broker) as one, self.started(room) as other:
            expect(broker.state, BrokerState.CONNECTED, "a broker that has started is connected")
            await broker.stop()
            await broker.stop()
            await broker.unsubscribe(another)
            expect(broker.state, BrokerState.STOPPED, "a broker that was stopped is stopped")
            await publish(other, room, ["a"])
            await other.events_until(room, "a")
            again = Subscriber(broker, self.timeout)
            await again.start()
            await publish(other, room, ["b"])
            await other.events_until(room, "b")
            await broker.subscribe(room)
            await publish(other, room, ["c"])
            expect(await again.data_until(room, "c"), ["c"], "a broker that starts again is subscribed to nothing")
            expect(one.delivered, [], "nothing arrives after stop")

    async def test_after_an_interruption_the_broker_says_so_and_goes_on(self) -> None:
        room = new_room()
        async with self.started(room) as one, self.started() as other:
            first = await positions(other, room, ["a"])
            await one.events_until(room, "a")
            async with self.interruption(one.broker):
                await one.wait_for_state(BrokerState.INTERRUPTED)
                await publish(other, room, ["b"], KEPT)
            promise = "on_interrupted is called once the store is back"
            await one.wait(lambda: one.interruptions > 0, promise, "a call", lambda: "none")
            await one.wait_for_state(BrokerState.CONNECTED)
            page = await one.broker.read(room, first[0], 10)
            expect(data_of(page.events), ["b"], "what was missed can be read")
            await publish(other, room, ["c"], KEPT)
            expect((await one.data_until(room, "c"))[-1], "c", "subscriptions are in force again")
