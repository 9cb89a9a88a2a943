"""The size of a message on the wire, from the sizes of the headers."""

import math
from dataclasses import dataclass
from typing import Final

# Ethernet: header 14, checksum 4, preamble and start 8, gap 12. The last 20 are not bytes of the frame, but the link is
# busy for as long as they would take (IEEE 802.3).
ETHERNET: Final = 14 + 4 + 8 + 12
IPV4: Final = 20  # RFC 791, without options
TCP: Final = 20 + 12  # RFC 9293; the option for timestamps, on by default in Linux, is padded to 12 (RFC 7323)
HEADERS: Final = ETHERNET + IPV4 + TCP
MTU: Final = 1500
SEGMENT: Final = MTU - IPV4 - TCP
MASK: Final = 4  # of a frame from a client, RFC 6455 section 5.3

# A handshake, an estimate of usual headers of a browser behind a proxy: request and response, and the packets that
# open and close the connection, each way.
HANDSHAKE_REQUEST: Final = 700
HANDSHAKE_RESPONSE: Final = 250
HANDSHAKE_PACKETS: Final = 5


@dataclass(frozen=True)
class Traffic:
    """Bytes and packets, seen from a server."""

    bytes_in: float = 0.0
    bytes_out: float = 0.0
    packets_in: float = 0.0
    packets_out: float = 0.0

    def __mul__(self, factor: float) -> "Traffic":
        return Traffic(
            self.bytes_in * factor, self.bytes_out * factor, self.packets_in * factor, self.packets_out * factor
        )

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(
            self.bytes_in + other.bytes_in,
            self.bytes_out + other.bytes_out,
            self.packets_in + other.packets_in,
            self.packets_out + other.packets_out,
        )

    @property
    def turned(self) -> "Traffic":
        """The same, seen from the other end."""
        return Traffic(self.bytes_out, self.bytes_in, self.packets_out, self.packets_in)


def frame(payload: float, *, masked: bool) -> float:
    """Return the bytes of one WebSocket frame (RFC 6455 section 5.2)."""
    header = 2 if payload < 126 else 4 if payload < 65536 else 10
    return payload + header + (MASK if masked else 0)


def sent(data: float) -> Traffic:
    """Return the packets of one write of the server: segments out, and acknowledgements of the peer in.

    A peer acknowledges every second full segment (RFC 9293 section 3.8.6.3), and a single one after a delay.
    """
    segments = math.ceil(data / SEGMENT)
    acknowledgements = math.ceil(segments / 2)
    return Traffic(acknowledgements * HEADERS, data + segments * HEADERS, acknowledgements, segments)


def received(data: float) -> Traffic:
    """Return the packets of one write of the peer: segments in, and acknowledgements of the server out."""
    return sent(data).turned


def handshake() -> Traffic:
    """Return the bytes of one connection opened, upgraded and closed."""
    return Traffic(
        HANDSHAKE_REQUEST + HANDSHAKE_PACKETS * HEADERS,
        HANDSHAKE_RESPONSE + HANDSHAKE_PACKETS * HEADERS,
        HANDSHAKE_PACKETS,
        HANDSHAKE_PACKETS,
    )
