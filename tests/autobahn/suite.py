"""Run cases of the suite against an echo application on uvicorn, in several processes."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.servers.program import Program

from .interpreter import ROOT, Wstest
from .report import Outcome, read_report

REPORTS: Final = ROOT / "reports"

# The largest message of the suite is 16 MiB; it does not test limits.
_MAX_MESSAGE_BYTES: Final = 64 * 2**20
# For a set of cases. The slowest takes a minute alone on a core. A case may hang, since the suite waits for a server
# that has stopped reading.
_RUN_SECONDS: Final = 600.0
_LOG_TAIL: Final = 2000


class RunError(Exception):
    """The suite or the server did not run. The text says why, with the end of the log."""


def run(
    wstest: Wstest, ws: str, cases: Sequence[str], *, processes: int, say: Callable[[str], None]
) -> dict[str, Outcome]:
    """Run the cases, and return the outcome of each.

    Args:
        wstest: the suite.
        ws: the class, as uvicorn's option `--ws` takes it.
        cases: the cases to run.
        processes: how many fuzzing clients run at once; all of them use one server.
        say: called with a line for each step.

    Raises:
        RunError: the server did not start, or a client failed.
        ReportError: a client left no report, for example because the server ended.
    """
    folder = REPORTS / re.sub(r"\W+", "-", ws)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shares = shares_of(cases)
    say(f"{len(cases)} cases on {ws}, in {len(shares)} sets, {min(processes, len(shares))} at once")
    outcomes: dict[str, Outcome] = {}
    try:
        with Program("uvicorn", _server(ws)) as server:
            try:
                for name, found in _run_shares(wstest, server.url("/echo", "ws"), folder, shares, processes):
                    say(f"  {name}: {len(found)} of {len(shares[name])} cases")
                    outcomes.update(found)
            finally:
                log = folder / "server.log"
                log.write_text(server.log(), encoding="utf-8")
                if not server.running:
                    say(f"the server has ended{_tail(log)}")
                elif lines := len(server.log().splitlines()):
                    say(f"  the server wrote {lines} lines, warnings and errors: {log}")
    except RuntimeError as error:
        # With the log of each attempt to start it.
        raise RunError(f"the server does not start:\n{str(error)[-_LOG_TAIL:]}") from error
    return outcomes


def shares_of(cases: Sequence[str]) -> dict[str, list[str]]:
    """Return named sets of cases, one for each fuzzing client, with the slowest first.

    A set of compressed messages takes minutes, all other cases together half of one.
    """
    shares: dict[str, list[str]] = {}
    for case in reversed(cases):
        parts = case.split(".")
        name = ".".join(parts[:2]) if parts[0] in ("12", "13") else "uncompressed"
        shares.setdefault(name, []).insert(0, case)
    return shares


def _server(ws: str) -> list[str]:
    options = {
        "--port": "{port}",
        "--ws": ws,
        "--ws-max-size": str(_MAX_MESSAGE_BYTES),
        # A case may take longer than the usual interval of pings, which it does not wait for.
        "--ws-ping-interval": "3600",
        "--log-level": "warning",
    }
    command = [sys.executable, "-m", "uvicorn", "benchmarks.apps.bare_app:app"]
    return [*command, *(part for option in options.items() for part in option)]


def _run_shares(
    wstest: Wstest, url: str, folder: Path, shares: Mapping[str, Sequence[str]], processes: int
) -> Iterator[tuple[str, dict[str, Outcome]]]:
    def of_share(name: str) -> dict[str, Outcome]:
        return _run_share(wstest, url, folder / name, shares[name])

    with ThreadPoolExecutor(processes) as pool:
        yield from zip(shares, pool.map(of_share, shares), strict=True)


def _run_share(wstest: Wstest, url: str, folder: Path, cases: Sequence[str]) -> dict[str, Outcome]:
    folder.mkdir()
    spec = folder / "spec.json"
    servers = [{"agent": "server", "url": url}]
    # A violation is answered with a close frame, not with the end of the TCP connection.
    options = {"failByDrop": False}
    content = {"outdir": str(folder), "servers": servers, "cases": list(cases), "options": options}
    spec.write_text(json.dumps(content, indent=2), encoding="utf-8")
    log = folder / "wstest.log"
    with log.open("wb") as output:
        try:
            ended = subprocess.run(
                wstest.command(spec),
                cwd=folder,
                # The log then ends with the current case.
                env={**wstest.env, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=_RUN_SECONDS,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise RunError(f"{folder.name} did not end within {_RUN_SECONDS:.0f} s{_tail(log)}") from None
    if ended != 0:
        raise RunError(f"{folder.name} ended with {ended}{_tail(log)}")
    return read_report(folder / "index.json")


def _tail(log: Path) -> str:
    return f"; its log:\n{log.read_text(encoding='utf-8', errors='replace')[-_LOG_TAIL:]}"
