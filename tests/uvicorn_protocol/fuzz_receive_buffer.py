"""Fuzz the receive buffer: `python -m tests.uvicorn_protocol.fuzz_receive_buffer --cases 100000`.

A case is a seed: of a stream, its cuts, the bounds, and the order of reads, iterations and receives. A failing case
prints its seed, which `--seed` runs again.
"""

import argparse
import random
import sys

from . import receive_buffers


def fuzz(cases: int, first: int) -> int | None:
    """Run `count` cases from a seed on. Return the number of the first that fails, or None."""
    for number in range(cases):
        try:
            receive_buffers.check(first + number)
        except Exception as error:  # noqa: BLE001 -- any that comes out is a finding
            sys.stdout.write(f"case {number + 1}: {error!r}\nagain: --seed {first + number} --cases 1\n")
            return number + 1
    return None


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.uvicorn_protocol.fuzz_receive_buffer", description="Fuzz the receive buffer."
    )
    parser.add_argument("--cases", type=int, default=100_000, help="how many (default: 100,000)")
    parser.add_argument("--seed", type=int, default=None, help="of the first case, to have it again")
    arguments = parser.parse_args()
    seed = random.randrange(2**32) if arguments.seed is None else arguments.seed
    sys.stdout.write(f"seed {seed}\n")
    if fuzz(arguments.cases, seed) is not None:
        return 1
    sys.stdout.write(f"{arguments.cases:,} cases, nothing found\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
