"""Attacks by one client, and their cost: memory held, time until the client is gone, longest hold of the event loop.

    python -m benchmarks.attacks

The same bare ASGI application stands on each of uvicorn's WebSocket classes, and a server is started for each attack.
Memory is what the server's process holds beside what it held before (RSS). A hold is the CPU time of one iteration of
the event loop. Beside it a second client, which does no harm, sends a message and waits for its echo, again and again.
"""

import argparse
import json
import math
import socket
import sys
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import psutil
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from tests.servers.program import Program

from .contestants import FAST
from .machine import Cores, describe, pinned, versions
from .report import console, number, print_table

CLASSES: Final = {"asgi_ws": FAST, "uvicorn's default": "auto", "uvicorn's wsproto": "wsproto"}
KIB: Final = 1024
MIB: Final = 1024 * KIB
MILLISECONDS: Final = 1e3
# Seconds: from ping to ping, for a pong, and until a client that does not go is given up.
PING: Final = 2.0
PATIENCE: Final = 25.0
RSV1: Final = 0x40
# How much an attacker writes at a time.
PIECE: Final = 256 * KIB


def frame(opcode: Opcode, payload: bytes = b"", *, fin: bool = True, compressed: bool = False) -> bytes:
    """Return a frame as a client sends it, masked."""
    data = Frame(opcode, payload, fin=fin).serialize(mask=True)
    # The library lets an extension alone set a reserved bit (RFC 7692 section 6).
    return bytes([data[0] | RSV1]) + data[1:] if compressed else data


def bomb(mebibytes: int) -> bytes:
    """Return the payload of a message of zeros, compressed (RFC 7692)."""
    compressor = zlib.compressobj(9, wbits=-15)
    data = compressor.compress(bytes(mebibytes * MIB)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return data.removesuffix(b"\x00\x00\xff\xff")


@dataclass(frozen=True)
class Served:
    """A server under attack.

    Attributes:
        program: uvicorn.
        seconds: how long the attack lasts.
    """

    program: Program
    seconds: float

    def ask(self, path: str) -> dict[str, Any]:
        """Ask the application something over HTTP."""
        with urllib.request.urlopen(self.program.url(path), timeout=PATIENCE) as response:  # noqa: S310 -- loopback
            state: dict[str, Any] = json.load(response)
            return state

    def memory(self) -> int:
        """Return the bytes that the process holds."""
        return int(psutil.Process(self.program.pid).memory_info().rss)

    def client(
        self, path: str, *, before: bytes = b"", deflate: bool = False, buffer: int | None = None
    ) -> socket.socket:
        """Connect, send `before` and the request for an upgrade; read its answer unless there is something before."""
        made = socket.socket()
        if buffer is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        made.settimeout(PATIENCE)
        made.connect(("127.0.0.1", self.program.port))
        extensions = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if deflate else ""
        request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n{extensions}\r\n"
        )
        if before:
            made.sendall(before)
            # The request in a read of its own, as HTTP classes pass on no more than that.
            time.sleep(0.5)
        made.sendall(request.encode())
        answer = b"\r\n\r\n" if before else b""
        while not answer.endswith(b"\r\n\r\n"):
            # One byte at a time: the rest stays unread.
            answer += made.recv(1)
        return made


@contextmanager
def served(ws: str, seconds: float) -> Iterator[Served]:
    """Start a server with a WebSocket class."""
    command = (
        *(sys.executable, "-m", "uvicorn", "benchmarks.apps.attacked_app:app", "--port={port}", f"--ws={ws}"),
        *("--no-access-log", "--log-level=critical", f"--ws-ping-interval={PING}", f"--ws-ping-timeout={PING}"),
    )
    with pinned(Cores.available().server):
        program = Program("attacked", command)
        program.__enter__()
    try:
        yield Served(program, seconds)
    finally:
        program.kill()
        program.__exit__(None, None, None)


def unread_response(server: Served) -> dict[str, float]:
    """Ask for 8 MiB over HTTP, read nothing, and upgrade on the same connection."""
    get = f"GET /body?bytes={8 * MIB} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    return _flooded(server, "/flood?size=32768&count=6000&tasks=1", get)


def many_senders(server: Served) -> dict[str, float]:
    """Let 1,000 tasks send 64 KiB each, and read nothing."""
    return _flooded(server, "/flood?size=65536&count=1&tasks=1000", b"")


def _flooded(server: Served, path: str, before: bytes) -> dict[str, float]:
    server.ask("/start")
    server.ask("/stop")
    held = server.memory()
    with server.client(path, before=before, buffer=4 * KIB):
        # A stretch of time is the thing: memory that grows without a bound grows with it.
        time.sleep(server.seconds)
        return {"memory": (server.memory() - held) / MIB, "sent": server.ask("/state")["sent"]}


def unread_messages(server: Served) -> dict[str, float]:
    """Send 40 small messages that nobody receives, and answer no ping after that."""
    with server.client("/deaf") as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(40):
            client.sendall(frame(Opcode.TEXT, b"hello"))
            # In a read of its own, as a person types.
            time.sleep(0.01)
        began = time.monotonic()
        try:
            while client.recv(KIB):
                pass
        except TimeoutError:
            return {"gone": math.inf}
        except ConnectionError:
            # It was reset.
            pass
        return {"gone": time.monotonic() - began}


def _holding(path: str, frames: bytes, *, deflate: bool = False) -> Callable[[Served], dict[str, float]]:
    def attack(server: Served) -> dict[str, float]:
        server.ask("/start")
        held = server.memory()
        is_over = threading.Event()
        url = f"ws://127.0.0.1:{server.program.port}/echo"
        with connect(url, ping_interval=None) as harmless, server.client(path, deflate=deflate) as client:
            attackers = [
                threading.Thread(target=_write_until, args=(client, frames, is_over)),
                threading.Thread(target=_read_until, args=(client,)),
            ]
            for attacker in attackers:
                attacker.start()
            slowest = _slowest_echo(harmless, server.seconds)
            memory = server.memory() - held
            is_over.set()
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            for attacker in attackers:
                attacker.join()
        return {
            "hold": server.ask("/state")["longest"] * MILLISECONDS,
            "echo": slowest * MILLISECONDS,
            "memory": memory / MIB,
        }

    return attack


def _write_until(client: socket.socket, frames: bytes, is_over: threading.Event) -> None:
    with suppress(OSError):
        while not is_over.is_set():
            client.sendall(frames)


def _read_until(client: socket.socket) -> None:
    with suppress(OSError):
        while client.recv(64 * KIB):
            pass


def _slowest_echo(client: ClientConnection, seconds: float) -> float:
    """Return the seconds that the slowest round trip took."""
    slowest = 0.0
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        client.send("hello")
        try:
            client.recv(timeout=PATIENCE)
        except TimeoutError:
            return math.inf
        slowest = max(slowest, time.monotonic() - began)
    return slowest


def _fill(one: bytes) -> bytes:
    return one * (PIECE // len(one))


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: in the table.
        run: returns its figures.
    """

    name: str
    run: Callable[[Served], dict[str, float]]


_FRAGMENTS: Final = frame(Opcode.TEXT, fin=False) + frame(Opcode.CONT, fin=False) * 100_000 + frame(Opcode.CONT)
ATTACKS: Final = (
    Attack("an unread response of 8 MiB, then an upgrade, then 6,000 messages of 32 KiB", unread_response),
    Attack("1,000 tasks send 64 KiB each to a client that does not read", many_senders),
    Attack("40 messages that nobody receives, then no pong", unread_messages),
    Attack("empty pings", _holding("/read", _fill(frame(Opcode.PING)))),
    Attack("empty messages", _holding("/read", _fill(frame(Opcode.TEXT)))),
    Attack("empty fragments", _holding("/read", _FRAGMENTS)),
    Attack(
        "compressed messages of 15 MiB", _holding("/read", frame(Opcode.TEXT, bomb(15), compressed=True), deflate=True)
    ),
    Attack("the same, not received", _holding("/deaf", frame(Opcode.TEXT, bomb(15), compressed=True), deflate=True)),
)
COLUMNS: Final = {
    "memory": "memory held, MiB",
    "sent": "sends that returned",
    "gone": "gone after, s",
    "hold": "longest hold of the loop, ms",
    "echo": "slowest echo of another client, ms",
}


def shown(value: float) -> str:
    """Return a figure as the table has it."""
    return number(value) if math.isfinite(value) else f"over {PATIENCE:,.0f} s"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attacks", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="the attacks whose name has this text")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="of each attack [3]")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run the attacks that are asked for, print a table for each, and return the exit status."""
    command = parser()
    parsed = command.parse_args(arguments)
    chosen = [attack for attack in ATTACKS if parsed.only in attack.name]
    if not chosen:
        command.error(f"no attack has {parsed.only!r} in its name")
    for attack in chosen:
        figures = {}
        for name, ws in CLASSES.items():
            with served(ws, parsed.seconds) as server:
                figures[name] = attack.run(server)
        metrics = [metric for metric in COLUMNS if metric in next(iter(figures.values()))]
        rows = [[name, *(shown(each[metric]) for metric in metrics)] for name, each in figures.items()]
        print_table(attack.name, ["class", *(COLUMNS[metric] for metric in metrics)], rows, "")
    named = ", ".join(f"{name} {version}" for name, version in versions().items())
    console.print(f"{', '.join(describe(Cores.available()).values())}\n{named}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
