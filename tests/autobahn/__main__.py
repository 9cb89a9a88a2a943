"""The command; `tests.autobahn` says what it does."""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Sequence
from typing import Final

from benchmarks.pages import PageError, fill
from tests.servers.program import PROJECT

from . import interpreter, report, suite

DEFAULT_CLASS: Final = "asgi_ws.uvicorn_protocol:WebSocketProtocol"
PAGE: Final = PROJECT / "docs" / "autobahn.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite, compare, and return the exit status."""
    options = _options(arguments)
    try:
        expected = report.read_expected(report.EXPECTED)
        wstest = interpreter.set_up(_say)
        cases = wstest.resolve(options.cases)
        started = time.monotonic()
        outcomes = suite.run(wstest, options.ws, cases, processes=options.processes, say=_say)
        _say(f"{len(cases)} cases took {time.monotonic() - started:.0f} s; the suite's own reports: {suite.REPORTS}/")
        comparison = report.compare(cases, outcomes, expected)
        _say(f"\n{report.counts_table(outcomes)}\n\n{report.described(comparison)}")
        if comparison.failed:
            return 1
        if options.write:
            parts = {"summary": report.summary(options.ws, outcomes), "deviations": report.deviations_table(expected)}
            fill(PAGE, parts)
            _say(f"written into {PAGE.relative_to(PROJECT)}")
    except (interpreter.SetupError, suite.RunError, report.ReportError, PageError) as error:
        _say(f"error: {error}")
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.autobahn",
        description="Run the Autobahn suite against a WebSocket class of uvicorn, and compare with the stored results.",
    )
    parser.add_argument("--ws", default=DEFAULT_CLASS, metavar="CLASS", help="for uvicorn's option --ws [%(default)s]")
    parser.add_argument("--cases", nargs="+", default=["*"], metavar="ID", help="such as 7.1.5, 6.* or 12.1.* [all]")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="at once [%(default)s]")
    parser.add_argument("--write", action="store_true", help=f"write the summary into {PAGE.relative_to(PROJECT)}")
    return parser


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    options = parser().parse_args(arguments)
    if options.processes < 1:
        parser().error("--processes takes a positive number")
    if options.write and (options.cases != ["*"] or options.ws != DEFAULT_CLASS):
        parser().error("--write is for the whole suite on the default class, which is what the page is about")
    return options


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
