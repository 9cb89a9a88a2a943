"""Messages."""

import asyncio

import pytest

from tests.servers.client import SECONDS, Probe, close_frame
from tests.servers.launch import ServerProcess

from .conftest import Observe

MIB = 1024 * 1024


async def test_text_and_binary_of_every_size_come_back(process: ServerProcess) -> None:
    probe = Probe(process, "endpoint")
    ws = await probe.connect()
    for size in (1, 125, 126, 65_535, 65_536, 262_144):
        for message in ("é" * (size // 2) or "e", bytes(size)):
            await ws.send(message)
            assert await ws.recv() == message
    await ws.close()


@pytest.mark.row('"" and b"" from the client')
async def test_empty_messages_are_received(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "watch")
    ws = await probe.connect()
    await ws.send("")
    await ws.send(b"")
    await ws.close()
    received = [facts[0] for word, *facts in await probe.events() if word == "received"]
    assert received == ["''", "b''"]
    observed("received")


@pytest.mark.row('`send("")`, `send(b"")`')
async def test_empty_messages_are_sent_where_the_server_sends_them(process: ServerProcess, observed: Observe) -> None:
    ws = await Probe(process, "empty").connect()
    sent: list[str | bytes] = []
    while sent.count("next") < 2:
        sent.append(await asyncio.wait_for(ws.recv(), SECONDS))
    await ws.close()
    assert sent == (["", "next", b"", "next"] if process.server.profile.sends_empty_messages else ["next", "next"])
    observed("sent" if "" in sent else "dropped by the server")


@pytest.mark.row("20 concurrent `send` of 70 kB")
async def test_concurrent_sends_arrive_whole_and_in_order(process: ServerProcess, observed: Observe) -> None:
    for _ in range(4):
        ws = await Probe(process, "concurrent").connect()
        messages = [await asyncio.wait_for(ws.recv(), SECONDS) for _ in range(20)]
        await ws.send("enough")
        await ws.close()
        assert messages == [bytes([number]) * 70_000 for number in range(20)]
    observed("in order")


@pytest.mark.row("a second concurrent `receive`")
async def test_a_second_reader_is_refused_and_the_first_reads_on(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "two-readers")
    ws = await probe.connect()
    await probe.events(until="second reader")
    await ws.send("for the first")
    notes = await probe.notes()
    await ws.close()
    assert (notes["second reader"], notes["first reader"]) == ("ConcurrentReceiveError", "returned")
    observed("`ConcurrentReceiveError`")


@pytest.mark.row("`receive` cancelled by a timeout as a message arrives")
async def test_a_cancelled_receive_loses_no_message(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "cancelled-reader")
    ws = await probe.connect()
    numbers = [str(number) for number in range(200)]
    for number in numbers:
        await ws.send(number)
        # So that most of them come alone, and many in the moment in which the handler gives up.
        await asyncio.sleep(0.0005)
    await ws.close()
    received = (await probe.notes())["end"]
    assert received == numbers
    observed("message kept")


@pytest.mark.row("a client that never reads: `send`")
async def test_a_send_to_a_client_that_does_not_read_waits_where_the_server_waits(
    process: ServerProcess, observed: Observe
) -> None:
    probe = Probe(process, "flood")
    ws = await probe.connect(max_queue=1)
    ws.transport.pause_reading()
    events = await probe.events()
    assert events[0][0] == ("blocked" if process.server.profile.send_blocks else "taken")
    assert events[0][1] < 16 * MIB or not process.server.profile.send_blocks
    ws.transport.abort()
    observed("waits" if events[0][0] == "blocked" else "never waits")


@pytest.mark.row("a client that never reads: `close(timeout=0.5)`")
async def test_a_close_towards_a_client_that_does_not_read_is_bounded(
    process: ServerProcess, observed: Observe
) -> None:
    probe = Probe(process, "flood")
    ws = await probe.connect(max_queue=1)
    ws.transport.pause_reading()
    await probe.events(until="end")
    ws.transport.abort()
    observed("returns in time")


@pytest.mark.row("a handler that does not receive")
async def test_messages_for_a_handler_that_is_busy_wait_for_it(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "deaf")
    ws = await probe.connect(query={"seconds": 0.3})
    for number in range(50):
        await ws.send(str(number))
    await ws.close()
    assert (await probe.notes())["end"] == 50
    observed("gets all messages later")


async def test_permessage_deflate_where_the_server_has_it_changes_nothing(process: ServerProcess) -> None:
    ws = await Probe(process, "endpoint").connect(compression="deflate")
    await ws.send("a" * 10_000)
    assert await ws.recv() == "a" * 10_000
    await ws.close()
    assert (await close_frame(ws))[0] == 1000
