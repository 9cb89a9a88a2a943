"""The contract of brokers: positions, and what can be read."""

import asyncio
from itertools import pairwise

from ...brokers import Envelope, History, HistoryPage, Position, RoomEvent
from .hooks import ENVELOPES, KEPT, Hooks, data_of, expect, new_room, positions


class Histories(Hooks):
    """Tests of positions and of reading."""

    async def test_without_a_history_there_is_no_position_and_nothing_is_kept(self) -> None:
        room = new_room()
        async with self.started(room) as one:
            position = await one.broker.publish(room, Envelope("a"), None)
            expect(position, None, "without a history publish gives no position")
            expect(await one.events_until(room, "a"), [RoomEvent(Envelope("a"))], "nor does the event have one")
            expect((await one.broker.read(room, None, 10)).events, (), "nothing is kept")

    async def test_each_position_follows_the_one_before(self) -> None:
        room = new_room()
        async with self.started(room) as one:
            before = (await one.broker.read(room, None, 10)).top
            given = await positions(one, room, ["a", "b", "c"])
            expect([each.offset for each in given], [1, 2, 3], "offsets count from 1")
            expect(len({each.epoch for each in given}), 1, "the epoch stays while nothing is lost")
            start = Position(given[0].epoch, 0)
            if before is not None:
                expect(before, start, "the top of a room without events is the place before its first one")
            found = [(event.previous, event.position) for event in await one.events_until(room, "c")]
            expect(found, list(pairwise([start, *given])), "an event has its position and that of the event before")

    async def test_positions_have_no_hole_when_two_brokers_publish_at_once(self) -> None:
        room = new_room()
        async with self.started(room) as one, self.started(room) as other:
            mine = [f"one {number}" for number in range(30)]
            others = [f"other {number}" for number in range(30)]
            given = await asyncio.gather(positions(one, room, mine), positions(other, room, others))
            (last,) = await positions(one, room, ["end"])
            by_data = dict(zip([*mine, *others, "end"], [*given[0], *given[1], last], strict=True))
            for each in (one, other):
                events = await each.events_until(room, "end")
                offsets = [event.position.offset for event in events if event.position is not None]
                expect(offsets, list(range(1, 62)), "offsets are given one after the other")
                found = {event.envelope.data: event.position for event in events}
                expect(found, by_data, "publish gives the position that the event has")
                page = HistoryPage(tuple(events), last)
                expect(page.follows(Position(last.epoch, 0)), True, "each event names the position of the one before")

    async def test_each_room_counts_for_itself(self) -> None:
        async with self.started() as one:
            for _ in range(2):
                given = await positions(one, new_room(), ["a", "b"])
                expect([each.offset for each in given], [1, 2], "offsets count from 1 in each room")

    async def test_what_is_read_is_what_was_delivered(self) -> None:
        room = new_room()
        async with self.started(room) as one:
            for envelope in ENVELOPES:
                await one.broker.publish(room, envelope, KEPT)
            (last,) = await positions(one, room, ["end"])
            delivered = await one.events_until(room, "end")
            async with self.started() as late:
                page = await late.broker.read(room, None, 100)
                expect(page, HistoryPage(tuple(delivered), last), "who comes late reads what the others got")
                expect(page.follows(Position(last.epoch, 0)), True, "it follows on the place before the first event")
                expect(late.delivered, [], "reading delivers nothing")

    async def test_the_newest_are_read_up_to_the_limit(self) -> None:
        room = new_room()
        async with self.started() as one:
            given = await positions(one, room, ["a", "b", "c", "d"])
            for limit, expected in ((0, []), (1, ["d"]), (3, ["b", "c", "d"]), (4, ["a", "b", "c", "d"])):
                page = await one.broker.read(room, None, limit)
                expect(
                    data_of(page.events), expected, f"read(since=None, limit={limit}) gives the newest, oldest first"
                )
                expect(page.top, given[-1], "top is the position of the newest event, whatever the limit")

    async def test_what_came_since_is_read_page_by_page(self) -> None:
        room = new_room()
        async with self.started() as one:
            given = await positions(one, room, ["a", "b", "c", "d", "e"])
            since = given[0]
            found: list[RoomEvent] = []
            for expected in (["b", "c"], ["d", "e"], []):
                page = await one.broker.read(room, since, 2)
                expect(data_of(page.events), expected, "read(since, limit=2) gives the next two")
                expect(page.top, given[-1], "top is the position of the newest event, whatever the limit")
                expect(page.follows(since), True, "nothing is missing in between")
                found += page.events
                since = found[-1].position or since
            expect([event.position for event in found], given[1:], "all pages together have everything, and once")
            beyond = Position(since.epoch, since.offset + 90)
            page = await one.broker.read(room, beyond, 2)
            expect((page.events, page.follows(beyond)), ((), False), "nothing comes after what there is not")

    async def test_of_another_epoch_the_oldest_are_read(self) -> None:
        room = new_room()
        async with self.started() as one:
            given = await positions(one, room, ["a", "b", "c"])
            for offset in (0, 2, 99):
                since = Position(f"not {given[0].epoch}", offset)
                page = await one.broker.read(room, since, 2)
                expect(data_of(page.events), ["a", "b"], "since of another epoch reads from the oldest on")
                expect(page.follows(since), False, "it is no continuation")

    async def test_no_more_messages_are_kept_than_asked_for(self) -> None:
        room = new_room()
        history = History(messages=3, seconds=60)
        async with self.started() as one:
            given = await positions(one, room, ["a", "b", "c", "d", "e"], history)
            page = await one.broker.read(room, None, 100)
            expect(data_of(page.events), ["c", "d", "e"], "History(messages=3) keeps the newest three")
            expect(page.top, given[-1], "top is the position of the newest event")
            page = await one.broker.read(room, given[0], 100)
            expect(data_of(page.events), ["c", "d", "e"], "what is kept is read where more is missing")
            expect(page.follows(given[0]), False, "the page shows that something is missing")
            expect(page.follows(given[1]), True, "nothing is missing after the second event")

    async def test_nothing_is_kept_for_longer_than_asked_for(self) -> None:
        room = new_room()
        history = History(messages=10, seconds=self.shortest_age)
        async with self.started(room) as one:
            given = await positions(one, room, ["a", "b"], history)
            page = await one.broker.read(room, None, 10)
            expect(data_of(page.events), ["a", "b"], "what is not too old is kept")
            for _ in range(10):
                await self.let_time_pass(self.shortest_age / 2)
                page = await one.broker.read(room, None, 10)
                if not page.events:
                    break
            expect(data_of(page.events), [], f"History(seconds={self.shortest_age:g}) keeps nothing that is older")
            page = await one.broker.read(room, given[0], 10)
            expect(page.follows(given[0]), False, "the page shows that something is missing")
            await positions(one, room, ["c"], history)
            (*_, last) = await one.events_until(room, "c")
            if page.top is not None:
                expect(last.previous, page.top, "the next event follows on top")

    async def test_a_room_without_events_has_an_empty_history(self) -> None:
        async with self.started() as one:
            room = new_room()
            for since in (None, Position("of nobody", 7)):
                page = await one.broker.read(room, since, 10)
                expect(page.events, (), "nothing was published")
                offset = None if page.top is None else page.top.offset
                expect(offset in {None, 0}, True, "top is None, or the place before the first event")

    async def test_a_store_that_lost_everything_has_another_epoch(self) -> None:
        room = new_room()
        async with self.started() as one:
            given = await positions(one, room, ["a", "b"])
        await self.lose_store()
        async with self.started() as one:
            (new,) = await positions(one, room, ["c"])
            expect(new.epoch != given[0].epoch, True, "the epoch changes when the store was lost")
            page = await one.broker.read(room, given[0], 10)
            expect(data_of(page.events), ["c"], "what there is now is read")
            expect(page.top, new, "top is the position of the newest event")
            expect(page.follows(given[0]), False, "the page shows that something is missing")
            expect(page.follows(Position(new.epoch, 0)), True, "the new epoch has a first event")
