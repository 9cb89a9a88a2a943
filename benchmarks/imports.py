"""The time that `import asgi_ws` takes, beside Starlette's and asyncio's, over an interpreter that imports nothing."""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

from .results import Figure, Results

STATEMENTS: Final = {
    "asgi_ws": "import asgi_ws",
    "starlette": "import starlette.applications, starlette.endpoints, starlette.routing, starlette.responses",
    "asyncio": "import asyncio",
}
BASES: Final = ("starlette",)
REPETITIONS: Final = 15
STEPS: Final = REPETITIONS * len(STATEMENTS)


def _milliseconds(statement: str) -> float:
    """Return the milliseconds that a new interpreter takes for a statement."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return (time.perf_counter() - start) * 1000


def run(results: Results, advance: Callable[[int], None]) -> None:
    """Measure, and put the figures into `results`."""
    samples: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(REPETITIONS):
        nothing = _milliseconds("pass")
        for name, statement in STATEMENTS.items():
            samples[name].append(_milliseconds(statement) - nothing)
            advance(1)
    results.bases["imports"] = list(BASES)
    results.settings["imports"] = {"repetitions": REPETITIONS}
    results.figures += [Figure("imports", "import", name, "import", tuple(taken)) for name, taken in samples.items()]
