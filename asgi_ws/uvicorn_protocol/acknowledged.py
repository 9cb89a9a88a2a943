"""Asks the kernel for the peer's last sign of life."""

import asyncio
import socket
from typing import Final

# `struct tcp_info` of Linux (include/uapi/linux/tcp.h): eight fields of one byte, then fields of four. The
# 13th of these is `tcpi_last_ack_recv`, in milliseconds. New kernels add fields at the end only.
_TCP_INFO: Final[int | None] = getattr(socket, "TCP_INFO", None)
_LAST_ACK_RECEIVED: Final = slice(8 + 12 * 4, 8 + 13 * 4)


def seconds_since_acknowledgement(transport: asyncio.BaseTransport) -> float | None:
    """Return how long ago the peer's kernel acknowledged anything; None where ours does not say.

    It says so on Linux, for a TCP connection, with and without TLS.
    """
    found = transport.get_extra_info("socket")
    if _TCP_INFO is None or found is None:
        return None
    try:
        info = found.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _LAST_ACK_RECEIVED.stop)
    except OSError:
        return None
    return int.from_bytes(info[_LAST_ACK_RECEIVED], "little") / 1000
