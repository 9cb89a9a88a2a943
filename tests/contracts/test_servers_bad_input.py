"""Invalid input from the client."""

import struct

import pytest

from asgi_ws import CloseCode
from tests.servers.client import Probe, close_frame, handshake, http, next_client_is_served, raw
from tests.servers.launch import ServerProcess

from .conftest import Observe


async def _ended_with(probe: Probe, *messages: str | bytes) -> int:
    """Send messages; return the code with which the server ends the connection."""
    ws = await probe.connect()
    for message in messages:
        await ws.send(message)
    code, _ = await close_frame(ws)
    await next_client_is_served(probe.process)
    return code


@pytest.mark.row("message larger than `Limits.max_message_bytes`")
async def test_a_message_over_the_limit_ends_with_1009(process: ServerProcess, observed: Observe) -> None:
    for message in ("x" * 1025, "é" * 513, bytes(1025)):
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


@pytest.mark.row("idle for `Limits.idle_timeout`")
async def test_an_idle_client_is_closed_with_4408(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "limited/idle")
    code = await _ended_with(probe)
    assert code == CloseCode.IDLE
    assert (await probe.events(until="on_disconnect"))[-1] == ["on_disconnect", CloseCode.IDLE]
    observed(str(code))


@pytest.mark.row("one connection more than `Limits.max_connections`")
async def test_a_connection_too_many_is_refused_until_one_ends(process: ServerProcess, observed: Observe) -> None:
    first = Probe(process, "limited/connections")
    ws = await first.connect()
    status = (await Probe(process, "limited/connections").refusal()).status_code
    await ws.close()
    await first.events(until="on_disconnect")
    await (await Probe(process, "limited/connections").connect()).close()
    assert status == process.server.denies(503)
    observed(f"HTTP {status}")


@pytest.mark.row("one connection more than `Limits.max_connections_per_client`")
async def test_a_connection_too_many_of_one_client_is_refused(process: ServerProcess, observed: Observe) -> None:
    ws = await Probe(process, "limited/client").connect()
    status = (await Probe(process, "limited/client").refusal()).status_code
    await ws.close()
    assert status == process.server.denies(429)
    observed(f"HTTP {status}")


@pytest.mark.row('invalid JSON for `encoding = "json"`')
async def test_a_message_that_is_not_json_ends_with_1007(process: ServerProcess, observed: Observe) -> None:
    for message in ("{", b"\xff"):
        probe = Probe(process, "json")
        code = await _ended_with(probe, message)
        assert code == process.server.on_wire(CloseCode.INVALID_PAYLOAD)
        assert (await probe.notes())["end"] == CloseCode.INVALID_PAYLOAD
        observed(str(code))


@pytest.mark.row('binary message for `encoding = "text"`')
async def test_a_message_of_the_wrong_type_ends_with_1003(process: ServerProcess, observed: Observe) -> None:
    probe = Probe(process, "text")
    code = await _ended_with(probe, b"binary")
    assert code == process.server.on_wire(CloseCode.UNSUPPORTED_DATA)
    assert (await probe.notes())["end"] == CloseCode.UNSUPPORTED_DATA
    observed(str(code))


def _frame(first: int, payload: bytes, *, masked: bool = True) -> bytes:
    """Return a frame with this first byte (RFC 6455 section 5.2); its mask of zeros keeps the payload readable."""
    if masked:
        return struct.pack("!BB4x", first, 0x80 | len(payload)) + payload
    return struct.pack("!BB", first, len(payload)) + payload


def _close_code(data: bytes) -> int:
    """Return the code of a close frame: 1005 for an empty one, 1006 without a frame."""
    if not data:
        return CloseCode.ABNORMAL
    first, length = data[:2]
    assert first == 0x88
    return int.from_bytes(data[2:4]) if length else CloseCode.NO_STATUS


# By the row of the table, frames that have one cell in it.
BAD_FRAMES = {
    "frame with a protocol error: close code": [
        _frame(0x83, b"x"),  # reserved opcode
        _frame(0xC1, b"x"),  # reserved bit
        _frame(0x81, b"x", masked=False),
        _frame(0x09, b"x"),  # fragmented ping
        _frame(0x80, b"x"),  # continuation of nothing
        _frame(0x88, b"\x03"),  # close with a code of one byte
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    "invalid UTF-8 in text or in a close frame: close code": [
        _frame(0x81, b"\xff\xfe"),
        _frame(0x88, struct.pack("!H", 1000) + b"\xff"),
    ],
    "close frame with 999 or 1005: close code": [
        _frame(0x88, struct.pack("!H", 999)),
        _frame(0x88, struct.pack("!H", 1005)),
    ],
    "frame of 2**64 - 1 bytes: close code": [b"\x82\xff" + b"\xff" * 8 + bytes(4)],
}
_CELLS = {CloseCode.ABNORMAL: "no close frame", CloseCode.NO_STATUS: "close frame without a code"}


@pytest.mark.server_complains
@pytest.mark.parametrize(
    "frames", [pytest.param(frames, id=title, marks=pytest.mark.row(title)) for title, frames in BAD_FRAMES.items()]
)
async def test_a_bad_frame_ends_the_handler_as_a_leaving_does(
    process: ServerProcess, observed: Observe, frames: list[bytes]
) -> None:
    for data in frames:
        probe = Probe(process, "endpoint")
        async with raw(process, handshake(probe.target())) as connection:
            assert await connection.response() == 101
            connection.writer.write(data)
            code = _close_code(await connection.rest())
        events = await probe.events(until="on_disconnect")
        assert events[0] == ["on_connect"]
        assert [word for word, *_ in events].count("on_disconnect") == 1
        observed(_CELLS.get(code, str(code)))
    await next_client_is_served(process)


BAD_HANDSHAKES: dict[str, dict[str, str | None]] = {
    "no key": {"sec_websocket_key": None},
    "an invalid key": {"sec_websocket_key": "x"},
    "version 12": {"sec_websocket_version": "12"},
    "no `Host`": {"host": None},
    "a line break in a header": {"x_bad": "line\nbreak"},
    "a header that is not ASCII": {"x_bad": "\xff"},
}


@pytest.mark.server_complains
@pytest.mark.parametrize(
    "replaced",
    [
        pytest.param(replaced, id=title, marks=pytest.mark.row(f"handshake with {title}"))
        for title, replaced in BAD_HANDSHAKES.items()
    ],
)
async def test_a_bad_handshake_is_answered_and_the_next_client_is_served(
    process: ServerProcess, observed: Observe, replaced: dict[str, str | None]
) -> None:
    probe = Probe(process, "endpoint")
    async with raw(process, handshake(probe.target(), **replaced)) as connection:
        status = await connection.response()
    if status == 101:
        await probe.events(until="on_disconnect")
    await next_client_is_served(process)
    observed(f"HTTP {status}")


async def test_a_plain_request_for_a_websocket_path_is_answered_with_426(process: ServerProcess) -> None:
    async with http(process) as client:
        response = await client.get("/ws/endpoint")
    assert (response.status_code, response.headers["upgrade"]) == (426, "websocket")
