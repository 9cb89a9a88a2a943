"""Asks the kernel for the peer's last sign of life."""

import asyncio
import socket
from typing import Final

# `struct tcp_info` of Linux (include/uapi/linux/tcp.h): eight fields of one byte, 24 of four, then fields of eight. The
# 13th of four is `tcpi_last_ack_recv`, in milliseconds, the third of eight `tcpi_bytes_acked`, since Linux 4.1. New
# kernels add fields at the end only.
_TCP_INFO: Final[int | None] = getattr(socket, "TCP_INFO", None)
_LAST_ACK_RECEIVED: Final = slice(8 + 12 * 4, 8 + 13 * 4)
_BYTES_ACKED: Final = slice(8 + 24 * 4 + 2 * 8, 8 + 24 * 4 + 3 * 8)


def seconds_since_acknowledgement(transport: asyncio.BaseTransport) -> float | None:
    """Return how long ago the peer's kernel acknowledged anything; None where ours does not say.

    It says so on Linux, for a TCP connection, with and without TLS.
    """
    milliseconds = _field(transport, _LAST_ACK_RECEIVED)
    return None if milliseconds is None else milliseconds / 1000


def acknowledged_bytes(transport: asyncio.BaseTransport) -> int | None:
    """Return how many bytes the peer's kernel has acknowledged; None where ours does not say."""
    return _field(transport, _BYTES_ACKED)


def _field(transport: asyncio.BaseTransport, place: slice) -> int | None:
    found = transport.get_extra_info("socket")
    if _TCP_INFO is None or found is None:
        return None
    try:
        info = found.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, place.stop)
    except OSError:
        return None
    return int.from_bytes(info[place], "little") if len(info) == place.stop else None
