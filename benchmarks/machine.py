"""Where a run takes place: the machine, the cores that server and generator are pinned to, and all versions."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, NamedTuple

import psutil

PACKAGES: Final = (
    "asgi-websockets",
    "starlette",
    "fastapi",
    "uvicorn",
    "uvloop",
    "httptools",
    "websockets",
    "wsproto",
    "picows",
    "aiohttp",
    "socketify",
    "granian",
    "h2corn",
)
# Seconds for which the machine is watched before a run, and the percentage of its CPU from which it counts as busy.
_WATCHED: Final = 0.2
_BUSY: Final = 15.0
# Where the peer on Node.js keeps what it needs.
NODE_PEER: Final = Path(__file__).parent / "peers" / "node"


class Cores(NamedTuple):
    """Which core runs what; None is any: the system cannot pin, or has one core only."""

    server: int | None
    generator: int | None

    @classmethod
    def available(cls) -> "Cores":
        """Return the first core that this process may use for the server, and the last for the generator."""
        if not hasattr(os, "sched_getaffinity"):
            return cls(None, None)
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[-1]) if len(usable) > 1 else cls(None, None)

    def __str__(self) -> str:
        if self.server is None:
            return "server and generator not pinned"
        return f"server on core {self.server}, generator on core {self.generator}"


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Pin the processes that are started in the block, and their children, to this core."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def describe(cores: Cores) -> dict[str, str]:
    """Return the machine as results carry it, with other work on it where there is some."""
    used = psutil.cpu_percent(interval=_WATCHED)
    return {
        "processor": _processor(),
        "cores": str(
            len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count()
        ),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": " ".join((platform.system(), platform.release().partition("-")[0], platform.machine())),
        "pinning": str(cores),
        **({"other work": f"busy with other work ({used:.0f} % of its CPU before the run)"} if used > _BUSY else {}),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of the interpreter and of each installed contestant."""
    found = {platform.python_implementation(): platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    if commit := _said(["git", "describe", "--always", "--dirty", "--abbrev=9"]):
        found["asgi-websockets"] += f" ({commit})"
    if node := _said(["node", "--version"]):
        found["Node.js"] = node.removeprefix("v")
        ws = NODE_PEER / "node_modules" / "ws" / "package.json"
        if ws.is_file():
            found["ws"] = json.loads(ws.read_text(encoding="utf-8"))["version"]
    return found


def _said(command: Sequence[str]) -> str:
    """Return the output of a program, or nothing if it is missing or fails."""
    if shutil.which(command[0]) is None:
        return ""
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    return ended.stdout.strip() if ended.returncode == 0 else ""
