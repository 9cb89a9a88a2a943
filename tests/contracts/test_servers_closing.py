"""The application closes."""

import pytest

from asgi_ws import CloseCode
from tests.servers.client import Probe, close_frame
from tests.servers.launch import ServerProcess

from .conftest import Log, Observe

REGISTERED = (1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014)


async def _closed_with(process: ServerProcess, code: int, reason: str = "") -> tuple[int, str]:
    ws = await Probe(process, "close").connect(query={"code": code, "reason": reason})
    return await close_frame(ws)


@pytest.mark.row("`close` with 1000, 3000, 4999")
async def test_1000_and_private_codes_reach_the_client(process: ServerProcess, observed: Observe) -> None:
    codes = [(await _closed_with(process, code))[0] for code in (1000, 3000, 4999)]
    assert codes == [1000, 3000, 4999]
    observed("sent unchanged")


@pytest.mark.row("`close` with 1001-1003, 1007-1014")
async def test_registered_codes_reach_the_client_or_their_stand_ins_do(
    process: ServerProcess, observed: Observe
) -> None:
    codes = [(await _closed_with(process, code))[0] for code in REGISTERED]
    assert codes == [process.server.on_wire(code) for code in REGISTERED]
    observed("sent unchanged" if process.server.profile.sends_registered_codes else "sent as 4901-4903, 4907-4914")


@pytest.mark.row("the reason of `close`")
async def test_the_reason_reaches_the_client(process: ServerProcess, observed: Observe) -> None:
    reason = "é" * 61
    seen = (await _closed_with(process, 4001, reason))[1]
    assert seen == (reason if process.server.profile.sends_close_reason else "")
    observed("sent" if seen else "dropped by the server")


@pytest.mark.row("`close` with 1005, 5000 or a reason over 123 bytes")
async def test_what_no_close_frame_may_carry_is_an_error_at_the_call(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "bad-close")
    ws = await probe.connect()
    assert await ws.recv() == "still here"
    assert (await close_frame(ws))[0] == 1000
    notes = await probe.notes()
    codes = {value for name, value in notes.items() if name.startswith("close ")}
    assert (codes, notes["reason of 124 bytes"]) == ({"InvalidCloseCode"}, "InvalidCloseReason")
    observed("the call raises, nothing is sent")


@pytest.mark.row("`send`, `receive` after the application's `close`")
async def test_calls_after_our_own_close_raise_connection_closed(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "close")
    ws = await probe.connect(query={"code": 4001})
    assert (await close_frame(ws))[0] == 4001
    notes = await probe.notes()
    assert {notes[call] for call in ("send", "send_json", "receive", "receive again")} == {"ConnectionClosed 4001"}
    assert (notes["first close"], notes["end"]) == ("returned", 4001)
    observed("`ConnectionClosed`")


@pytest.mark.row("`close` twice")
async def test_a_second_close_does_nothing(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "close")
    ws = await probe.connect(query={"code": 4001})
    assert (await close_frame(ws))[0] == 4001
    notes = await probe.notes()
    assert {notes[call] for call in ("close", "close again")} == {"returned"}
    observed("the first one applies")


@pytest.mark.row("`close` while another task waits in `receive`")
async def test_a_close_wakes_the_task_that_receives(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "close-while-reading")
    ws = await probe.connect()
    await ws.send("go")
    assert (await close_frame(ws))[0] == 4002
    notes = await probe.notes()
    assert (notes["first"], notes["second"]) == ("returned", "ConnectionClosed 4002")
    observed("`ConnectionClosed` in that task")


@pytest.mark.row("handler returns without closing")
async def test_a_handler_that_returns_closes_with_1000(process: ServerProcess, observed: Observe) -> None:
    ws = await Probe(process, "return-late").connect()
    await ws.send("go")
    code, _ = await close_frame(ws)
    assert code == CloseCode.NORMAL
    observed(str(code))


@pytest.mark.handler_fails
@pytest.mark.row("handler raises after `accept`")
async def test_a_handler_that_raises_closes_with_1011_and_logs_one_traceback(
    process: ServerProcess, observed: Observe, log: Log
) -> None:
    probe = Probe(process, "raise-late")
    ws = await probe.connect()
    await ws.send("go")
    code, _ = await close_frame(ws)
    assert code == process.server.on_wire(CloseCode.INTERNAL_ERROR)
    assert await log.count(f"RuntimeError: {probe.id}") == 1
    observed(f"{code}, one traceback")
