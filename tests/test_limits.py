"""Limits: what is past them gets a named close code and a counter, and the next message or client is served."""

import asyncio
import dataclasses
import logging
import math
from typing import Any

import pytest

from asgi_ws import (
    ConnectionClosed,
    InvalidLimit,
    Limits,
    Refusal,
    Statistics,
    WebSocket,
    WebSocketApp,
    WebSocketEndpoint,
    websocket_app,
)
from asgi_ws.limits import Usage, measure_rates
from asgi_ws.testing import VirtualClock, WebSocketCommunicator

from .odd_servers import Gate


def echo(**limits: Any) -> WebSocketApp:
    """Return a handler with these limits that answers every message with its length."""

    @websocket_app(limits=Limits(**limits))
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async for message in ws:
            await ws.send(str(len(message)))

    return handler


async def answers(app: WebSocketApp, *messages: str | bytes) -> list[str | bytes | int]:
    """Send all messages at once; return the answers, and the close code if there is one."""
    answered: list[str | bytes | int] = []
    with VirtualClock():
        async with WebSocketCommunicator(app) as peer:
            await peer.connect()
            for message in messages:
                await peer.send(message)
            try:
                for _ in messages:
                    answered.append(await peer.receive())
            except ConnectionClosed as closed:
                answered.append(closed.code)
    return answered


# -- message size


async def test_a_message_of_the_largest_size_passes_in_utf8_bytes_and_one_over_it_closes_with_1009(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = echo(max_message_bytes=100)
    largest: list[str | bytes] = ["x" * 100, b"x" * 100, "é" * 50, "€" * 33, "😀" * 25, "x" * 26, b"", ""]
    assert await answers(app, *largest) == [str(len(message)) for message in largest]
    too_large: list[str | bytes] = ["x" * 101, b"x" * 101, "é" * 51, "€" * 34, "😀" * 26]
    for message in too_large:
        assert await answers(app, "ok", message, "never read") == ["2", 1009]
    assert app.statistics().refused == {"MESSAGE_BYTES": len(too_large)}
    assert await answers(app, "next client") == ["11"]
    assert [record for record in caplog.records if record.levelno > logging.INFO and record.name == "asgi_ws"] == []


async def test_the_largest_message_is_a_mebibyte_by_default_and_can_be_unlimited() -> None:
    assert await answers(echo(), b"x" * 2**20) == [str(2**20)]
    assert await answers(echo(), b"x" * (2**20 + 1)) == [1009]
    assert await answers(echo(max_message_bytes=None), b"x" * (2**20 + 1)) == [str(2**20 + 1)]


async def test_the_limits_hold_beside_each_other() -> None:
    assert await answers(echo(messages_per_second=2, idle_timeout=60), *"abc") == ["1", "1", 1008]
    assert await answers(echo(max_message_bytes=10, messages_per_second=100), "x" * 11) == [1009]
    assert await answers(echo(max_message_bytes=10, idle_timeout=100), "é" * 5, "é" * 6) == ["5", 1009]


# -- rates


async def test_more_messages_than_the_rate_close_with_1008_after_a_seconds_worth() -> None:
    app = echo(messages_per_second=3)
    assert await answers(app, *"abcde") == ["1", "1", "1", 1008]
    assert app.statistics().refused == {"MESSAGE_RATE": 1}


async def test_more_bytes_than_the_rate_close_with_1008() -> None:
    app = echo(bytes_per_second=10)
    assert await answers(app, "é" * 3, b"x" * 4, "x") == ["3", "4", 1008]
    assert app.statistics().refused == {"BYTE_RATE": 1}


async def test_a_rate_and_a_size_hold_for_a_class_endpoint() -> None:
    class Echo(WebSocketEndpoint):
        async def on_receive(self, ws: WebSocket, data: str) -> None:
            await ws.send(str(len(data)))

    assert await answers(Echo.as_asgi(limits=Limits(messages_per_second=2)), *"abc") == ["1", "1", 1008]
    assert await answers(Echo.as_asgi(limits=Limits(max_message_bytes=2)), "ab", "abc") == ["2", 1009]


async def test_a_rate_is_held_by_the_loops_own_clock() -> None:
    # One message in a quarter of an hour: this test does not take that long.
    async with WebSocketCommunicator(echo(messages_per_second=0.001)) as peer:
        await peer.connect()
        await peer.send("a")
        assert await peer.receive() == "1"
        await peer.send("b")
        assert (await peer.wait_closed())[0] == 1008


async def test_what_a_rate_allows_comes_back_in_the_loops_time() -> None:
    with VirtualClock() as clock:
        async with WebSocketCommunicator(echo(messages_per_second=0.001)) as peer:
            await peer.connect()
            for _ in range(3):
                await peer.send("a")
                assert await peer.receive() == "1"
                await clock.advance(1000)


# (when, bytes) of each message, and which of them are refused.
RATES: list[tuple[dict[str, Any], list[tuple[float, int]], list[str | None]]] = [
    ({"messages_per_second": 2}, [(0, 1), (0, 1), (0.4, 1)], [None, None, "MESSAGE_RATE"]),
    ({"messages_per_second": 2}, [(0, 1), (0, 1), (0.5, 1), (1, 1)], [None] * 4),
    ({"messages_per_second": 2}, [(0, 1), (100, 1), (100, 1), (100, 1)], [None, None, None, "MESSAGE_RATE"]),
    ({"messages_per_second": 0.5}, [(0, 1), (1.9, 1)], [None, "MESSAGE_RATE"]),
    ({"messages_per_second": 0.5}, [(0, 1), (2, 1)], [None, None]),
    ({"bytes_per_second": 10}, [(0, 10), (0.5, 5), (0.5, 1)], [None, None, "BYTE_RATE"]),
    ({"bytes_per_second": 10}, [(0, 40), (2.9, 1)], [None, "BYTE_RATE"]),
    ({"bytes_per_second": 10}, [(0, 40), (4, 10)], [None, None]),
    ({"bytes_per_second": 10}, [(0, 1), (0, 11)], [None, "BYTE_RATE"]),
    ({"bytes_per_second": 10}, [(0, 40), (0, 0)], [None, None]),
    ({"messages_per_second": 1, "bytes_per_second": 1}, [(0, 1), (1, 1), (2, 2)], [None] * 3),
    ({}, [(0, 10**6)] * 3, [None] * 3),
]


def test_the_token_bucket_holds_a_seconds_worth_and_refills_at_the_rate() -> None:
    for limits, messages, expected in RATES:
        times = iter([1000.0 + when for when, _ in messages])
        measure = measure_rates(Limits(**limits), times.__next__)
        refusals = [measure(bytes(size)) for _, size in messages]
        assert [refusal and refusal.name for refusal in refusals] == expected, (limits, messages)


# -- idle time


async def test_a_connection_without_a_message_in_either_direction_closes_with_4408() -> None:
    app = echo(idle_timeout=60)
    with VirtualClock() as clock:
        async with WebSocketCommunicator(app) as peer:
            await peer.connect()
            await clock.advance(59.9)
            assert await peer.receive_nothing()
            await clock.advance(0.1)
            assert await peer.wait_closed() == (4408, "idle for too long")
    assert app.statistics().refused == {"IDLE": 1}


@pytest.mark.parametrize("direction", ["in", "out"])
async def test_a_message_in_either_direction_counts_against_idleness(direction: str) -> None:
    @websocket_app(limits=Limits(idle_timeout=60))
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        if direction == "in":
            await ws.wait_closed()
        while not ws.closed:
            await asyncio.sleep(59)
            await ws.send("x")

    with VirtualClock() as clock:
        async with WebSocketCommunicator(handler) as peer:
            await peer.connect()
            for _ in range(5):
                await clock.advance(59)
                if direction == "in":
                    await peer.send("x")
                else:
                    assert await peer.receive() == "x"
            assert await peer.receive_nothing()
            await peer.close()
            # A handler that only sends meets the end there.
            await clock.advance(59)


async def test_an_idle_connection_is_closed_though_its_handler_does_not_read() -> None:
    ended: list[Any] = []

    @websocket_app(limits=Limits(idle_timeout=60))
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await release.wait()
        ended.append((ws.closed, ws.close_code))

    release = asyncio.Event()
    with VirtualClock() as clock:
        async with WebSocketCommunicator(handler) as peer:
            await peer.connect()
            await clock.advance(60)
            assert (await peer.wait_closed())[0] == 4408
            release.set()
    assert ended == [(True, 4408)]


async def test_a_connection_that_closed_in_time_is_not_closed_again_for_idleness() -> None:
    app = echo(idle_timeout=60)
    with VirtualClock() as clock:
        async with WebSocketCommunicator(app) as peer:
            await peer.connect()
            await peer.close()
            await peer.wait()
            await clock.advance(120)
            assert await peer.receive_nothing()
    assert app.statistics().refused == {}


async def test_sends_that_wait_for_their_turn_count_against_idleness_too() -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        async def send_slowly(event: Any) -> None:
            await asyncio.sleep(20)
            await send(event)

        await handler(scope, receive, send_slowly)

    @websocket_app(limits=Limits(accept_timeout=None, idle_timeout=60))
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with asyncio.TaskGroup() as group:
            for _ in range(12):
                group.create_task(ws.send("x"))
        await ws.close(4000, timeout=60)

    with VirtualClock() as clock:
        async with WebSocketCommunicator(slow) as peer:
            connecting = asyncio.create_task(peer.connect())
            await clock.advance(14 * 20)
            assert (await connecting).accepted
            assert (await peer.wait_closed())[0] == 4000


async def test_the_handlers_end_waits_for_the_close_frame_of_a_limit() -> None:
    app = echo(max_message_bytes=1)
    with VirtualClock() as clock:
        async with WebSocketCommunicator(app, high_water=0) as peer:
            await peer.connect()
            peer.pause_reading()
            await peer.send("too long")
            await peer.wait_blocked()
            await clock.settle()
            assert not peer.future.done()
            peer.resume_reading()
            assert (await peer.wait_closed())[0] == 1009


async def test_a_connection_that_is_closed_while_its_accept_is_on_its_way_has_no_idle_limit() -> None:
    @websocket_app(limits=Limits(idle_timeout=60))
    async def handler(ws: WebSocket) -> None:
        accepting = asyncio.create_task(ws.accept())
        while not server.begun:
            await asyncio.sleep(0)
        closing = asyncio.create_task(ws.close(4000))
        while not ws.closed:
            await asyncio.sleep(0)
        server.open.set()
        await accepting
        await closing

    server = Gate(handler)
    with VirtualClock():
        async with WebSocketCommunicator(server) as peer:
            await peer.connect()
            assert await peer.wait_closed() == (4000, "")
    assert handler.statistics().refused == {}


def test_an_address_without_connections_is_forgotten() -> None:
    usage = Usage(Limits(max_connections_per_client=2))
    clients = ["192.0.2.1", "192.0.2.2", "192.0.2.1"]
    for client in clients:
        assert usage.admit(client) is None
    for client in clients:
        usage.discard(client)
    assert len(usage.by_client) == usage.open == 0


# -- the value object


def test_a_limit_is_a_positive_number_and_one_that_counts_a_whole_one() -> None:
    for limit in dataclasses.fields(Limits):
        is_whole = limit.name.startswith("max_")
        for value in [0, -0.5, math.nan, math.inf, "1", True, *([1.5] if is_whole else [])]:
            with pytest.raises(InvalidLimit) as caught:
                Limits(**{limit.name: value})  # type: ignore[arg-type] # the mistake that this is about
            kind = "positive whole number" if is_whole else "positive number"
            assert str(caught.value) == f"Limits({limit.name}={value!r}): expected a {kind} or None"


def test_limits_are_values() -> None:
    assert Limits(idle_timeout=5) == Limits(idle_timeout=5.0)
    assert hash(Limits()) == hash(Limits())
    assert "accept_timeout=10.0" in repr(Limits())
    with pytest.raises(AttributeError):
        Limits().idle_timeout = 1  # type: ignore[misc] # the mistake that this is about  # pyright: ignore


def test_every_refusal_has_a_status_a_close_code_and_a_reason_of_its_own() -> None:
    assert all(400 <= refusal.status <= 599 for refusal in Refusal)
    assert all(1000 <= refusal.close_code <= 4999 for refusal in Refusal)
    assert len({refusal.reason for refusal in Refusal}) == len(Refusal)
    assert all(len(refusal.reason.encode()) <= 123 for refusal in Refusal)


def test_statistics_add_up() -> None:
    one = Statistics(open=1, accepted=2, refused={"IDLE": 1}, failed=3, dropped_messages=4)
    two = Statistics(open=1, accepted=1, refused={"IDLE": 2, "ORIGIN": 1}, failed=1, dropped_messages=1)
    assert one + two == Statistics(open=2, accepted=3, refused={"IDLE": 3, "ORIGIN": 1}, failed=4, dropped_messages=5)
