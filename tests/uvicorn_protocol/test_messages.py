"""Messages in both directions: whole and in order."""

import pytest

from asgi_ws.sizes import MIB
from tests.wire.streams import BINARY, NO_MASK, PING, PONG, TEXT, close, frame

from .conftest import Serve
from .peer import Frame, opened, text
from .served import Uvicorn


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_a_message_of_any_size_comes_back_in_one_frame(server: Uvicorn, opcode: int) -> None:
    async with opened(server, "echo") as peer:
        for size in (0, 125, 126, 65_535, 65_536, 16 * MIB):
            payload = (b"0123456789abcdef" * (size // 16 + 1))[:size]
            peer.send(frame(opcode, payload, mask=NO_MASK) if size > 65_536 else frame(opcode, payload))
            assert await peer.frame() == Frame(0x80 | opcode, payload)


@pytest.mark.parametrize("handler", ["echo", "deaf"])
async def test_many_pings_in_one_read_are_all_answered(server: Uvicorn, handler: str) -> None:
    payloads = [b"", b"x" * 125, *(bytes([number]) for number in range(200))]
    async with opened(server, handler) as peer:
        peer.send(*(frame(PING, payload) for payload in payloads))
        assert [await peer.frame() for _ in payloads] == [Frame(0x80 | PONG, payload) for payload in payloads]
        peer.send(close())
        assert await peer.close_frame() == (1000, "")


async def test_an_unsolicited_pong_is_ignored(server: Uvicorn) -> None:
    async with opened(server, "echo") as peer:
        peer.send(frame(PONG, b"?"), frame(PONG), text("next"))
        assert await peer.message() == "next"


async def test_messages_of_all_sizes_come_back_in_order(server: Uvicorn) -> None:
    """Small ones are corked and large ones are not, and neither may overtake the other."""
    sizes = [1, 70_000, 3, 66_000, 200, 300_000, 0, 64, 65_536, 2] * 5
    async with opened(server, "echo") as peer:
        peer.send(*(frame(BINARY, bytes([number]) * size, mask=NO_MASK) for number, size in enumerate(sizes)))
        for number, size in enumerate(sizes):
            assert (await peer.frame()).payload == bytes([number]) * size


@pytest.mark.parametrize(
    ("handler", "answers"), [("threefold", [".0", ".1", ".2"]), ("from_another_task", [""])], ids=["three", "task"]
)
async def test_the_answers_to_many_waiting_messages_come_in_order(
    server: Uvicorn, handler: str, answers: list[str]
) -> None:
    async with opened(server, handler) as peer:
        peer.send(*(text(str(number)) for number in range(500)))
        expected = [f"{number}{answer}" for number in range(500) for answer in answers]
        assert [await peer.message() for _ in expected] == expected


async def test_an_answer_leaves_though_messages_wait_and_nobody_receives_them(server: Uvicorn) -> None:
    # Frames are corked only until the application is about to wait.
    async with opened(server, "answer_one") as peer:
        peer.send(text("one"), text("two"), text("three"))
        assert await peer.message() == "'one'"
        await peer.notes(until="ready")
        await peer.go()
        assert [await peer.message(), await peer.message()] == ["'two'", "'three'"]


@pytest.mark.parametrize("size", [0, 5000])
async def test_messages_of_four_tasks_arrive_in_each_task_s_order(server: Uvicorn, size: int) -> None:
    async with opened(server, "crowd", query={"size": size}) as peer:
        got = [str(await peer.message()).split(":") for _ in range(800)]
        assert await peer.close_frame() == (1000, "")
    for speaker in range(4):
        assert [int(number) for who, number, _ in got if int(who) == speaker] == list(range(200))
    assert {len(padding) for _, _, padding in got} == {size}


@pytest.mark.parametrize("options", [(), ("--ws-max-queue=2",)])
async def test_messages_that_wait_for_a_slow_handler_keep_their_order(serve: Serve, options: tuple[str, ...]) -> None:
    async with opened(serve(*options), "record", query={"gate": 1}) as peer:
        peer.send(*(text(str(number)) for number in range(300)))
        await peer.notes(until="ready")
        await peer.go()
        peer.send(text("last"), close())
        assert (await peer.notes())["received"] == [repr(str(number)) for number in range(300)] + ["'last'"]
