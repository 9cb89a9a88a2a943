"""Compressing messages (RFC 7692 section 7.2.1): websockets as the other side, sizes, and shared payloads."""

import random
import threading
import zlib

import pytest
from hypothesis import given, settings, strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from asgi_ws.sizes import MIB
from asgi_ws.wire import deflate
from asgi_ws.wire.deflate import Deflate
from asgi_ws.wire.negotiation import Parameters

from .messages import NO_TAKEOVER, TAKEOVER, inflate, json_text
from .streams import SYNC_FLUSH, pieces


@pytest.fixture(autouse=True)
def nothing_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflate, "_shared", ())


def compressed(own: Deflate, message: bytes) -> bytes:
    """Compress a message that is worth it."""
    payload = own.compress(message)
    assert payload is not None
    return payload


def the_peer(parameters: Parameters) -> PerMessageDeflate:
    """Return the client's side in websockets, which cannot make windows of 8 bits."""
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
LEVELS = st.tuples(st.none() | st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=50)
@given(PARAMETERS, LEVELS, MESSAGES, st.sets(st.integers(0, 5)), st.lists(st.integers(0, 50_000), max_size=4))
def test_websockets_inflates_our_messages_and_we_inflate_those_of_websockets(
    parameters: Parameters, levels: tuple[int | None, int], messages: list[bytes], releases: set[int], cuts: list[int]
) -> None:
    own, peer = Deflate(parameters, level=levels[0], memory_level=levels[1]), the_peer(parameters)
    if parameters.client_max_window_bits == 8 and not parameters.client_no_context_takeover:
        peer.encoder = zlib.compressobj(wbits=-9, memLevel=5)
    for number, message in enumerate(messages):
        if number in releases:
            own.release()
        payload = own.compress(message)
        if payload is not None:
            assert peer.decode(Frame(Opcode.BINARY, payload, rsv1=True)).data == message
        assert inflate(own, bytes(peer.encode(Frame(Opcode.BINARY, message)).data)) == message
        sent = bytes(peer.encode(Frame(Opcode.BINARY, message)).data)
        parts = pieces(sent, (each % (len(sent) + 1) for each in cuts))
        opened = [inflate(own, part, final=False) for part in parts]
        assert b"".join([*opened, inflate(own, b"")]) == message


@pytest.mark.parametrize("parameters", [TAKEOVER, NO_TAKEOVER])
def test_an_empty_message_is_compressed_to_the_one_byte_of_the_rfc(parameters: Parameters) -> None:
    own = Deflate(parameters)
    assert own.compress(b"") == b"\x00"
    for message in (b"something" * 10, b"", b"something" * 10):
        assert inflate(own, compressed(own, message)) == message


@pytest.mark.parametrize("size", [32, 1024, 64 * 1024])
def test_json_text_is_at_most_a_quarter_larger_than_with_the_settings_of_websockets(size: int) -> None:
    own, peer = Deflate(TAKEOVER), the_peer(TAKEOVER)
    messages = [json_text(size, seed) for seed in range(32)]
    ours = sum(len(own.compress(message) or message) for message in messages)
    assert ours <= 1.25 * sum(len(peer.encode(Frame(Opcode.TEXT, message)).data) for message in messages)


SCRIPTS = (
    '{"name": "Jürgen", "city": "Zürich", "note": "Straßenbahn — à bientôt"},',
    '{"имя": "Екатерина", "город": "Санкт-Петербург", "возраст": 41, "note": "plain"},',
    '{"名前": "東京都渋谷区神宮前一丁目", "메모": "안녕하세요 여러분", "note": "plain text too", "id": 93711},',
)


@pytest.mark.parametrize("parameters", [TAKEOVER, NO_TAKEOVER])
@pytest.mark.parametrize("size", [256, 16 * 1024])
def test_text_of_any_script_is_compressed_and_compressed_or_random_data_is_not(
    size: int, parameters: Parameters
) -> None:
    own = Deflate(parameters)
    assert own.compress(random.Random(size).randbytes(size)) is None
    assert own.compress(zlib.compress(json_text(20 * size))[:size]) is None
    for text in SCRIPTS:
        assert len(compressed(Deflate(parameters), (text * size).encode()[:size])) < 0.8 * size


def test_numbers_in_an_array_are_compressed() -> None:
    message = b"".join(number.to_bytes(4, "little") for number in range(50_000, 66_000))
    assert len(compressed(Deflate(TAKEOVER), message)) < 0.5 * len(message)


def test_without_takeover_a_message_that_would_grow_is_not_compressed() -> None:
    assert Deflate(NO_TAKEOVER).compress(b"0123456789") is None


def test_messages_worth_compressing_are_shorter_with_context_than_without() -> None:
    assert Deflate(TAKEOVER).minimum < Deflate(NO_TAKEOVER).minimum
    for parameters in (TAKEOVER, NO_TAKEOVER):
        own = Deflate(parameters)
        payloads = [own.compress(json_text(own.minimum, seed)) for seed in range(20)]
        assert len(payloads[-1] or bytes(own.minimum)) < own.minimum


def test_a_longer_message_is_compressed_with_less_work_from_then_on() -> None:
    own, thorough, quick = Deflate(TAKEOVER), Deflate(TAKEOVER, level=6), Deflate(TAKEOVER, level=4)
    short, long = [json_text(300, seed) for seed in range(20)], json_text(5000, 99)
    assert [own.compress(message) for message in short] == [thorough.compress(message) for message in short]
    assert own.compress(long) == quick.compress(long)
    assert [own.compress(message) for message in short] == [quick.compress(message) for message in short]


# -- payloads that connections share


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the list of the levels of all compressors that are made."""
    levels: list[int] = []
    make = zlib.compressobj

    def count(level: int, method: int, wbits: int, memory_level: int) -> object:
        levels.append(level)
        return make(level, method, wbits, memory_level)

    monkeypatch.setattr(zlib, "compressobj", count)
    return levels


def test_without_takeover_a_broadcast_is_compressed_once(made: list[int]) -> None:
    messages = json_text(2000, 1), json_text(2000, 2)
    connections = [Deflate(NO_TAKEOVER) for _ in range(5)]
    payloads = {each.compress(bytes(bytearray(message))) for each in connections for message in messages}
    assert len(payloads) == len(made) == 2


def test_a_payload_is_not_shared_with_a_connection_of_other_settings(made: list[int]) -> None:
    for own in (
        Deflate(NO_TAKEOVER),
        Deflate(Parameters(True, True, 11, 12)),
        Deflate(NO_TAKEOVER, level=9),
        Deflate(NO_TAKEOVER, memory_level=6),
        Deflate(TAKEOVER),
    ):
        own.compress(json_text(2000))
    assert len(made) == 5


def test_only_the_latest_few_messages_are_shared_and_large_ones_are_not(made: list[int]) -> None:
    own = Deflate(NO_TAKEOVER)
    many = [json_text(2000, seed) for seed in range(9)]
    half, large = [bytes([digit]) * (MIB // 2) for digit in range(3)], bytes(MIB + 1)
    for messages, count in (
        (many, 9),
        ([many[-8]], 9),
        ([many[0]], 10),
        ([large, large], 12),
        (half, 15),
        (half[1:], 15),
        (half[:1], 16),
    ):
        for message in messages:
            own.compress(message)
        assert len(made) == count


def test_threads_that_compress_the_same_messages_at_once_each_get_their_own() -> None:
    messages = [json_text(600, seed) for seed in range(20)]
    wrong: list[bytes] = []
    start = threading.Barrier(4)

    def send(seed: int) -> None:
        chance, own = random.Random(seed), Deflate(NO_TAKEOVER)
        start.wait()
        for message in chance.choices(messages, k=200):
            payload = own.compress(message)
            if payload is None or zlib.decompress(payload + SYNC_FLUSH + b"\x03\x00", wbits=-12) != message:
                wrong.append(message)

    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
