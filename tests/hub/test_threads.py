"""`publish_from_thread`: from plain threads, and from the synchronous views of frameworks beside the rooms."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from asgi_ws import History, Hub, HubNotRunning, InvalidMessage, InvalidRoom, WrongLoop
from asgi_ws._asgi import Event
from tests.servers.client import SECONDS
from tests.servers.launch import ServerProcess

from .clients import Client, get, room_name
from .serving import FAST, served


class Inbox:
    """The `send` of a connection whose messages are kept."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    async def send(self, event: Event) -> None:
        self.messages.append(event["text"])


async def test_a_thread_publishes_and_waits_for_the_position() -> None:
    inbox = Inbox()
    async with Hub(history=History()) as hub:
        hub.join(inbox.send, "room")
        first = await asyncio.to_thread(hub.publish_from_thread, "room", "one")
        second = await asyncio.to_thread(hub.publish_from_thread, "room", "two")
        assert inbox.messages == ["one", "two"]
        assert first is not None
        assert second is not None
        assert (first.offset, second.offset) == (1, 2)


async def test_it_takes_what_publish_takes() -> None:
    inbox, other = Inbox(), Inbox()
    async with Hub() as hub:
        membership = hub.join(inbox.send, "room")
        hub.join(other.send, "room")
        await asyncio.to_thread(hub.publish_from_thread, "room", "x", exclude=membership, key="k")
        await asyncio.to_thread(hub.publish_from_thread, "room", "y", exclude=other.send)
        assert (inbox.messages, other.messages) == (["y"], ["x"])


async def test_many_threads_come_in_one_order_each_in_its_own() -> None:
    inboxes = [Inbox() for _ in range(3)]

    def publish(hub: Hub, thread: int) -> None:
        for number in range(100):
            hub.publish_from_thread("room", f"{thread} {number}")

    async with Hub() as hub:
        for inbox in inboxes:
            hub.join(inbox.send, "room")
        await asyncio.gather(*(asyncio.to_thread(publish, hub, thread) for thread in range(4)))
    first, *others = [inbox.messages for inbox in inboxes]
    assert others == [first] * 2
    for thread in range(4):
        assert [each for each in first if each.startswith(f"{thread} ")] == [f"{thread} {n}" for n in range(100)]


async def test_a_hub_that_has_not_started_or_has_stopped_refuses() -> None:
    hub = Hub()
    with pytest.raises(HubNotRunning, match=re.escape("App(lifespan=[hub])")):
        await asyncio.to_thread(hub.publish_from_thread, "room", "x")
    async with hub:
        await asyncio.to_thread(hub.publish_from_thread, "room", "x")
    with pytest.raises(HubNotRunning):
        await asyncio.to_thread(hub.publish_from_thread, "room", "x")


def test_a_hub_whose_loop_has_ended_refuses() -> None:
    hub = Hub()
    # Nobody stops it.
    asyncio.run(hub.publish("room", "x"))
    with pytest.raises(HubNotRunning):
        hub.publish_from_thread("room", "x")


async def test_its_own_thread_is_refused_instead_of_waiting_for_itself() -> None:
    async with Hub() as hub:
        with pytest.raises(WrongLoop, match="await publish"):
            hub.publish_from_thread("room", "x")


async def test_publish_in_the_loop_of_another_thread_is_refused_and_says_what_to_call() -> None:
    async with Hub() as hub:
        with pytest.raises(WrongLoop, match="publish_from_thread"):
            await asyncio.to_thread(asyncio.run, hub.publish("room", "x"))
        assert hub.statistics().published == 0


async def test_publish_in_a_thread_without_a_loop_is_refused_and_says_what_to_call() -> None:
    async with Hub() as hub:
        publishing = hub.publish("room", "x")

        def step() -> None:
            with pytest.raises(WrongLoop, match="publish_from_thread"):
                publishing.send(None)

        await asyncio.to_thread(step)


@pytest.mark.parametrize(
    ("room", "data", "error"), [("", "x", InvalidRoom), ("r" * 256, "x", InvalidRoom), ("room", 1, InvalidMessage)]
)
async def test_a_mistake_is_raised_in_the_thread(room: str, data: Any, error: type[Exception]) -> None:
    async with Hub() as hub:
        with pytest.raises(error):
            await asyncio.to_thread(hub.publish_from_thread, room, data)


async def test_where_the_loop_has_no_time_it_gives_up_and_nothing_is_published() -> None:
    inbox = Inbox()
    outcome: list[BaseException] = []
    is_blocked, has_given_up = threading.Event(), threading.Event()

    def publish(hub: Hub) -> None:
        is_blocked.wait(SECONDS)
        try:
            hub.publish_from_thread("room", "late", timeout=0.05)
        except TimeoutError as error:
            outcome.append(error)
        has_given_up.set()

    async with Hub() as hub:
        hub.join(inbox.send, "room")
        thread = threading.Thread(target=publish, args=[hub])
        thread.start()
        # What blocks the loop: a handler that calculates, or waits as synchronous code does.
        is_blocked.set()
        assert has_given_up.wait(SECONDS)
        await asyncio.to_thread(thread.join)
        await asyncio.to_thread(hub.publish_from_thread, "room", "in time")
    assert len(outcome) == 1
    assert inbox.messages == ["in time"]


async def test_a_slow_member_costs_a_thread_nothing() -> None:
    never = asyncio.Event()

    async def stuck(event: Event) -> None:
        await never.wait()

    inbox = Inbox()
    async with Hub() as hub:
        hub.join(stuck, "room")
        hub.join(inbox.send, "room")
        since = time.monotonic()
        for number in range(10):
            await asyncio.to_thread(hub.publish_from_thread, "room", str(number), timeout=SECONDS)
        assert time.monotonic() - since < SECONDS
        assert inbox.messages == [str(number) for number in range(10)]


# -- beside frameworks, on a real server


@pytest.fixture(scope="module")
def process() -> Iterator[ServerProcess]:
    with served(FAST, "tests.hub.sync_views:app") as process:
        yield process


@pytest.mark.parametrize("path", ["/fastapi/publish/", "/django/publish/"])
async def test_a_synchronous_view_publishes_to_everyone(process: ServerProcess, path: str) -> None:
    async with AsyncExitStack() as stack:
        room = room_name()
        clients = [await stack.enter_async_context(Client.joined(process, room)) for _ in range(3)]
        await asyncio.gather(*(get(process, path + room, text=f"text {number}") for number in range(10)))
        first, *others = [await client.take(10) for client in clients]
        assert sorted(first) == [f"text {number}" for number in range(10)]
        assert others == [first] * 2


@pytest.mark.parametrize("path", ["/fastapi/publish/", "/django/publish/"])
async def test_the_answer_of_the_view_comes_after_the_message(process: ServerProcess, path: str) -> None:
    async with Client.joined(process, room_name()) as client:
        assert await get(process, path + client.room, text="x") == {"delivered": 1}
        assert await client.receive() == "x"
