"""The time that `import asgi_ws` takes, beside Starlette's and the bare interpreter's."""

import argparse
import statistics
import subprocess
import sys
import time
from typing import Final

from .report import conditions, print_table

STATEMENTS: Final = {
    "nothing": "pass",
    "asyncio": "import asyncio",
    "asgi_ws": "import asgi_ws",
    "starlette": "import starlette.applications, starlette.endpoints, starlette.routing, starlette.responses",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this scenario."""
    parser.add_argument("--repetitions", type=int, default=15, metavar="N", help="interleaved runs of each [15]")


def main(arguments: argparse.Namespace) -> None:
    """Measure whole interpreters, one after the other, A B A B."""
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(arguments.repetitions):
        for name, statement in STATEMENTS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            times[name].append((time.perf_counter() - start) * 1000)
    base = statistics.median(times["nothing"])
    rows = [
        [name, f"{statistics.median(taken) - base:.0f}", f"{min(taken) - min(times['nothing']):.0f}"]
        for name, taken in times.items()
    ]
    caption = f"milliseconds of wall time over an interpreter that imports nothing; {conditions(['starlette'])}"
    print_table("import", ["", "median", "fastest"], rows, caption)
