"""`python -m benchmarks SCENARIO`: run a comparison and print its table."""

import argparse
from typing import Final

from . import imports, inprocess

SCENARIOS: Final = {"inprocess": inprocess, "imports": imports}


def main() -> None:
    """Parse the command line and run the scenario."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    scenarios = parser.add_subparsers(dest="scenario", required=True)
    for name, module in SCENARIOS.items():
        summary = (module.__doc__ or "").split("\n", 1)[0]
        module.add_arguments(scenarios.add_parser(name, help=summary, description=summary))
    arguments = parser.parse_args()
    SCENARIOS[arguments.scenario].main(arguments)


if __name__ == "__main__":
    main()
