"""The command line of the Python peers, and the socket that they listen on."""

import argparse
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HOST: Final = "127.0.0.1"
# The value that uvicorn is started with, so that a storm of connections finds the same queue everywhere.
BACKLOG: Final = 4096


@dataclass(frozen=True)
class Options:
    """How a peer is run.

    Attributes:
        name: of the program.
        port: where it listens.
        deflate: permessage-deflate is on.
        ping_interval: seconds between pings; None sends no pings.
    """

    name: str
    port: int
    deflate: bool
    ping_interval: float | None

    def listen(self) -> socket.socket:
        """Return a listening socket on the port. If it is taken, print one line and exit with status 1."""
        try:
            return socket.create_server((HOST, self.port), backlog=BACKLOG)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise SystemExit(f"{self.name}: cannot listen on port {self.port}: {reason}") from None


def parse_options(name: str, arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog=name, description=f"Serve the benchmarks' WebSockets on {HOST}.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--deflate", action="store_true", help="negotiate permessage-deflate")
    parser.add_argument(
        "--ping-interval", type=float, default=20.0, metavar="SECONDS", help="between pings; 0 is none (default: 20)"
    )
    parsed = parser.parse_args(arguments)
    if not 0 <= parsed.ping_interval < float("inf"):
        parser.error("--ping-interval is a number of seconds, or 0 for no pings")
    return Options(name, parsed.port, parsed.deflate, parsed.ping_interval or None)
