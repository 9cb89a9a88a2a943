"""The pages about rooms: their blocks behave as the text beside them says."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import pytest
from django.test import RequestFactory

from asgi_ws import ConnectionClosed, Hub, HubNotRunning, WrongLoop
from asgi_ws._asgi import ASGIApp
from asgi_ws.testing import Denied, WebSocketCommunicator, http_client

from .blocks import blocks_in

BROADCAST: Final = "docs/how-to/broadcast.md"
OVERFLOW: Final = "docs/how-to/overflow.md"


def names_of(page: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the blocks of a page, and return the names that they define."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.django_settings")
    namespace: dict[str, Any] = {"__name__": page}
    for block in blocks_in("python"):
        if block.page == page and not block.example:
            exec(compile(block.text, page, "exec", dont_inherit=True), namespace)
    return namespace


@pytest.fixture
def broadcast(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return names_of(BROADCAST, monkeypatch)


@pytest.fixture
async def hub(broadcast: dict[str, Any]) -> AsyncIterator[Hub]:
    hub: Hub
    async with broadcast["hub"] as hub:
        yield hub


@asynccontextmanager
async def connected(app: ASGIApp, *paths: str) -> AsyncIterator[list[WebSocketCommunicator]]:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(WebSocketCommunicator(app, path)) for path in paths]
        for client in clients:
            await client.connect()
        yield clients


# -- broadcast


async def test_a_room_name_that_cannot_be_is_refused_with_404(broadcast: dict[str, Any]) -> None:
    async with WebSocketCommunicator(broadcast["polite_chat"], f"/?room={'x' * 256}") as ws:
        answer = await ws.connect()
        assert isinstance(answer, Denied)
        assert answer.status == 404


async def test_the_sender_is_excluded_and_the_others_are_not(broadcast: dict[str, Any], hub: Hub) -> None:
    async with connected(broadcast["polite_chat"], "/?room=a", "/?room=a") as (ada, bob):
        await ada.send("hi")
        await bob.send("hello")
        assert await ada.receive() == "hello"
        assert await bob.receive() == "hi"


@pytest.mark.parametrize("way", ["before", "after"])
async def test_the_manager_and_the_room_do_the_same(broadcast: dict[str, Any], hub: Hub, way: str) -> None:
    async with connected(broadcast["app"], f"/{way}/Ada") as (ada,):
        async with connected(broadcast["app"], f"/{way}/Bob") as (bob,):
            await bob.send("hi")
            assert await ada.receive() == await bob.receive() == "Bob: hi"
        assert await ada.receive() == "Bob has left"


async def test_a_user_is_a_room_of_tabs(broadcast: dict[str, Any], hub: Hub) -> None:
    async with connected(broadcast["desk"], "/?user=ada", "/?user=ada", "/?user=bob") as (first, second, bob):
        await hub.publish("user:ada", "You have mail")
        assert await first.receive() == await second.receive() == "You have mail"
        assert [(member.identity, member.connections) for member in hub.members("everyone")] == [("ada", 2), ("bob", 1)]
        await hub.publish("everyone", "Tea")
        assert await bob.receive() == "Tea"


async def test_a_plain_endpoint_and_a_django_view_publish_from_their_threads(
    broadcast: dict[str, Any], hub: Hub
) -> None:
    async with AsyncExitStack() as stack:
        listener = await stack.enter_async_context(WebSocketCommunicator(broadcast["polite_chat"], "/?room=sensors"))
        reader = await stack.enter_async_context(WebSocketCommunicator(broadcast["polite_chat"], "/?room=news"))
        client = await stack.enter_async_context(http_client(broadcast["measured"]))
        await listener.connect()
        await reader.connect()
        assert (await client.get("/?value=21.5")).status_code == 204
        assert await listener.receive() == "21.5"
        request = RequestFactory().post("/", {"headline": "Tea is ready"})
        assert (await asyncio.to_thread(broadcast["announce"], request)).status_code == 204
        assert await reader.receive() == "Tea is ready"
        assert (await broadcast["announce_async"](request)).status_code == 204
        assert await reader.receive() == "Tea is ready"


async def test_a_hub_that_does_not_run_here_says_so(broadcast: dict[str, Any]) -> None:
    hub: Hub = broadcast["hub"]
    with pytest.raises(HubNotRunning):
        await asyncio.to_thread(hub.publish_from_thread, "news", "text")
    async with hub:
        with pytest.raises(WrongLoop):
            await asyncio.to_thread(asyncio.run, hub.publish("news", "text"))


async def test_a_background_task_publishes(broadcast: dict[str, Any], hub: Hub) -> None:
    async with connected(broadcast["polite_chat"], "/?room=ticks") as (ws,):
        ticking = asyncio.create_task(broadcast["ticker"]())
        assert await ws.receive() == "0"
        ticking.cancel()
        await asyncio.wait([ticking])


async def test_who_joins_is_in_the_list(broadcast: dict[str, Any], hub: Hub) -> None:
    async with connected(broadcast["who"], "/?user=ada", "/?user=bob") as (ada, bob):
        assert await ada.receive_json() == ["ada"]
        assert await bob.receive_json() == ["ada", "bob"]


async def test_others_are_told_of_first_and_last_connections(broadcast: dict[str, Any]) -> None:
    async with broadcast["announcing_hub"] as hub:
        broadcast["hub"] = hub
        async with connected(broadcast["who"], "/?user=ada") as (ada,):
            assert await ada.receive_json() == ["ada"]
            async with connected(broadcast["who"], "/?user=bob", "/?user=bob") as (first, second):
                assert await ada.receive_json() == {"type": "join", "who": "bob"}
                for tab in (first, second):
                    assert await tab.receive_json() == ["ada", "bob"]
                await first.close()
            assert await ada.receive_json() == {"type": "leave", "who": "bob"}


async def test_logging_out_closes_all_connections_of_a_user(
    broadcast: dict[str, Any], hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    async with connected(broadcast["desk"], "/?user=ada", "/?user=ada", "/?user=bob") as (*tabs, bob):
        broadcast["log_out"]("ada")
        for tab in tabs:
            with pytest.raises(ConnectionClosed) as closed:
                await tab.receive()
            assert (closed.value.code, closed.value.reason) == (4001, "logged out")
        await hub.publish("everyone", "Tea")
        assert await bob.receive() == "Tea"
    assert capsys.readouterr().out == "2 connections closed\n"


async def test_a_newcomer_gets_the_history_first(broadcast: dict[str, Any]) -> None:
    async with broadcast["remembering"] as hub:
        for number in range(25):
            await hub.publish("lobby", str(number))
        async with connected(broadcast["with_history"], "/") as (ws,):
            await ws.send("hello")
            assert [await ws.receive() for _ in range(21)] == [*map(str, range(5, 25)), "hello"]


async def test_the_hub_of_several_workers_warns(
    broadcast: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    with caplog.at_level(logging.WARNING, logger="asgi_ws"):
        async with broadcast["hub"]:
            pass
    assert "4 worker processes" in caplog.text


# -- slow clients


@pytest.fixture
async def numbered(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hub]:
    hub: Hub
    async with names_of(OVERFLOW, monkeypatch)["numbered"] as hub:
        yield hub


@pytest.mark.parametrize(("overflow", "place"), [("drop_oldest", 1), ("drop_newest", -1)])
async def test_a_gap_notice_stands_where_the_messages_were(numbered: Hub, overflow: str, place: int) -> None:
    limit, published = 1024, 1100

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        async with numbered.join(send, "news", overflow=overflow):
            while (await receive())["type"] != "websocket.disconnect":
                pass

    async with WebSocketCommunicator(app, high_water=1) as ws:
        await ws.connect()
        ws.pause_reading()
        for number in range(published):
            await numbered.publish("news", str(number))
        assert numbered.members("news")
        ws.resume_reading()
        # One message was already in the server's buffer.
        got = [await ws.receive_json() for _ in range(limit + 2)]
    assert got.pop(place) == {"type": "gap", "missed": published - limit - 1}
    first = 0 if place == -1 else published - limit - 1
    assert [message["offset"] for message in got] == [1, *range(first + 2, first + limit + 2)]
