"""`python -m benchmarks SCENARIO`: measure and print; `compare`, `show` and `scaling` read what was measured."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from . import command, compare, show
from .scaling import command as scaling

# Commands that read results and do not measure.
READERS: Final = {"compare": compare, "show": show, "scaling": scaling}


def parser() -> argparse.ArgumentParser:
    """Run the command line."""
    whole = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in {"all": "All of these, but for the import.", **command.SUMMARIES}.items():
        command.add_arguments(commands.add_parser(name, help=summary, description=summary))
    for name, module in READERS.items():
        summary = (module.__doc__ or "").split("\n", 1)[0]
        module.add_arguments(commands.add_parser(name, help=summary, description=summary))
    return whole


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks for, and return the exit status."""
    parsed = parser().parse_args(arguments)
    if parsed.command in READERS:
        status: int = READERS[parsed.command].main(parsed)
        return status
    return command.main(command.chosen(parsed.command, quick=parsed.quick), parsed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
