"""uvicorn with the class under test: started, measured, and its log searched for unexpected lines."""

import asyncio
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx2
import psutil

from asgi_ws.sizes import KIB
from asgi_ws.testing.servers.profiles import UVICORN
from tests.servers.client import SECONDS, http
from tests.servers.launch import ServerProcess
from tests.servers.table import Server

PROBE: Final = "tests.uvicorn_protocol.probe:app"
PROTOCOL: Final = "asgi_ws.uvicorn_protocol:WebSocketProtocol"
# With shorter timeouts, so that tests are fast.
HASTY: Final = "tests.uvicorn_protocol.variants:HastyProtocol"
# With longer timeouts, for a busy machine.
PATIENT: Final = "tests.uvicorn_protocol.variants:PatientProtocol"

_POLL_SECONDS: Final = 0.02

# Log lines of a handshake, as uvicorn writes them, and of a client's errors, in printable ASCII. A client that has left
# has no address.
_PLAIN: Final = re.compile(
    r'INFO: +(?:[\d.]+:\d+)? - "WebSocket [!-~]+" (?:\[accepted\]|\d{3})'
    r"|INFO: +[\d.]+:\d+ - WebSocket handshake refused: [ -~]+"
    r"|DEBUG: +[ -~]+"
)
# Lines of uvicorn about itself, and the probe's notes.
_NOT_OF_CONNECTIONS: Final = re.compile(
    r"probe: "
    r"|(?:INFO|DEBUG): +(?:Started|Waiting for|Application|Uvicorn running|Shutting down|Finished|ASGI '?lifespan'?)"
)
# glibc keeps freed memory. With these it returns blocks of 64 KiB or more at once, so that the process holds only what
# the class under test holds.
_HELD_BYTES: Final = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}

# Only Linux can reset the high-water mark of a process's memory.
HAS_PEAK: Final = Path("/proc/self/clear_refs").exists()


class Uvicorn(ServerProcess):
    """One uvicorn process on a free port, for as long as the `with` block runs.

    Args:
        options: of uvicorn, on top of those that every test needs.
        app: the application as an import string.
        ws: the WebSocket class as an import string.
        tls: how its clients connect; None is without TLS.
    """

    def __init__(self, *options: str, app: str = PROBE, ws: str = PROTOCOL, tls: ssl.SSLContext | None = None) -> None:
        arguments = ("uvicorn", "{app}", "--port={port}", "--no-access-log", f"--ws={ws}")
        super().__init__(
            Server(name="uvicorn-protocol", title="uvicorn", profile=UVICORN, arguments=arguments),
            app,
            options=options,
            env=_HELD_BYTES,
        )
        self.tls = tls
        # Where the lines of the running test begin.
        self._mark = 0

    def mark(self) -> None:
        """Skip the lines that were logged so far."""
        self._mark = self.log_size()

    def lines(self) -> list[str]:
        """Return the lines about connections since `mark`."""
        # `splitlines` would split at control characters of a peer too.
        lines = self.log(self._mark).split("\n")
        return [line for line in lines if line and not _NOT_OF_CONNECTIONS.match(line)]

    def complaints(self) -> list[str]:
        """Return the unexpected lines."""
        return [line for line in self.lines() if not _PLAIN.fullmatch(line)]

    def noted(self, name: str, word: str) -> list[str]:
        """Return the facts of a handler's notes from the log, for a server that has ended."""
        return re.findall(rf"^probe: {name}: {word} \((.*)\)$", self.log(), re.MULTILINE)

    async def settle(self) -> None:
        """Wait until the server has answered a request, and so has logged earlier events."""
        if self.running:
            await self.get("/hello")

    async def until(self, holds: Callable[[], bool], seconds: float = SECONDS) -> None:
        """Poll until a condition holds that nothing signals."""
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(_POLL_SECONDS)

    def url(self, path: str, scheme: str = "http") -> str:
        return super().url(path, scheme if self.tls is None else f"{scheme}s")

    async def get(self, path: str) -> httpx2.Response:
        async with http(self) as client:
            return await client.get(path)

    def held_bytes(self) -> int:
        """Return the resident memory of the process."""
        return psutil.Process(self.pid).memory_info().rss

    def open_files(self) -> int:
        return psutil.Process(self.pid).num_fds()

    async def tasks(self) -> int:
        """Count the tasks of the server."""
        return int((await self.get("/tasks")).text)

    def forget_peak(self) -> int:
        """Reset the peak of memory; return what is held now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.peak_bytes()

    def peak_bytes(self) -> int:
        """Return the most memory that the process held since `forget_peak`."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) * KIB
