"""Members that never read: sockets with a small receive buffer, which nobody empties after the handshake."""

import array
import asyncio
import base64
import fcntl
import os
import socket
import termios
from typing import Final
from urllib.parse import urlsplit

from .alarm import Alarm
from .clients import LANES, Sockets, allow, explained, together
from .jobs import Failure

_RECEIVE_BUFFER: Final = 4096
_QUIET: Final = 0.25


class Stalled:
    """Some of them.

    Args:
        url: where they connect.
        patience: seconds for each step.
    """

    def __init__(self, url: str, patience: float) -> None:
        self._url = url
        self._patience = patience
        self._open: list[socket.socket] = []

    async def join(self, number: int, alarm: Alarm) -> None:
        """Connect that many, and wait until what the server sends to each of them does not fit any more.

        Raises:
            Failure: where one cannot connect, or nothing is sent to it.
        """
        if not number:
            return
        allow(number)
        sockets = Sockets(self._url)
        numbers = iter(range(number))

        async def lane() -> None:
            for _ in numbers:
                with explained(self._url, self._patience):
                    async with asyncio.timeout(self._patience):
                        await self._upgrade(sockets)

        await together([lane() for _ in range(min(LANES, number))])
        await self._fill(alarm)

    def close(self) -> None:
        """End them."""
        for each in self._open:
            each.close()
        self._open.clear()

    async def _upgrade(self, sockets: Sockets) -> None:
        loop = asyncio.get_running_loop()
        made = sockets.make(_RECEIVE_BUFFER)
        self._open.append(made)
        await loop.sock_connect(made, sockets.address)
        parts = urlsplit(self._url)
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        )
        await loop.sock_sendall(made, request.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            # One byte at a time, since all that follows must stay where it is.
            more = await loop.sock_recv(made, 1)
            if not more:
                raise Failure("unreachable", f"{self._url} closed the connection during the handshake")
            answer += more
        status = answer.split(b"\r\n", 1)[0].decode(errors="replace")
        if " 101 " not in f"{status} ":
            raise Failure("unreachable", f"{self._url} answered {status!r}")

    async def _fill(self, alarm: Alarm) -> None:
        for _ in range(max(1, round(self._patience / _QUIET))):
            before = [_unread(each) for each in self._open]
            await alarm.sleep(_QUIET)
            if all(before) and before == [_unread(each) for each in self._open]:
                return
        empty = sum(not _unread(each) for each in self._open)
        text = f"the server sent nothing to {empty}" if empty else "the server went on sending to some"
        raise Failure("timeout", f"{text} of {len(self._open)} stalled members for {self._patience:g} s")


def _unread(each: socket.socket) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(each.fileno(), termios.FIONREAD, count)
    return count[0]
