"""Rings of different messages, made before the run, so that a reply shows its place in the order."""

import json
import os
import random
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from picows import WSMsgType
from websockets.exceptions import InvalidHeader, NegotiationError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.headers import build_extension, parse_extension

from .jobs import Failure

LENGTH: Final = 64
# The offer of browsers.
FACTORY: Final = ClientPerMessageDeflateFactory(client_max_window_bits=True)
OFFER: Final = build_extension([(FACTORY.name, FACTORY.get_request_params())])
_WORDS: Final = ("amber", "birch", "cobalt", "delta", "ember", "fjord", "grove", "harbor", "iris", "juniper", "kelp")
_TAIL: Final = b"\x00\x00\xff\xff"


@dataclass(frozen=True)
class Ring:
    """Messages for all numbers: number n is at `n % LENGTH`.

    Attributes:
        kind: text or binary.
        payloads: as they are to come back.
        frames: as they are written to the socket, masked.
        wire: bytes of one as an uncompressed frame from the server.
    """

    kind: WSMsgType
    payloads: tuple[bytes, ...]
    frames: tuple[bytes, ...]
    wire: int

    @classmethod
    def of(cls, payloads: tuple[bytes, ...], *, binary: bool = False, window_bits: int | None = None) -> Self:
        """Return the ring of these payloads, compressed if `window_bits` is given."""
        opcode = Opcode.BINARY if binary else Opcode.TEXT
        # Each message is compressed for itself, which one may do also where the context may be kept (RFC 7692, 7.1.1).
        compression = [] if window_bits is None else [PerMessageDeflate(False, True, 15, window_bits)]
        frames = tuple(Frame(opcode, each).serialize(mask=True, extensions=compression) for each in payloads)
        wire = wire_size(len(payloads[0]))
        return cls(WSMsgType.BINARY if binary else WSMsgType.TEXT, payloads, frames, wire)


def payloads_of(size: int, content: str) -> tuple[bytes, ...]:
    """Return the payloads of a ring, of `size` bytes each. JSON payloads are the same in every run."""
    if content == "random":
        return tuple(b"%02d" % number + os.urandom(size - 2) for number in range(LENGTH))
    return tuple(_json_like(number, size) for number in range(LENGTH))


def wire_size(payload: int) -> int:
    """Return the size of a server's frame in bytes."""
    return payload + (2 if payload < 126 else 4 if payload < 65536 else 10)


def _json_like(number: int, size: int) -> bytes:
    if size < 16:
        return b"%02d" % number + b"abcdefghijklmn"[: size - 2]
    chance = random.Random(number)  # noqa: S311  the same in every run, and no secret
    text = f'{{"id":{number:02d},"items":['
    while len(text) < size:
        item = {
            "user": chance.choice(_WORDS),
            "score": chance.randrange(10000),
            "text": " ".join(chance.choices(_WORDS, k=4)),
        }
        text += json.dumps(item, separators=(",", ":")) + ","
    return text[: size - 2].encode() + b"]}"


@dataclass(frozen=True)
class Agreed:
    """The server's answer to `OFFER`.

    Attributes:
        window_bits: of what the client sends.
        takeover: whether the server may refer to its earlier messages.
    """

    window_bits: int
    takeover: bool

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> Self:
        """Read the agreement from the response to the handshake.

        Raises:
            Failure: where the extension was not accepted, or with parameters that cannot be.
        """
        header = headers.get("Sec-WebSocket-Extensions")
        if header is None:
            raise Failure("unreachable", "the server did not accept permessage-deflate, which the job demands")
        try:
            ((name, parameters),) = parse_extension(header)
            if name != FACTORY.name:
                raise NegotiationError(f"{name} was not offered")
            agreed = FACTORY.process_response_params(parameters, [])
        except (InvalidHeader, NegotiationError, ValueError) as error:
            text = f"the server accepted {header[:80]!r}, which is no answer to the offer: {error}"
            raise Failure("unreachable", text) from error
        if agreed.local_max_window_bits == 8:
            # zlib makes no such streams (https://github.com/madler/zlib/issues/94).
            raise Failure("unreachable", "the server demands a window of 8 bits, with which zlib cannot compress")
        return cls(agreed.local_max_window_bits, not agreed.remote_no_context_takeover)


class Inflater:
    """A decompressor for the messages of one connection."""

    def __init__(self, agreed: Agreed) -> None:
        self._takeover = agreed.takeover
        self._context = zlib.decompressobj(-15)

    def inflate(self, data: bytes) -> bytes:
        """Inflate a message (RFC 7692, 7.2.2).

        Raises:
            zlib.error: `data` is not a compressed message.
        """
        message = self._context.decompress(data + _TAIL)
        if not self._takeover or self._context.eof:
            self._context = zlib.decompressobj(-15)
        return message
