"""A process that ends what a test run has started once the run has ended, however it did: by a signal too."""

import atexit
import subprocess
import sys
from functools import cache
from typing import Final

# The run writes "+ GROUP" and "- GROUP". When the run ends, the system closes its end of the pipe.
_SCRIPT: Final = """
import os, signal, sys

groups = set()
for line in sys.stdin:
    sign, group = line.split()
    (groups.add if sign == "+" else groups.discard)(int(group))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


@cache
def _watchdog() -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _SCRIPT],
        stdin=subprocess.PIPE,
        text=True,
        bufsize=1,
        # What interrupts the run must not interrupt this.
        start_new_session=True,
    )
    atexit.register(process.communicate)
    return process


def watch(group: int) -> None:
    """Kill a process group when this process ends."""
    _tell("+", group)


def unwatch(group: int) -> None:
    """Kill it no more: it has ended."""
    _tell("-", group)


def _tell(sign: str, group: int) -> None:
    stdin = _watchdog().stdin
    assert stdin is not None
    stdin.write(f"{sign} {group}\n")
