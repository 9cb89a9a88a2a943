"""Compressing messages (RFC 7692, 7.2.1): websockets as the other side, sizes, and what connections share."""

import itertools
import random
import threading
import zlib
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings, strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from asgi_ws.wire import deflate
from asgi_ws.wire.deflate import Deflate
from asgi_ws.wire.negotiation import Parameters

from .messages import MIB, NO_TAKEOVER, TAIL, TAKEOVER, inflate, json_text


@pytest.fixture(autouse=True)
def nothing_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds what another one has compressed."""
    monkeypatch.setattr(deflate, "_shared", ())


def the_peer(parameters: Parameters) -> PerMessageDeflate:
    """The client's side in websockets. It cannot make windows of 8 bits, and needs none larger than agreed."""
    return PerMessageDeflate(
        parameters.server_no_context_takeover,
        parameters.client_no_context_takeover,
        parameters.server_max_window_bits,
        max(9, parameters.client_max_window_bits),
        {"memLevel": 5},
    )


MESSAGES = st.lists(
    st.binary(max_size=300)
    | st.text(max_size=300).map(str.encode)
    | st.builds(json_text, st.integers(0, 40_000), st.integers(0, 3))
    | st.builds(lambda seed, size: random.Random(seed).randbytes(size), st.integers(0, 1), st.integers(0, 40_000))
    | st.builds(bytes, st.integers(0, 300_000)),
    max_size=6,
)
PARAMETERS = st.builds(Parameters, st.booleans(), st.booleans(), st.integers(9, 15), st.integers(8, 15))


def cut(payload: bytes, cuts: Iterable[int]) -> Iterator[tuple[bytes, bool]]:
    """A frame's payload in parts, the last one marked."""
    edges = [0, *sorted(each % (len(payload) + 1) for each in cuts), len(payload)]
    for start, stop in itertools.pairwise(edges):
        yield payload[start:stop], False
    yield b"", True


@settings(max_examples=50)
@given(
    parameters=PARAMETERS,
    level=st.none() | st.integers(1, 9),
    memory_level=st.integers(1, 9),
    messages=MESSAGES,
    releases=st.sets(st.integers(0, 5)),
    cuts=st.lists(st.integers(0, 50_000), max_size=4),
)
def test_websockets_reads_what_is_compressed_and_the_other_way_round(
    *,
    parameters: Parameters,
    level: int | None,
    memory_level: int,
    messages: list[bytes],
    releases: set[int],
    cuts: list[int],
) -> None:
    own, peer = Deflate(parameters, level=level, memory_level=memory_level), the_peer(parameters)
    if parameters.client_max_window_bits == 8 and not parameters.client_no_context_takeover:
        peer.encoder = zlib.compressobj(wbits=-9, memLevel=5)
    for number, message in enumerate(messages):
        if number in releases:
            own.release()
        payload = own.compress(message)
        if payload is not None:
            assert peer.decode(Frame(Opcode.BINARY, payload, rsv1=True)).data == message
        sent = bytes(peer.encode(Frame(Opcode.BINARY, message)).data)
        assert inflate(own, sent) == message
        sent = bytes(peer.encode(Frame(Opcode.BINARY, message)).data)
        parts = [inflate(own, part, final=final, room=MIB) for part, final in cut(sent, cuts)]
        assert b"".join(parts) == message


@pytest.mark.parametrize("parameters", [TAKEOVER, NO_TAKEOVER])
def test_an_empty_message_is_compressed_to_the_one_byte_of_the_rfc(parameters: Parameters) -> None:
    own = Deflate(parameters)
    assert own.compress(b"") == b"\x00"
    for message in (b"something" * 10, b"", b"something" * 10):
        payload = own.compress(message)
        assert payload is not None
        assert inflate(own, payload) == message


@pytest.mark.parametrize("size", [32, 1024, 64 * 1024])
def test_json_text_is_at_most_a_quarter_larger_than_with_the_settings_of_websockets(size: int) -> None:
    own, peer = Deflate(TAKEOVER), the_peer(TAKEOVER)
    ours = theirs = 0
    for seed in range(32):
        message = json_text(size, seed)
        ours += len(own.compress(message) or message)
        theirs += len(peer.encode(Frame(Opcode.TEXT, message)).data)
    assert ours <= 1.25 * theirs


@pytest.mark.parametrize("parameters", [TAKEOVER, NO_TAKEOVER])
@pytest.mark.parametrize("size", [256, 16 * 1024])
def test_text_of_any_script_is_compressed_and_what_is_compressed_or_random_already_is_not(
    size: int, parameters: Parameters
) -> None:
    own = Deflate(parameters)
    assert own.compress(random.Random(size).randbytes(size)) is None
    assert own.compress(zlib.compress(json_text(20 * size))[:size]) is None
    for text in (
        '{"name": "Jürgen", "city": "Zürich", "note": "Straßenbahn — à bientôt"},',
        '{"имя": "Екатерина", "город": "Санкт-Петербург", "возраст": 41, "note": "plain"},',
        '{"名前": "東京都渋谷区神宮前一丁目", "메모": "안녕하세요 여러분", "note": "plain text too", "id": 93711},',
    ):
        payload = Deflate(parameters).compress((text * size).encode()[:size])
        assert payload is not None
        assert len(payload) < 0.8 * size


def test_numbers_in_an_array_are_compressed() -> None:
    message = b"".join(number.to_bytes(4, "little") for number in range(50_000, 66_000))
    payload = Deflate(TAKEOVER).compress(message)
    assert payload is not None
    assert len(payload) < 0.5 * len(message)


def test_without_takeover_what_would_grow_is_sent_as_it_is() -> None:
    assert Deflate(NO_TAKEOVER).compress(b"0123456789") is None


def test_messages_worth_compressing_are_shorter_with_context_than_without() -> None:
    assert Deflate(TAKEOVER).minimum < Deflate(NO_TAKEOVER).minimum
    for parameters in (TAKEOVER, NO_TAKEOVER):
        own = Deflate(parameters)
        payloads = [own.compress(json_text(own.minimum, seed)) for seed in range(20)]
        assert payloads[-1] is not None
        assert len(payloads[-1]) < own.minimum


def test_a_longer_message_is_compressed_with_less_work_from_then_on() -> None:
    own, thorough, quick = Deflate(TAKEOVER), Deflate(TAKEOVER, level=6), Deflate(TAKEOVER, level=4)
    short, long = [json_text(300, seed) for seed in range(20)], json_text(5000, 99)
    assert [own.compress(message) for message in short] == [thorough.compress(message) for message in short]
    assert own.compress(long) == quick.compress(long)
    assert [own.compress(message) for message in short] == [quick.compress(message) for message in short]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The levels of the compressors that are made from here on."""
    made: list[int] = []
    make = zlib.compressobj

    def count(level: int, method: int, wbits: int, memory_level: int) -> object:
        made.append(level)
        return make(level, method, wbits, memory_level)

    monkeypatch.setattr(zlib, "compressobj", count)
    return made


def test_without_takeover_a_broadcast_is_compressed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch)
    first, second = json_text(2000, 1), json_text(2000, 2)
    connections = [Deflate(NO_TAKEOVER) for _ in range(5)]
    payloads = {
        connection.compress(bytes(bytearray(message))) for connection in connections for message in (first, second)
    }
    assert len(payloads) == len(made) == 2


def test_what_one_connection_sends_is_not_given_to_another_with_other_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = counted(monkeypatch)
    message = json_text(2000)
    Deflate(NO_TAKEOVER).compress(message)
    Deflate(Parameters(True, True, 11, 12)).compress(message)
    Deflate(NO_TAKEOVER, level=9).compress(message)
    Deflate(NO_TAKEOVER, memory_level=6).compress(message)
    Deflate(TAKEOVER).compress(message)
    assert len(made) == 5


def test_only_the_latest_few_messages_are_kept_for_others_and_no_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch)
    own = Deflate(NO_TAKEOVER)
    many = [json_text(2000, seed) for seed in range(9)]
    for message in many:
        own.compress(message)
    own.compress(many[-8])
    assert len(made) == 9
    own.compress(many[0])
    assert len(made) == 10
    large = bytes(MIB + 1)
    own.compress(large)
    own.compress(large)
    assert len(made) == 12
    half = [bytes([digit]) * (MIB // 2) for digit in range(3)]
    for message in half:
        own.compress(message)
    assert len(made) == 15
    own.compress(half[1])
    own.compress(half[2])
    assert len(made) == 15
    own.compress(half[0])
    assert len(made) == 16


def test_threads_compress_the_same_messages_at_once_and_each_gets_its_own() -> None:
    messages = [json_text(600, seed) for seed in range(20)]
    wrong: list[bytes] = []
    start = threading.Barrier(4)

    def send(seed: int) -> None:
        chance = random.Random(seed)
        own = Deflate(NO_TAKEOVER)
        start.wait()
        for message in chance.choices(messages, k=200):
            payload = own.compress(message)
            if payload is None or zlib.decompress(payload + TAIL + b"\x03\x00", wbits=-12) != message:
                wrong.append(message)

    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
