"""What is compressed: texts, the ways to make messages of them, and the parameters to do it with."""

import functools
import io
import json
import random
import zlib
from typing import Final

from asgi_ws.wire.deflate import Deflate
from asgi_ws.wire.masking import BytesLike
from asgi_ws.wire.negotiation import Parameters

KIB: Final = 1024
MIB: Final = 1024 * KIB
TAKEOVER: Final = Parameters(False, False, 12, 12)
NO_TAKEOVER: Final = Parameters(True, True, 12, 12)
TAIL: Final = b"\x00\x00\xff\xff"
WORDS: Final = ("amber", "birch", "cobalt", "delta", "ember", "fjord", "grove", "harbor", "iris", "juniper", "kelp")


@functools.cache
def json_text(size: int, seed: int = 0) -> bytes:
    chance = random.Random(seed)
    text = "["
    while len(text) < size:
        item = {"user": chance.choice(WORDS), "score": chance.randrange(10000), "text": chance.choices(WORDS, k=4)}
        text += json.dumps(item, separators=(",", ":")) + ","
    return text[:size].encode()


def compressed(data: bytes, *, wbits: int = -12, mode: int = zlib.Z_SYNC_FLUSH) -> bytes:
    """A message as a client makes it that has no context yet."""
    compressor = zlib.compressobj(wbits=wbits)
    return (compressor.compress(data) + compressor.flush(mode)).removesuffix(TAIL)


def inflate(own: Deflate, payload: BytesLike, *, final: bool = True, room: int = MIB) -> bytes:
    """All that a payload inflates to, given in parts as a reader gives it."""
    data = io.BytesIO()
    view = memoryview(payload)
    for start in range(0, len(view) or 1, 16 * KIB):
        part = view[start : start + 16 * KIB]
        is_last = final and start + len(part) == len(view)
        data.write(own.inflate(part, final=is_last, room=room - data.tell()))
        while own.rest is not None:
            data.write(next(own.rest, b""))
    return data.getvalue()
