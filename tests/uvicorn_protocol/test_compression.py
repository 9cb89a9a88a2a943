"""permessage-deflate on the wire (RFC 7692). `tests/wire` tests compression itself, without sockets."""

import asyncio
import os
import zlib
from typing import Final, Literal

import pytest
from websockets.asyncio.client import ClientConnection

from asgi_ws.sizes import KIB
from tests.servers.client import Probe
from tests.wire.streams import BINARY, PING, RSV1, SYNC_FLUSH, TEXT, bomb, close, deflated, frame

from .conftest import Serve
from .peer import DEFLATE, Peer, asking, opened, text
from .served import Uvicorn

# Long enough to be worth it, with nothing random in it.
_JSON: Final = ('{"room": "lobby", "who": "somebody", "text": "hello"}, ' * 40).encode()


def _inflated(payload: bytes) -> bytes:
    return zlib.decompressobj(wbits=-15).decompress(payload + SYNC_FLUSH)


async def test_a_message_is_compressed_in_both_directions(server: Uvicorn) -> None:
    async with opened(server, "echo", DEFLATE) as peer:
        peer.send(frame(TEXT, deflated(_JSON), rsv=RSV1))
        got = await peer.frame()
        assert (got.opcode, got.is_compressed) == (TEXT, True)
        assert len(got.payload) < len(_JSON) // 4
        assert _inflated(got.payload) == _JSON


@pytest.mark.parametrize(
    ("code", "data"),
    [(1007, frame(BINARY, b"\xff" * 20, rsv=RSV1)), (1002, frame(PING, b"", rsv=RSV1))],
    ids=["not deflated", "RSV1 of a ping"],
)
async def test_what_breaks_the_extension_is_answered_with_its_code(server: Uvicorn, code: int, data: bytes) -> None:
    async with opened(server, "record", DEFLATE) as peer:
        peer.send(frame(TEXT, deflated(b"one"), rsv=RSV1), data)
        assert (await peer.close_frame())[0] == code
        assert (await peer.notes())["received"] == ["'one'"]


async def test_a_bomb_of_just_the_largest_size_is_a_message(server: Uvicorn) -> None:
    async with opened(server, "echo", DEFLATE) as peer:
        peer.send(frame(BINARY, bomb(16), rsv=RSV1))
        assert _inflated((await peer.frame()).payload) == bytes(16 * KIB * KIB)


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_the_websockets_library_gets_back_what_it_sends(
    server: Uvicorn, compression: Literal["deflate"] | None
) -> None:
    # The compressors of both sides refer to earlier messages.
    messages: list[str | bytes] = [_JSON.decode(), "", "é" * 5000, os.urandom(100_000), bytes(300_000), _JSON, "x"] * 5
    ws = await Probe(server, "echo").connect(compression=compression)
    assert [extension.name for extension in ws.protocol.extensions] == (["permessage-deflate"] if compression else [])
    sending = asyncio.create_task(_send_all(ws, messages))
    assert [await ws.recv() for _ in messages] == messages
    await sending
    await ws.close()


async def _send_all(ws: ClientConnection, messages: list[str | bytes]) -> None:
    for message in messages:
        await ws.send(message)


async def test_compressed_messages_on_their_way_do_not_hold_up_the_application_s_close(server: Uvicorn) -> None:
    async with opened(server, "close_after_go", DEFLATE) as peer:
        await peer.notes(until="ready")
        peer.send(frame(BINARY, bomb(4), rsv=RSV1) * 10)
        await peer.go()
        assert await peer.close_frame() == (4001, "done")
        peer.send(frame(BINARY, bomb(4), rsv=RSV1) * 3, close(4001))
        assert await peer.end() == "FIN"


OFFERS: Final = [
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits=9",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=11",
]


@pytest.mark.parametrize("offer", OFFERS)
async def test_the_server_keeps_to_what_was_offered(server: Uvicorn, offer: str) -> None:
    async with opened(server, "echo", f"Sec-WebSocket-Extensions: {offer}\r\n".encode()) as peer:
        window = 9 if "server_max_window_bits=9" in offer else 10 if "server_max_window_bits=10" in offer else 15
        inflater = zlib.decompressobj(wbits=-window)
        for _ in range(3):
            if "server_no_context_takeover" in offer:
                inflater = zlib.decompressobj(wbits=-window)
            # Without context takeover each message of the client is self-contained, which every server has to accept.
            peer.send(frame(TEXT, deflated(_JSON), rsv=RSV1))
            assert await _text(peer, inflater) == _JSON


async def _text(peer: Peer, inflater: "zlib._Decompress") -> bytes:
    got = await peer.frame()
    assert got.is_compressed
    return inflater.decompress(got.payload + SYNC_FLUSH)


async def test_nothing_is_compressed_where_uvicorn_is_told_so(serve: Serve) -> None:
    async with opened(serve("--ws-per-message-deflate=false"), "echo", DEFLATE) as peer:
        peer.send(frame(TEXT, _JSON))
        assert await peer.message() == _JSON.decode()
        peer.send(frame(TEXT, deflated(_JSON), rsv=RSV1))
        assert (await peer.close_frame())[0] == 1002


@pytest.mark.parametrize(("size", "code"), [(1000, 1000), (1001, 1009)])
async def test_the_largest_size_is_uvicorn_s_setting_and_counts_inflated_bytes(
    serve: Serve, size: int, code: int
) -> None:
    for data in (frame(BINARY, bytes(size)), frame(BINARY, deflated(bytes(size)), rsv=RSV1)):
        async with opened(serve("--ws-max-size=1000"), "echo", DEFLATE) as peer:
            peer.send(data, close())
            assert (await peer.close_frame())[0] == code


async def test_without_context_takeover_of_the_server_each_message_stands_for_itself_unasked(hasty: Uvicorn) -> None:
    async with asking(hasty, "echo", DEFLATE) as peer:
        # A client may refuse a parameter that it did not offer.
        assert (await peer.head()).value("sec-websocket-extensions") == "permessage-deflate"
        for _ in range(2):
            peer.send(text("the same text again and again, " * 20))
        first, second = await peer.frame(), await peer.frame()
    assert first.is_compressed
    assert first == second


async def test_an_offer_that_cannot_be_met_is_declined_and_messages_are_plain(server: Uvicorn) -> None:
    # zlib has no raw stream with a window of 8 bits.
    offer = DEFLATE.replace(b"deflate", b"deflate; server_max_window_bits=8")
    async with opened(server, "echo", offer) as peer:
        peer.send(frame(TEXT, _JSON))
        got = await peer.frame()
        assert (got.is_compressed, got.payload) == (False, _JSON)
