"""The client leaves."""

import asyncio
from itertools import product

import pytest
from websockets.asyncio.client import ClientConnection

from tests.servers.client import SECONDS, Probe, handshake, hang_up, http, raw, reset
from tests.servers.launch import ServerProcess

from .conftest import Observe

LATER_CALLS = ("receive", "receive again", "send", "send_json")
IDEMPOTENT_CALLS = ("close", "close again", "wait_closed")


def _cell(code: int, reason: str) -> str:
    return f'{code} "{reason}"' if reason else str(code)


async def _closes(ws: ClientConnection) -> None:
    await ws.close()


async def _resets(ws: ClientConnection) -> None:
    reset(ws)


async def _hangs_up(ws: ClientConnection) -> None:
    hang_up(ws)


async def _closes_without_code(ws: ClientConnection) -> None:
    ws.protocol.send_close()
    ws.transport.write(b"".join(ws.protocol.data_to_send()))
    async with asyncio.timeout(SECONDS):
        await ws.wait_closed()


LEAVINGS = (_closes, _closes_without_code, _resets, _hangs_up)


@pytest.mark.row('client closes with 4001 "bye": `ConnectionClosed` has')
async def test_the_clients_close_code_and_reason_reach_the_handler(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "watch")
    ws = await probe.connect()
    await ws.close(4001, "bye")
    code, reason = (await probe.notes())["closed"]
    assert (code, reason) == probe.server.sees_close(4001, "bye")
    observed(_cell(code, reason))


@pytest.mark.row("client closes with an empty close frame: `ConnectionClosed` has")
async def test_an_empty_close_frame_is_1005(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "watch")
    ws = await probe.connect()
    await _closes_without_code(ws)
    code, reason = (await probe.notes())["closed"]
    assert (code, reason) == probe.server.sees_close(1005, "")
    observed(_cell(code, reason))


@pytest.mark.row("client resets the TCP connection: `ConnectionClosed` has")
async def test_a_reset_ends_the_handler_with_1005_or_1006(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "watch")
    reset(await probe.connect())
    closed = (await probe.notes())["closed"]
    assert closed == [probe.server.profile.code_of_lost_connection, ""]
    observed(_cell(*closed))


@pytest.mark.row("client ends the TCP connection without a close frame: `ConnectionClosed` has")
async def test_a_fin_ends_the_handler_with_1005_or_1006(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "watch")
    hang_up(await probe.connect())
    closed = (await probe.notes())["closed"]
    assert closed == [probe.server.profile.code_of_lost_connection, ""]
    observed(_cell(*closed))


@pytest.mark.row("client resets the TCP connection before `accept`: the handler is cancelled")
async def test_a_client_that_leaves_before_accept_frees_its_place(process: ServerProcess, observed: Observe) -> None:
    tells = process.server.name != "granian"
    probe = Probe(process, "work-first" if tells else "work-first-briefly")
    async with raw(process, handshake(probe.target())) as client:
        await probe.events("works")
        client.reset()
        notes = await probe.notes()
    # granian does not report that the client left: the handler ends when its time to accept is over.
    code = notes["end"]
    assert (code is not None) is tells
    observed("after `accept_timeout`" if code is None else "at once")


async def test_an_answer_to_a_client_that_has_left_is_nobodys_mistake(process: ServerProcess) -> None:
    for call in ("accept", "deny", "close"):
        probe = Probe(process, "answer-late")
        async with raw(process, handshake(probe.target(call=call))) as client:
            await probe.events("works")
            client.reset()
        async with http(process) as web:
            await web.post(f"/go/{probe.id}")
        notes = await probe.notes()
        # Not every server knows of the end yet, and not every server reports it.
        assert notes["answer"].partition(" ")[0] in ("returned", "ConnectionClosed")


@pytest.mark.row("`receive` and `send` after the client left, each time")
async def test_every_later_call_raises_the_same_connection_closed(process: ServerProcess, observed: Observe) -> None:
    for leave in LEAVINGS:
        probe = Probe(process, "watch")
        await leave(await probe.connect())
        notes = await probe.notes()
        code = notes["closed"][0]
        assert {notes[call] for call in LATER_CALLS} == {f"ConnectionClosed {code}"}
        assert notes["end"] == code
    observed("the same `ConnectionClosed`")


@pytest.mark.row("`close` and `wait_closed` after the client left, each time")
async def test_close_after_the_client_left_is_no_error(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "watch")
    await (await probe.connect()).close()
    notes = await probe.notes()
    assert {notes[call] for call in IDEMPOTENT_CALLS} == {"returned"}
    observed("return at once")


@pytest.mark.row("`on_disconnect` is called")
async def test_on_disconnect_is_called_once_after_the_messages(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "endpoint")
    ws = await probe.connect()
    await ws.send("one")
    assert await ws.recv() == "one"
    await ws.close(4001)
    events = await probe.events(until="on_disconnect")
    code, _ = probe.server.sees_close(4001, "")
    assert events == [["on_connect"], ["on_receive", "'one'"], ["on_disconnect", code]]
    observed("once")


async def test_messages_sent_just_before_the_close_frame_are_received_before_the_end(process: ServerProcess) -> None:
    probe = Probe(process, "watch")
    ws = await probe.connect()
    for number in range(10):
        await ws.send(str(number))
    await ws.close()
    events = await probe.events()
    received = [facts[0] for word, *facts in events if word == "received"]
    assert received == [repr(str(number)) for number in range(10)]
    assert [word for word, *_ in events].index("closed") == 11


@pytest.mark.row("client leaves while the handler sends")
async def test_a_client_that_leaves_while_its_handler_answers_is_no_error(
    process: ServerProcess, observed: Observe
) -> None:
    for leave in LEAVINGS:
        probe = Probe(process, "endpoint")
        ws = await probe.connect()
        # Fewer than a client reads ahead: one that is full does not see the answer to its close frame.
        for number in range(10):
            await ws.send(str(number))
        await leave(ws)
        events = await probe.events(until="on_disconnect")
        assert [word for word, *_ in events].count("on_disconnect") == 1
    observed("`on_disconnect`, no traceback")


@pytest.mark.row("`until_closed` around a handler that neither sends nor receives")
async def test_until_closed_ends_a_handler_that_only_waits(process: ServerProcess, observed: Observe) -> None:
    for leave in (_resets, _hangs_up):
        probe = Probe(process, "sleeper")
        ws = await probe.connect()
        await probe.events(until="accepted")
        await leave(ws)
        assert (await probe.notes())["end"] == probe.server.profile.code_of_lost_connection
    observed("ends it without an error")


@pytest.mark.row("`until_closed` around a handler that only sends")
async def test_until_closed_ends_a_handler_that_only_sends(process: ServerProcess, observed: Observe) -> None:
    for leave in (_resets, _hangs_up):
        probe = Probe(process, "ticker")
        ws = await probe.connect()
        assert await ws.recv() == "tick"
        await leave(ws)
        # The sender or the reader meets the end first, at random; the reported code depends on that.
        assert (await probe.notes())["end"] in (1005, 1006)
    observed("ends it without an error")


@pytest.mark.row("20 clients reset, disconnect or close: handlers that end without a traceback")
async def test_twenty_of_twenty_handlers_end(process: ServerProcess, observed: Observe) -> None:
    for endpoint, leave in product(("watch", "sleeper"), (_resets, _hangs_up, _closes)):
        probes = [Probe(process, endpoint) for _ in range(20)]
        clients = await asyncio.gather(*(probe.connect() for probe in probes))
        await asyncio.gather(*map(leave, clients))
        async with http(process) as client:
            ended = [await probe.events_by(client, "end", SECONDS) for probe in probes]
        observed(f"{len(ended)} of 20")
