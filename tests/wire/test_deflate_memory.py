"""What compression holds in memory: contexts when there is use for them, and for bombs no more than their room."""

import functools
import os
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from asgi_ws.wire import deflate
from asgi_ws.wire.deflate import Deflate
from asgi_ws.wire.events import NotDeflate, TooLong

from .messages import KIB, MIB, NO_TAKEOVER, TAIL, TAKEOVER, inflate

TEXT: Final = b'{"id":1,"items":["amber","birch","cobalt"]}' * 20


@pytest.fixture(autouse=True)
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(deflate, "_shared", ())
    tracemalloc.start()
    yield
    tracemalloc.stop()


def peak(work: Callable[[], object]) -> int:
    """Most bytes that it held at a time, beside what there was before."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    work()
    return tracemalloc.get_traced_memory()[1] - before


def zeros(size: int, *, mode: int = zlib.Z_SYNC_FLUSH) -> bytes:
    """The smallest message of so many bytes, in a thousandth of them."""
    compressor = zlib.compressobj(9, wbits=-12, memLevel=9)
    mebibyte = compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return (mebibyte * (size // MIB) + compressor.flush(mode)).removesuffix(TAIL)


@pytest.mark.parametrize("room", [0, 64 * KIB, 16 * MIB])
def test_a_bomb_of_a_gibibyte_takes_no_more_memory_than_its_room(room: int) -> None:
    bomb = zeros(KIB * MIB)
    assert len(bomb) < 2 * MIB

    def run() -> None:
        for final in (True, False):
            with pytest.raises(TooLong):
                inflate(Deflate(TAKEOVER), bomb, final=final, room=room)

    run()
    assert peak(run) < room * 9 / 8 + 400 * KIB


def test_a_bomb_of_many_small_frames_ends_where_the_room_does() -> None:
    bomb, own, given = zeros(64 * MIB), Deflate(TAKEOVER), [0]

    def run() -> None:
        for start in range(0, len(bomb), 100):
            given.append(len(inflate(own, bomb[start : start + 100], final=False, room=MIB - sum(given))))

    with pytest.raises(TooLong):
        run()
    # A frame of 100 bytes gives about so much.
    assert MIB - 104 * KIB < sum(given) <= MIB


def test_a_large_message_is_not_held_twice() -> None:
    size = 32 * MIB
    for payload in (zeros(size), zeros(size, mode=zlib.Z_FINISH)):
        run = functools.partial(inflate, Deflate(TAKEOVER), payload, final=True, room=size)
        assert peak(run) < size * 9 / 8 + 400 * KIB


def held(work: Callable[[], object]) -> int:
    """Bytes that are still held after it."""
    before = tracemalloc.get_traced_memory()[0]
    work()
    return tracemalloc.get_traced_memory()[0] - before


def test_a_connection_that_compresses_nothing_holds_no_context() -> None:
    connections: list[Deflate] = []
    assert held(lambda: connections.extend(Deflate(TAKEOVER) for _ in range(100))) < 100 * 300


def test_contexts_are_made_with_the_first_message_each_way_and_the_compressors_is_given_back() -> None:
    own = Deflate(TAKEOVER)
    message = own.compress(TEXT)
    assert message is not None
    own.release()
    assert 5 * KIB < held(lambda: inflate(own, message, final=True, room=KIB)) < 20 * KIB
    assert 25 * KIB < held(lambda: own.compress(TEXT)) < 45 * KIB
    assert held(lambda: own.compress(TEXT)) < KIB
    assert held(own.release) < -25 * KIB
    assert held(own.release) < KIB
    # What the client refers back to is still there.
    refers = zlib.compressobj(wbits=-12)
    for text in (b"released ", b"released "):
        payload = (refers.compress(text) + refers.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
        assert inflate(own, payload, final=True, room=KIB) == text


def test_after_its_release_a_connection_goes_on_with_a_new_context() -> None:
    own, client = Deflate(TAKEOVER), zlib.decompressobj(wbits=-12)
    for _ in range(3):
        payload = own.compress(TEXT)
        assert payload is not None
        assert client.decompress(payload + TAIL) == TEXT
        own.release()


def test_a_release_amid_a_message_leaves_the_message_alone() -> None:
    own = Deflate(NO_TAKEOVER)
    compressor = zlib.compressobj(wbits=-12)
    payload = compressor.compress(TEXT) + compressor.flush(zlib.Z_SYNC_FLUSH)
    start = inflate(own, payload[:10], final=False, room=KIB)
    own.release()
    assert start + inflate(own, payload[10:].removesuffix(TAIL), final=True, room=KIB) == TEXT


def test_without_takeover_nothing_is_held_between_messages() -> None:
    own = Deflate(NO_TAKEOVER)
    message = own.compress(TEXT)
    assert message is not None
    assert held(lambda: inflate(own, message, final=True, room=KIB)) < KIB
    assert held(lambda: own.compress(TEXT + b"!")) < 4 * KIB


def test_without_the_clients_takeover_its_context_goes_after_a_large_message_too() -> None:
    own = Deflate(NO_TAKEOVER)
    compressor = zlib.compressobj(wbits=-12)
    payload = (compressor.compress(os.urandom(100 * KIB)) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
    inflate(own, payload, final=True, room=MIB)
    assert held(lambda: inflate(own, payload, final=True, room=MIB)) < KIB


def test_a_client_that_ends_its_streams_leaves_no_context_behind() -> None:
    own = Deflate(TAKEOVER)
    compressor = zlib.compressobj(wbits=-12)
    payload = compressor.compress(TEXT) + compressor.flush()
    inflate(own, payload, final=True, room=KIB)
    assert held(lambda: inflate(own, payload + b"\x00", final=True, room=KIB)) > 5 * KIB
    assert held(lambda: inflate(own, payload, final=True, room=KIB)) < -5 * KIB


def test_what_is_no_deflated_data_takes_no_memory_beyond_its_room() -> None:
    bomb = zeros(64 * MIB) + b"\xff" * 1000

    def run() -> None:
        with pytest.raises(NotDeflate):
            inflate(Deflate(TAKEOVER), bomb, final=True, room=65 * MIB)

    run()
    assert peak(run) < 64 * MIB * 9 / 8 + 400 * KIB
