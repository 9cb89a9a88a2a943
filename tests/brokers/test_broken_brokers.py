"""Brokers that are each wrong in one way, and the test of the contract suite that fails for each."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import pytest

from asgi_ws.brokers import (
    BrokerState,
    Envelope,
    History,
    HistoryPage,
    MemoryStore,
    OnEvent,
    OnInterrupted,
    Position,
    RoomEvent,
)
from asgi_ws.testing import ContractBroken

from .stores import Wrapper, WrapperContract


class Reorders(Wrapper):
    """Delivers fast events in tasks, one of which is late."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type] # as Wrapper has it
        self.tasks: set[asyncio.Task[None]] = set()

    async def deliver(self, room: str, event: RoomEvent) -> None:
        self.tasks.add(asyncio.create_task(self.deliver_late(room, event)))

    async def deliver_late(self, room: str, event: RoomEvent) -> None:
        await asyncio.sleep(0.01 if event.envelope.data in {"b", "one 7"} else 0)
        await super().deliver(room, event)


class OwnFirst(Wrapper):
    """Delivers its own events at once, and those of others a little later."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type] # as Wrapper has it
        self.own: list[Envelope] = []
        self.others: list[tuple[str, RoomEvent]] = []

    async def publish(self, room: str, envelope: Envelope, history: History | None) -> Position | None:
        self.own.append(envelope)
        return await super().publish(room, envelope, history)

    async def deliver(self, room: str, event: RoomEvent) -> None:
        if event.envelope not in self.own and event.envelope.data != "end":
            self.others.append((room, event))
            return
        await super().deliver(room, event)
        while self.others:
            await super().deliver(*self.others.pop(0))


class GivesNothingToThePublisher(Wrapper):
    async def publish(self, room: str, envelope: Envelope, history: History | None) -> Position | None:
        subscribed = room in self.rooms
        await self.inner.unsubscribe(room)
        position = await super().publish(room, envelope, history)
        if subscribed:
            await self.inner.subscribe(room)
        return position


class TakesNamesForPatterns(Wrapper):
    async def publish(self, room: str, envelope: Envelope, history: History | None) -> Position | None:
        for other in self.rooms - {room}:
            if fnmatch(room, other):
                await self.on_event(other, RoomEvent(envelope))
        return await super().publish(room, envelope, history)


class ForgetsUnsubscribe(Wrapper):
    async def unsubscribe(self, room: str) -> None: ...


class CountsSubscriptions(Wrapper):
    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type] # as Wrapper has it
        self.counted: list[str] = []

    async def subscribe(self, room: str) -> None:
        self.counted.append(room)
        await super().subscribe(room)

    async def unsubscribe(self, room: str) -> None:
        if room in self.counted:
            self.counted.remove(room)
        if room not in self.counted:
            await super().unsubscribe(room)


class AwaitsNothing(Wrapper):
    async def deliver(self, room: str, event: RoomEvent) -> None:
        self.on_event(room, event)


class EndsAtAnError(Wrapper):
    failed = False

    async def deliver(self, room: str, event: RoomEvent) -> None:
        if not self.failed:
            self.failed = True
            await super().deliver(room, event)
            self.failed = False


class RemembersSubscriptions(Wrapper):
    async def stop(self) -> None:
        await self.inner.stop()

    async def start(self, on_event: OnEvent, on_interrupted: OnInterrupted) -> None:
        await super().start(on_event, on_interrupted)
        for room in self.rooms:
            await self.inner.subscribe(room)


class DeliversAfterStop(Wrapper):
    async def stop(self) -> None: ...


class SaysNothingOfAnInterruption(Wrapper):
    async def reach_again(self) -> None:
        self.on_interrupted = self.nobody
        await super().reach_again()

    async def nobody(self) -> None: ...


class HidesAnInterruption(Wrapper):
    @property
    def state(self) -> BrokerState:
        return self.inner.state


class LosesSubscriptionsInAnInterruption(Wrapper):
    async def reach_again(self) -> None:
        self.rooms.clear()
        await super().reach_again()


class GivesAnotherPosition(Wrapper):
    """Gives two concurrent publishers the newest position, not their own."""

    async def publish(self, room: str, envelope: Envelope, history: History | None) -> Position | None:
        position = await super().publish(room, envelope, history)
        return position and (await self.inner.read(room, None, 0)).top


class CountsAllRooms(Wrapper):
    async def publish(self, room: str, envelope: Envelope, history: History | None) -> Position | None:
        return await super().publish("all", envelope, history)


class IgnoresLimit(Wrapper):
    async def read(self, room: str, since: Position | None, limit: int) -> HistoryPage:
        return await super().read(room, since, 1000)


class IgnoresSince(Wrapper):
    async def read(self, room: str, since: Position | None, limit: int) -> HistoryPage:
        return await super().read(room, None, limit)


class IgnoresEpochs(Wrapper):
    async def read(self, room: str, since: Position | None, limit: int) -> HistoryPage:
        page = await super().read(room, None, 0)
        known = since and page.top and Position(page.top.epoch, since.offset)
        return await super().read(room, known, limit)


def altered(**how: Any) -> Callable[[MemoryStore], Wrapper]:
    return lambda store: Wrapper(store, **how)


def with_envelope(event: RoomEvent, **changes: Any) -> list[RoomEvent]:
    return [replace(event, envelope=replace(event.envelope, **changes))]


def as_text(event: RoomEvent) -> list[RoomEvent]:
    data = event.envelope.data
    return with_envelope(event, data=data if isinstance(data, str) else data.decode("latin-1"))


# Brokers that change one value on its way.
ALTERED: dict[str, Callable[[MemoryStore], Wrapper]] = {
    "Loses": altered(events=lambda event: [event] if event.envelope.data != "b" else []),
    "LosesEmpty": altered(events=lambda event: [event] if event.envelope.data else []),
    "Doubles": altered(events=lambda event: [event, event]),
    "MakesTextOfBytes": altered(events=as_text),
    "LosesOrigin": altered(events=lambda event: with_envelope(event, origin=None)),
    "NamesNoPrevious": altered(events=lambda event: [replace(event, previous=None)]),
    "NamesItselfAsPrevious": altered(events=lambda event: [replace(event, previous=event.position)]),
    "GivesNoPosition": altered(position=lambda _: None),
    "CountsFromZero": altered(position=lambda position: Position(position.epoch, position.offset - 1)),
    "KeepsTheEpoch": altered(position=lambda position: Position("the only one", position.offset)),
    "KeepsEverything": altered(history=lambda history: history or History()),
    "KeepsTooMany": altered(history=lambda history: history and replace(history, messages=100)),
    "KeepsForever": altered(history=lambda history: history and replace(history, seconds=None)),
    "ReadsNewestFirst": altered(page=lambda page: replace(page, events=page.events[::-1])),
    "TakesTheLastReadForTheTop": altered(
        page=lambda page: replace(page, top=page.events[-1].position) if page.events else page
    ),
    "InventsATop": altered(page=lambda page: page if page.events else replace(page, top=Position("invented", 1))),
}


BROKEN: dict[str | type[Wrapper], tuple[str, str]] = {
    "Loses": ("an_event_arrives_at_every_broker_that_is_subscribed", "arrives once"),
    "LosesEmpty": ("an_event_arrives_as_it_was_published", "as it was published"),
    "Doubles": ("an_event_arrives_at_every_broker_that_is_subscribed", "arrives once"),
    Reorders: ("two_brokers_that_publish_at_once_see_one_order", "one order|stays in order"),
    OwnFirst: ("two_brokers_that_publish_at_once_see_one_order", "one order"),
    GivesNothingToThePublisher: ("an_event_arrives_at_every_broker_that_is_subscribed", "arrives at every broker"),
    "MakesTextOfBytes": ("an_event_arrives_as_it_was_published", "as it was published"),
    "LosesOrigin": ("an_event_arrives_as_it_was_published", "as it was published"),
    TakesNamesForPatterns: ("a_room_is_known_by_its_exact_name", "published there, and once"),
    ForgetsUnsubscribe: ("nothing_arrives_after_unsubscribe", "nothing arrives between"),
    CountsSubscriptions: ("subscribing_twice_is_as_good_as_once", "one unsubscribe"),
    AwaitsNothing: ("what_on_event_returns_is_awaited", "is awaited"),
    EndsAtAnError: ("an_on_event_that_raises_costs_nobody_an_event", "every broker"),
    RemembersSubscriptions: ("a_stopped_broker_delivers_nothing_and_can_start_again", "subscribed to nothing"),
    DeliversAfterStop: ("a_stopped_broker_delivers_nothing_and_can_start_again", "is stopped"),
    SaysNothingOfAnInterruption: ("after_an_interruption_the_broker_says_so_and_goes_on", "on_interrupted is called"),
    HidesAnInterruption: ("after_an_interruption_the_broker_says_so_and_goes_on", "the state tells"),
    LosesSubscriptionsInAnInterruption: ("after_an_interruption_the_broker_says_so_and_goes_on", "arrives at every"),
    "GivesNoPosition": ("each_position_follows_the_one_before", "publish gives the position"),
    GivesAnotherPosition: ("positions_have_no_hole_when_two_brokers_publish_at_once", "that the event has"),
    "CountsFromZero": ("each_position_follows_the_one_before", "offsets count from 1"),
    CountsAllRooms: ("each_room_counts_for_itself", "offsets count from 1"),
    "NamesNoPrevious": ("each_position_follows_the_one_before", "that of the event before"),
    "NamesItselfAsPrevious": ("positions_have_no_hole_when_two_brokers_publish_at_once", "the one before"),
    "KeepsEverything": ("without_a_history_there_is_no_position_and_nothing_is_kept", "gives no position"),
    "KeepsTooMany": ("no_more_messages_are_kept_than_asked_for", "keeps the newest three"),
    "KeepsForever": ("nothing_is_kept_for_longer_than_asked_for", "keeps nothing that is older"),
    IgnoresLimit: ("the_newest_are_read_up_to_the_limit", r"limit=0\) gives the newest"),
    IgnoresSince: ("what_came_since_is_read_page_by_page", "gives the next two"),
    IgnoresEpochs: ("of_another_epoch_the_oldest_are_read", "from the oldest on"),
    "ReadsNewestFirst": ("what_is_read_is_what_was_delivered", "reads what the others got"),
    "TakesTheLastReadForTheTop": ("what_came_since_is_read_page_by_page", "top is the position of the newest"),
    "InventsATop": ("a_room_without_events_has_an_empty_history", "top is None, or"),
    "KeepsTheEpoch": ("a_store_that_lost_everything_has_another_epoch", "the epoch changes"),
}


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: getattr(kind, "__name__", kind))
async def test_a_broken_broker_is_found(kind: str | type[Wrapper]) -> None:
    promise, words = BROKEN[kind]
    contract = WrapperContract(ALTERED[kind] if isinstance(kind, str) else kind)
    test: Callable[[], Awaitable[None]] = getattr(contract, f"test_{promise}")
    with pytest.raises(ContractBroken, match=words):
        await test()


def test_every_test_of_the_contract_finds_a_broken_broker() -> None:
    tests = {name for name in dir(WrapperContract) if name.startswith("test_")}
    assert {f"test_{promise}" for promise, _ in BROKEN.values()} == tests


@pytest.mark.parametrize(
    ("expected", "found", "text"),
    [
        (1, 2, "it is so\n  expected: 1\n  found:    2"),
        (
            ["a", "b"],
            ["a", "c", "d"],
            "it is so\n  expected: ['b'], after 1 as expected\n  found:    ['c', 'd'], after 1 as expected",
        ),
        (["a"], ["b"], "it is so\n  expected: ['a']\n  found:    ['b']"),
        (["a"], [], "it is so\n  expected: ['a']\n  found:    []"),
        (["a"], ["a", "a"], "it is so\n  expected: [], after 1 as expected\n  found:    ['a'], after 1 as expected"),
    ],
)
def test_a_broken_promise_says_what_was_expected_and_what_was_found(expected: object, found: object, text: str) -> None:
    error = ContractBroken("it is so", expected, found)
    assert str(error) == text
    assert (error.promise, error.expected, error.found) == ("it is so", expected, found)
