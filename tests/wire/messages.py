"""Texts to compress, the parameters to do it with, and an inflater's whole output."""

import functools
import io
import json
import random
from typing import Final

from asgi_ws.sizes import KIB, MIB
from asgi_ws.wire.deflate import Deflate
from asgi_ws.wire.masking import BytesLike
from asgi_ws.wire.negotiation import Parameters

TAKEOVER: Final = Parameters(False, False, 12, 12)
NO_TAKEOVER: Final = Parameters(True, True, 12, 12)
_WORDS: Final = ("amber", "birch", "cobalt", "delta", "ember", "fjord", "grove", "harbor", "iris", "juniper", "kelp")


@functools.cache
def json_text(size: int, seed: int = 0) -> bytes:
    chance = random.Random(seed)
    text = "["
    while len(text) < size:
        item = {"user": chance.choice(_WORDS), "score": chance.randrange(10000), "text": chance.choices(_WORDS, k=4)}
        text += json.dumps(item, separators=(",", ":")) + ","
    return text[:size].encode()


def inflate(own: Deflate, payload: BytesLike, *, final: bool = True, room: int = MIB) -> bytes:
    """Return all that a payload inflates to, fed in parts as a reader feeds it."""
    data = io.BytesIO()
    view = memoryview(payload)
    for start in range(0, len(view) or 1, 16 * KIB):
        part = view[start : start + 16 * KIB]
        is_last = final and start + len(part) == len(view)
        data.write(own.inflate(part, final=is_last, room=room - data.tell()))
        while own.rest is not None:
            data.write(next(own.rest, b""))
    return data.getvalue()
