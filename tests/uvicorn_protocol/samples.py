"""Bytes that more than one module of tests sends."""

import zlib
from typing import Final

from .served import MIB

# The header line of a client that offers compression, and takes what the server makes of it.
DEFLATE: Final = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"


def bomb(mebibytes: int) -> bytes:
    """The payload of a message of so many MiB of zeros, compressed (RFC 7692); no piece refers to one before it."""
    compressor = zlib.compressobj(9, wbits=-12)
    piece = compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return (piece * mebibytes).removesuffix(b"\x00\x00\xff\xff")
