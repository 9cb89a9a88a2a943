"""The memory of compression: contexts only while they are of use, and bombs only up to their bound."""

import functools
import os
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from asgi_ws.sizes import KIB, MIB
from asgi_ws.wire import deflate
from asgi_ws.wire.deflate import Deflate
from asgi_ws.wire.events import NotDeflate, TooLong

from .messages import NO_TAKEOVER, TAKEOVER, inflate
from .streams import bomb, deflated

TEXT: Final = b'{"id":1,"items":["amber","birch","cobalt"]}' * 20


@pytest.fixture(autouse=True)
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(deflate, "_shared", ())
    tracemalloc.start()
    yield
    tracemalloc.stop()


def peak(work: Callable[[], object]) -> int:
    """Return the most bytes that `work` holds at a time."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    work()
    return tracemalloc.get_traced_memory()[1] - before


def held(work: Callable[[], object]) -> int:
    """Return the bytes that are still held after `work`."""
    before = tracemalloc.get_traced_memory()[0]
    work()
    return tracemalloc.get_traced_memory()[0] - before


def compressed(own: Deflate) -> bytes:
    payload = own.compress(TEXT)
    assert payload is not None
    return payload


@pytest.mark.parametrize("room", [0, 64 * KIB, 16 * MIB])
def test_a_bomb_of_a_gibibyte_takes_no_more_memory_than_its_room(room: int) -> None:
    data = bomb(1024)
    assert len(data) < 2 * MIB

    def run() -> None:
        for final in (True, False):
            with pytest.raises(TooLong):
                inflate(Deflate(TAKEOVER), data, final=final, room=room)

    run()
    assert peak(run) < room * 9 / 8 + 400 * KIB


def test_a_bomb_of_many_small_frames_ends_where_the_room_does() -> None:
    data, own, lengths = bomb(64), Deflate(TAKEOVER), [0]

    def run() -> None:
        for start in range(0, len(data), 100):
            lengths.append(len(inflate(own, data[start : start + 100], final=False, room=MIB - sum(lengths))))

    with pytest.raises(TooLong):
        run()
    # A frame of 100 bytes inflates to about 104 KiB.
    assert MIB - 104 * KIB < sum(lengths) <= MIB


@pytest.mark.parametrize("mode", [zlib.Z_SYNC_FLUSH, zlib.Z_FINISH])
def test_a_large_message_is_not_held_twice(mode: int) -> None:
    size, payload = 32 * MIB, bomb(32, mode=mode)
    assert peak(functools.partial(inflate, Deflate(TAKEOVER), payload, room=size)) < size * 9 / 8 + 400 * KIB


def test_invalid_data_takes_no_memory_beyond_its_room() -> None:
    data = bomb(64) + b"\xff" * 1000

    def run() -> None:
        with pytest.raises(NotDeflate):
            inflate(Deflate(TAKEOVER), data, room=65 * MIB)

    run()
    assert peak(run) < 64 * MIB * 9 / 8 + 400 * KIB


# -- contexts


def test_a_connection_that_compresses_nothing_holds_no_context() -> None:
    connections: list[Deflate] = []
    assert held(lambda: connections.extend(Deflate(TAKEOVER) for _ in range(100))) < 100 * 300


def test_contexts_are_made_with_the_first_message_each_way_and_a_release_frees_the_compressor() -> None:
    own = Deflate(TAKEOVER)
    message = compressed(own)
    own.release()
    assert 5 * KIB < held(lambda: inflate(own, message, room=KIB)) < 20 * KIB
    assert 25 * KIB < held(lambda: own.compress(TEXT)) < 45 * KIB
    assert held(lambda: own.compress(TEXT)) < KIB
    assert held(own.release) < -25 * KIB
    assert held(own.release) < KIB
    # The client may still refer to its messages.
    client = zlib.compressobj(wbits=-12)
    for text in (b"released ", b"released "):
        assert inflate(own, deflated(text, client), room=KIB) == text


def test_after_its_release_a_connection_goes_on_with_a_new_context() -> None:
    own, client = Deflate(TAKEOVER), zlib.decompressobj(wbits=-12)
    for _ in range(3):
        assert client.decompress(compressed(own) + b"\x00\x00\xff\xff") == TEXT
        own.release()


def test_a_release_amid_a_message_leaves_the_message_alone() -> None:
    own, payload = Deflate(NO_TAKEOVER), deflated(TEXT, wbits=-12)
    start = inflate(own, payload[:10], final=False, room=KIB)
    own.release()
    assert start + inflate(own, payload[10:], room=KIB) == TEXT


def test_without_takeover_nothing_is_held_between_messages() -> None:
    own = Deflate(NO_TAKEOVER)
    message = compressed(own)
    assert held(lambda: inflate(own, message, room=KIB)) < KIB
    assert held(lambda: own.compress(TEXT + b"!")) < 4 * KIB


def test_without_the_clients_takeover_its_context_is_freed_after_a_large_message_too() -> None:
    own, payload = Deflate(NO_TAKEOVER), deflated(os.urandom(100 * KIB), wbits=-12)
    inflate(own, payload)
    assert held(lambda: inflate(own, payload)) < KIB


def test_a_client_that_ends_its_streams_leaves_no_context_behind() -> None:
    own, payload = Deflate(TAKEOVER), deflated(TEXT, wbits=-12, mode=zlib.Z_FINISH)
    inflate(own, payload, room=KIB)
    assert held(lambda: inflate(own, payload + b"\x00", room=KIB)) > 5 * KIB
    assert held(lambda: inflate(own, payload, room=KIB)) < -5 * KIB
