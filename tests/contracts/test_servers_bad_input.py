"""Bad input of the client."""

import struct

import pytest

from asgi_ws import CloseCode
from tests.servers.client import Probe, close_frame, handshake, http, raw
from tests.servers.launch import ServerProcess

from .conftest import Log, Observe


async def _next_client_is_served(process: ServerProcess) -> None:
    ws = await Probe(process, "endpoint").connect()
    await ws.send("next")
    assert await ws.recv() == "next"
    await ws.close()


async def _ended_with(probe: Probe, *messages: str | bytes) -> int:
    """The code with which the server ends a connection on which the client sent this."""
    ws = await probe.connect()
    for message in messages:
        await ws.send(message)
    code, _ = await close_frame(ws)
    await _next_client_is_served(probe.process)
    return code


@pytest.mark.row("message over `Limits.max_message_bytes`")
@pytest.mark.parametrize("message", ["x" * 1025, "é" * 513, bytes(1025)])
async def test_a_message_over_the_limit_ends_with_1009(
    process: ServerProcess, observed: Observe, message: str | bytes
) -> None:
    probe = Probe(process, "limited/size")
    code = await _ended_with(probe, message)
    assert code == process.server.on_wire(CloseCode.MESSAGE_TOO_BIG)
    events = await probe.events(until="on_disconnect")
    assert events == [["on_connect"], ["on_disconnect", CloseCode.MESSAGE_TOO_BIG]]
    observed(str(code))


async def test_a_message_of_just_the_limit_passes(process: ServerProcess) -> None:
    ws = await Probe(process, "limited/size").connect()
    for message in ("x" * 1024, "é" * 512, bytes(1024)):
        await ws.send(message)
        assert await ws.recv() == message
    await ws.close()


@pytest.mark.row("more than `Limits.messages_per_second`")
async def test_too_many_messages_end_with_1008(process: ServerProcess, observed: Observe) -> None:
    code = await _ended_with(Probe(process, "limited/messages"), "one", "two")
    assert code == process.server.on_wire(CloseCode.POLICY_VIOLATION)
    observed(str(code))


@pytest.mark.row("more than `Limits.bytes_per_second`")
async def test_too_many_bytes_end_with_1008(process: ServerProcess, observed: Observe) -> None:
    code = await _ended_with(Probe(process, "limited/bytes"), "x" * 4096, "x" * 4096)
    assert code == process.server.on_wire(CloseCode.POLICY_VIOLATION)
    observed(str(code))


@pytest.mark.row("silent for `Limits.idle_timeout`")
async def test_an_idle_client_is_closed_with_4408(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "limited/idle")
    code = await _ended_with(probe)
    assert code == CloseCode.IDLE
    assert (await probe.events(until="on_disconnect"))[-1] == ["on_disconnect", CloseCode.IDLE]
    observed(str(code))


@pytest.mark.row("one connection over `Limits.max_connections`")
async def test_a_connection_too_many_is_refused_until_one_ends(process: ServerProcess, observed: Observe) -> None:
    first = Probe(process, "limited/connections")
    ws = await first.connect()
    status = (await Probe(process, "limited/connections").refusal()).status_code
    await ws.close()
    await first.events(until="on_disconnect")
    await (await Probe(process, "limited/connections").connect()).close()
    assert status == process.server.denies(503)
    observed(f"HTTP {status}")


@pytest.mark.row("one connection over `Limits.max_connections_per_client`")
async def test_a_connection_too_many_of_one_client_is_refused(process: ServerProcess, observed: Observe) -> None:
    ws = await Probe(process, "limited/client").connect()
    status = (await Probe(process, "limited/client").refusal()).status_code
    await ws.close()
    assert status == process.server.denies(429)
    observed(f"HTTP {status}")


@pytest.mark.row('no JSON for `encoding = "json"`')
@pytest.mark.parametrize("message", ["{", b"\xff", "", "NaN"])
async def test_a_message_that_is_no_json_ends_with_1007(
    process: ServerProcess, observed: Observe, message: str | bytes
) -> None:
    probe = Probe(process, "json")
    code = await _ended_with(probe, message)
    assert code == process.server.on_wire(CloseCode.INVALID_PAYLOAD)
    assert (await probe.notes())["end"] == CloseCode.INVALID_PAYLOAD
    observed(str(code))


@pytest.mark.row('binary for `encoding = "text"`')
async def test_a_message_of_the_wrong_type_ends_with_1003(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "text")
    code = await _ended_with(probe, b"binary")
    assert code == process.server.on_wire(CloseCode.UNSUPPORTED_DATA)
    assert (await probe.notes())["end"] == CloseCode.UNSUPPORTED_DATA
    observed(str(code))


def _frame(first: int, payload: bytes, *, masked: bool = True) -> bytes:
    """A frame with this first byte (RFC 6455 section 5.2); a mask of zeros changes nothing."""
    if masked:
        return struct.pack("!BB4x", first, 0x80 | len(payload)) + payload
    return struct.pack("!BB", first, len(payload)) + payload


BAD_FRAMES = {
    "invalid UTF-8": _frame(0x81, b"\xff\xfe"),
    "reserved opcode": _frame(0x83, b"x"),
    "reserved bit": _frame(0xC1, b"x"),
    "not masked": _frame(0x81, b"x", masked=False),
    "fragmented ping": _frame(0x09, b"x"),
    "continuation of nothing": _frame(0x80, b"x"),
    "close with a code of one byte": _frame(0x88, b"\x03"),
    "close with code 999": _frame(0x88, struct.pack("!H", 999)),
    "close with code 1005": _frame(0x88, struct.pack("!H", 1005)),
    "close with a reason that is no UTF-8": _frame(0x88, struct.pack("!H", 1000) + b"\xff"),
    "length beyond 2**63": b"\x82\xff" + b"\xff" * 8 + bytes(4),
    "no frame at all": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.row("frames that are none, invalid UTF-8 in text and in a close frame")
@pytest.mark.server_complains
@pytest.mark.parametrize("data", BAD_FRAMES.values(), ids=BAD_FRAMES)
async def test_a_bad_frame_ends_the_handler_as_a_leaving_does(
    process: ServerProcess, observed: Observe, log: Log, data: bytes
) -> None:
    probe = Probe(process, "endpoint")
    async with raw(process, handshake(probe.target())) as connection:
        assert await connection.response() == 101
        connection.writer.write(data)
        connection.write_eof()
        await connection.rest()
    events = await probe.events(until="on_disconnect")
    assert events[0] == ["on_connect"]
    assert [word for word, *_ in events].count("on_disconnect") == 1
    await _next_client_is_served(process)
    assert "asgi_ws" not in "".join(log.complaints())
    observed("`on_disconnect`, the next client is served")


BAD_HANDSHAKES: dict[str, dict[str, str | None]] = {
    "no key": {"sec_websocket_key": None},
    "version 12": {"sec_websocket_version": "12"},
    "no host": {"host": None},
    "broken header": {"x_bad": "line\nbreak"},
    "a header that is no ASCII": {"x_bad": "\xff"},
    "key that is none": {"sec_websocket_key": "x"},
}


@pytest.mark.row("handshakes that are none")
@pytest.mark.server_complains
@pytest.mark.parametrize("replaced", BAD_HANDSHAKES.values(), ids=BAD_HANDSHAKES)
async def test_a_bad_handshake_is_answered_and_the_next_client_is_served(
    process: ServerProcess, observed: Observe, log: Log, replaced: dict[str, str | None]
) -> None:
    probe = Probe(process, "endpoint")
    async with raw(process, handshake(probe.target(), **replaced)) as connection:
        connection.write_eof()
        await connection.rest()
    await _next_client_is_served(process)
    assert "asgi_ws" not in "".join(log.complaints())
    observed("the next client is served")


async def test_a_plain_request_for_a_websocket_path_is_answered_with_426(process: ServerProcess) -> None:
    async with http(process) as client:
        response = await client.get("/ws/endpoint")
    assert (response.status_code, response.headers["upgrade"]) == (426, "websocket")
