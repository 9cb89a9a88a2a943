"""The receive buffer by itself: every message that was read to its last byte can be received at any time."""

import asyncio
from typing import Any, Final, cast

import pytest

from asgi_ws.sizes import KIB, MIB
from asgi_ws.uvicorn_protocol.receive_buffer import ReceiveBuffer
from asgi_ws.uvicorn_protocol.writer import Writer
from asgi_ws.wire.deflate import Deflate
from asgi_ws.wire.events import Close, Ping, Pong, Violation
from asgi_ws.wire.negotiation import Parameters
from asgi_ws.wire.reader import FrameReader
from tests.servers.client import SECONDS
from tests.wire.streams import BINARY, CONT, PING, RSV1, TEXT, close, deflated, frame

from . import fuzz_receive_buffer
from .receive_buffers import Transport, Writes

# In loop iterations. The waits of these tests take a few.
_MANY: Final = 5000


class Held:
    """A receive buffer in the running loop that counts its notifications."""

    def __init__(
        self, *, max_messages: int = 32, max_bytes: int = 128 * KIB, reader: FrameReader | None = None
    ) -> None:
        writer = Writes(Transport())
        self.transport = writer.transport
        self.controls: list[Ping | Pong | Close | Violation] = []
        self.held = 0
        self.buffer = ReceiveBuffer(
            reader or FrameReader(),
            cast("Writer", writer),
            asyncio.get_running_loop(),
            self.controls.append,
            self._on_held,
            max_messages=max_messages,
            max_bytes=max_bytes,
        )

    def _on_held(self) -> None:
        self.held += 1

    def reads(self) -> bool:
        return self.transport.is_reading

    def is_behind(self) -> bool:
        """Return True if the transport waits for the handler."""
        return self.buffer.is_behind

    async def messages(self, count: int) -> list[Any]:
        async with asyncio.timeout(SECONDS):
            events = [await self.buffer.receive() for _ in range(count)]
        return [event.get("text", event.get("bytes")) for event in events]

    async def until_read(self) -> int:
        """Wait until no message is held, and return the number of loop iterations that this took."""
        for count in range(_MANY):
            if not self.buffer.reader.has_more:
                return count
            await asyncio.sleep(0)
        raise AssertionError("it is never read")


def test_a_short_round_of_the_fuzzer_finds_nothing() -> None:
    assert fuzz_receive_buffer.fuzz(800, first=20_260_101) is None


async def test_the_last_byte_of_a_message_that_came_while_the_handler_was_busy_is_not_held_back() -> None:
    held = Held()
    one, last = frame(TEXT, b"short"), frame(TEXT, b"the last one")
    for _ in range(31):
        held.buffer.feed(one)
    held.buffer.feed(one * 10 + last[:-1])
    held.buffer.feed(last[-1:])
    assert await held.messages(42) == ["short"] * 41 + ["the last one"]


@pytest.mark.parametrize("size", [1, 4096])
async def test_messages_that_come_in_any_pieces_arrive_while_the_handler_waits_and_while_it_does_not(size: int) -> None:
    held = Held()
    data = frame(TEXT, b"x" * 130) * 60
    for start in range(0, len(data), size):
        held.buffer.feed(data[start : start + size])
    assert await held.messages(60) == ["x" * 130] * 60


async def test_the_transport_pauses_past_the_bytes_that_may_be_held_and_goes_on_when_all_is_taken() -> None:
    held = Held(max_messages=2, max_bytes=1000)
    for _ in range(2):
        held.buffer.feed(frame(BINARY, bytes(100)))
    held.buffer.feed(frame(BINARY, bytes(900)))
    assert held.reads()
    held.buffer.feed(frame(BINARY, bytes(100)))
    assert not held.reads()
    assert held.is_behind()
    assert await held.messages(1) == [bytes(100)]
    assert not held.reads()
    assert await held.messages(3) == [bytes(100), bytes(900), bytes(100)]
    assert held.reads()
    assert not held.is_behind()


async def test_bytes_that_are_held_for_a_handler_that_is_behind_are_reported() -> None:
    held = Held(max_messages=2)
    for _ in range(2):
        held.buffer.feed(frame(TEXT, b"x"))
    assert held.held == 0
    held.buffer.feed(frame(TEXT, b"x"))
    assert held.held == 1
    held.buffer.feed(frame(TEXT, b"x"))
    assert held.held == 2


@pytest.mark.parametrize(
    ("data", "controls"),
    [
        pytest.param(frame(PING) * 20_000, 20_000, id="pings"),
        pytest.param(frame(BINARY, fin=False) + frame(CONT, fin=False) * 20_000, 0, id="empty fragments"),
        pytest.param(frame(BINARY, deflated(bytes(8 * MIB)), fin=False, rsv=RSV1, mask=bytes(4)), 0, id="half a bomb"),
    ],
)
async def test_reading_is_spread_over_iterations_of_the_loop(data: bytes, controls: int) -> None:
    held = Held(reader=FrameReader(inflater=Deflate(Parameters(False, False, 15, 15))))
    held.buffer.feed(data)
    assert await held.until_read() > 15
    assert len(held.controls) == controls


async def test_messages_that_a_handler_takes_without_a_wait_are_spread_over_iterations_too() -> None:
    held = Held(max_messages=32)
    held.buffer.feed(frame(TEXT, b"x") * 10_000)
    taken, most, before = 0, 0, 0

    async def take() -> None:
        nonlocal taken
        while taken < 10_000:
            await held.buffer.receive()
            taken += 1

    task = asyncio.create_task(take())
    while not task.done():
        await asyncio.sleep(0)
        most, before = max(most, taken - before), taken
    assert most <= 5 * 32


async def test_a_read_as_large_as_a_loop_makes_them_ends_the_share_of_an_iteration() -> None:
    held = Held()
    data = frame(BINARY, bytes(MIB), mask=bytes(4))
    held.buffer.feed(data[: 256 * KIB])
    held.buffer.feed(data[256 * KIB : 512 * KIB])
    assert not held.reads()
    await held.until_read()
    await asyncio.sleep(0)
    assert held.reads()
    held.buffer.feed(data[512 * KIB :])
    assert await held.messages(1) == [bytes(MIB)]


async def test_a_receive_buffer_that_keeps_nothing_more_spreads_its_reading_too_and_finds_the_close_frame() -> None:
    held = Held()
    held.buffer.feed(frame(TEXT, b"waits") * 40)
    held.buffer.discard()
    held.buffer.feed((frame(TEXT, b"x" * 5) + frame(PING)) * 10_000 + close(1000))
    assert await held.until_read() > 5
    assert held.controls[-1] == Close(1000, "")
    assert await held.messages(32) == ["waits"] * 32


async def test_a_receive_buffer_that_is_let_go_of_reads_no_more() -> None:
    held = Held()
    held.buffer.feed(frame(PING) * 5000)
    seen = len(held.controls)
    held.buffer.close()
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(held.controls) == seen


async def test_a_text_is_held_encoded_and_received_as_text() -> None:
    held = Held()
    text = "a" * 10_000 + "\U0001f600"
    held.buffer.feed(frame(TEXT, text.encode()))
    assert not isinstance(held.buffer.events[0], str)
    assert await held.messages(1) == [text]


async def test_inflated_messages_that_wait_are_bounded_by_their_bytes() -> None:
    held = Held(reader=FrameReader(inflater=Deflate(Parameters(False, False, 15, 15))))
    # The second has a width of four bytes, and waits in one.
    for payload in (b"a" * 200_000, b"a" * 200_000 + "\U0001f600".encode()):
        held.buffer.feed(frame(TEXT, deflated(payload), rsv=RSV1) * 20)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(held.buffer.events) == 1
        assert await held.messages(20) == [payload.decode()] * 20
