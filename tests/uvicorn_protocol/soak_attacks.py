"""Attacks of clients on a server: each kind is one connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias
from uuid import uuid4

from asgi_ws.sizes import KIB
from tests.servers.client import handshake
from tests.wire.streams import BINARY, CONT, PING, RSV1, RSV2, TEXT, close, deflated, frame

from .peer import Peer, dialled, text
from .served import Uvicorn

MAX_MESSAGE_BYTES: Final = 64 * KIB
# Seconds that a stalled client stays at most; the server aborts it before.
_PATIENCE: Final = 60.0
_SMALL_BUFFER: Final = 4096
_DEFLATE: Final = "permessage-deflate"

Attack: TypeAlias = Callable[[Uvicorn], Awaitable[None]]


@asynccontextmanager
async def _open(
    server: Uvicorn, target: str, extensions: str | None = None, *, stalls: bool = False
) -> AsyncIterator[Peer]:
    """Open a WebSocket."""
    first = handshake(target, sec_websocket_extensions=extensions)
    async with dialled(server, first, receive_buffer=_SMALL_BUFFER if stalls else None) as peer:
        head = await peer.head()
        assert head.status == 101, head
        if stalls:
            peer.stop_reading()
        yield peer


async def _ends(peer: Peer) -> None:
    """Do the closing handshake."""
    peer.send(close(1001))
    got, _ = await peer.close_frame(_PATIENCE)
    assert got == 1001, got


def _closed_with(code: int, target: str, *data: bytes, extensions: str | None = None) -> Attack:
    """Return an attack of this data, which the server closes with a code."""

    async def attack(server: Uvicorn) -> None:
        async with _open(server, target, extensions) as peer:
            peer.send(*data)
            got, _ = await peer.close_frame(_PATIENCE)
            assert got == code, got

    return attack


def _refused_with(status: int, first: bytes) -> Attack:
    """Return an attack in place of a handshake, which the server refuses."""

    async def attack(server: Uvicorn) -> None:
        async with dialled(server, first) as peer:
            got = (await peer.head()).status
            assert got == status, got

    return attack


def _left(how: str, target: str, *data: bytes) -> Attack:
    """Return an attack that sends this and leaves without a close frame."""

    async def attack(server: Uvicorn) -> None:
        async with _open(server, target) as peer:
            peer.send(*data)
            peer.leave(how)
            if how == "half-close":
                await peer.rest(_PATIENCE)

    return attack


def _left_in_handshake(how: str, first: bytes, pause: float = 0.0) -> Attack:
    async def attack(server: Uvicorn) -> None:
        async with dialled(server, first) as peer:
            await asyncio.sleep(pause)
            peer.leave(how)

    return attack


async def ordinary(server: Uvicorn) -> None:
    async with _open(server, "/echo") as peer:
        for size in (1, 200, 20_000):
            peer.send(text("x" * size))
            assert await peer.message(_PATIENCE) == "x" * size
        await _ends(peer)


async def compressed(server: Uvicorn) -> None:
    async with _open(server, "/echo", _DEFLATE) as peer:
        peer.send(frame(TEXT, deflated(b"x" * 20_000), rsv=RSV1))
        answer = await peer.frame(_PATIENCE)
        assert answer.is_compressed, answer
        await _ends(peer)


async def half_a_handshake_and_silence(server: Uvicorn) -> None:
    async with dialled(server, handshake("/echo")[:40]) as peer:
        await asyncio.sleep(0.5)
        peer.leave("FIN")


async def stalled_reader(server: Uvicorn) -> None:
    """Ask for a flood and read nothing, until the server aborts."""
    async with _open(server, "/flood", stalls=True) as peer:
        # While nothing is read, only a write finds the end of the connection.
        async with asyncio.timeout(_PATIENCE):
            while not peer.writer.transport.is_closing():
                peer.send(frame(BINARY))
                await asyncio.sleep(0.2)


async def stalled_subscriber(server: Uvicorn) -> None:
    """Join a room, fill it, and read nothing."""
    async with _open(server, "/room/stalls", stalls=True) as peer:
        for _ in range(10):
            # The hub may have aborted it by now.
            with suppress(ConnectionError):
                await peer.push(text("x" * 16 * KIB), 0.05)
            await asyncio.sleep(0.01)
        peer.leave("RST")


async def subscriber(server: Uvicorn) -> None:
    async with _open(server, "/room/talks") as peer:
        word = uuid4().hex
        peer.send(text(word))
        # Others talk in this room.
        while await peer.message(_PATIENCE) != word:
            pass
        await _ends(peer)


async def subscriber_that_resets(server: Uvicorn) -> None:
    async with _open(server, "/room/talks") as peer:
        assert await peer.message(_PATIENCE) == "joined"
        peer.send(text("bye"))
        peer.leave("RST")


async def unread_messages(server: Uvicorn) -> None:
    """Send more than a handler reads, and vanish."""
    async with _open(server, "/deaf") as peer:
        await peer.push(text("x" * 100) * 200, 0.2)
        peer.leave("FIN")


async def unread_denial(server: Uvicorn) -> None:
    async with dialled(server, handshake("/denied"), receive_buffer=_SMALL_BUFFER) as peer:
        peer.stop_reading()
        await asyncio.sleep(0.1)
        peer.leave("RST")


async def ping_flood(server: Uvicorn) -> None:
    async with _open(server, "/echo") as peer:
        await peer.push(frame(PING, b"x" * 125) * 500, 1)
        await _ends(peer)


async def frames_with_the_handshake(server: Uvicorn) -> None:
    async with dialled(server, handshake("/echo") + text("early")) as peer:
        assert (await peer.head()).status == 101
        peer.send(text("later"))
        # uvicorn's HTTP class loses what came in the same read.
        assert await peer.message(_PATIENCE) in ("early", "later")


async def plain_request(server: Uvicorn) -> None:
    async with dialled(server, b"GET /nowhere HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n") as peer:
        assert (await peer.head()).status == 404
        await peer.rest(_PATIENCE)


_LONG: Final = "x" * 5000
_FRAGMENT: Final = frame(CONT, b"", fin=False)

ATTACKS: Final[Mapping[str, Attack]] = {
    "ordinary": ordinary,
    "compressed": compressed,
    "subscriber": subscriber,
    "plain request": plain_request,
    "frames with the handshake": frames_with_the_handshake,
    "reset": _left("RST", "/echo", text("x")),
    "end without a close frame": _left("FIN", "/echo", text("x")),
    "half-close": _left("half-close", "/echo", text("x")),
    "reset in a message": _left("RST", "/echo", text("x" * 1000)[:500]),
    "reset in a closing handshake": _left("RST", "/echo", close(1000)),
    "reset before accept": _left_in_handshake("RST", handshake("/late")),
    "end before accept": _left_in_handshake("FIN", handshake("/never"), 0.05),
    "reset in a handshake": _left_in_handshake("RST", handshake("/echo")[:60]),
    "half a handshake and silence": half_a_handshake_and_silence,
    "no HTTP": _refused_with(400, b"\x16\x03\x01\x00\xa5\r\n\r\n"),
    "wrong version": _refused_with(426, handshake("/echo", sec_websocket_version="7")),
    "wrong key": _refused_with(400, handshake("/echo", sec_websocket_key="short")),
    "long header": _refused_with(431, handshake("/echo", cookie=_LONG * 4)),
    "unknown path": _refused_with(404, handshake("/nowhere")),
    "foreign origin": _refused_with(403, handshake("/echo", origin=f"https://{_LONG}.example")),
    "never accepted": _refused_with(503, handshake("/never")),
    "denied": _refused_with(401, handshake("/denied")),
    "denial unread": unread_denial,
    "handler returns": _closed_with(1000, "/brief"),
    "no mask": _closed_with(1002, "/echo", frame(TEXT, b"x", mask=None)),
    "reserved bit": _closed_with(1002, "/echo", frame(TEXT, b"x", rsv=RSV2)),
    "reserved opcode": _closed_with(1002, "/echo", frame(0xB, b"x")),
    "one byte of a close code": _closed_with(1002, "/echo", frame(0x8, b"x")),
    "no text": _closed_with(1007, "/echo", frame(TEXT, b"\xff\xfe")),
    "too large": _closed_with(1009, "/echo", frame(BINARY, length=MAX_MESSAGE_BYTES + 1)),
    "endless fragments": _closed_with(1009, "/echo", frame(TEXT, b"", fin=False), _FRAGMENT * 1000),
    "bomb": _closed_with(1009, "/echo", frame(TEXT, deflated(bytes(8 << 20)), rsv=RSV1), extensions=_DEFLATE),
    "broken compression": _closed_with(1007, "/echo", frame(TEXT, b"\xff" * 100, rsv=RSV1), extensions=_DEFLATE),
    "no JSON": _closed_with(1007, "/json", text("{")),
    "too many messages": _closed_with(1008, "/busy", text("1") * 50),
    "idle": _closed_with(4408, "/idle"),
    "ping flood": ping_flood,
    "messages unread": unread_messages,
    "stalled reader": stalled_reader,
    "stalled subscriber": stalled_subscriber,
    "subscriber that resets": subscriber_that_resets,
}


async def run(server: Uvicorn, count: int, at_once: int) -> Mapping[str, list[str]]:
    """Make `count` connections, kind after kind, with `at_once` at a time. Return the errors by kind."""
    kinds = list(ATTACKS.items())
    wrong: dict[str, list[str]] = {}
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            name, attack = kinds[number % len(kinds)]
            try:
                await attack(server)
            except Exception as error:  # noqa: BLE001 -- any error is shown with the kind's name
                wrong.setdefault(name, []).append(f"{type(error).__name__}: {error}")

    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(work())
    return wrong


def shown(wrong: Mapping[str, list[Any]]) -> str:
    """Return a line for each kind: how many errors, and the first of them."""
    return "\n".join(f"{name}: {len(errors)} times, first {errors[0]}" for name, errors in wrong.items())
