"""`python -m benchmarks.load`: a job as JSON on the standard input, its outcome as JSON on the standard output.

The exit status is 0 for an outcome and for a run that failed through the server, which is an outcome with an "error";
2 for a job that cannot be read.
"""

import json
import os
import sys
from typing import Any

import uvloop

from . import echo, fanout, handshake, idle
from .accounting import Server
from .alarm import Alarm
from .jobs import EchoJob, Failure, FanoutJob, HandshakeJob, IdleJob, Job, JobError, Outcome, parse_job


async def perform(job: Job) -> Outcome:
    """Do the job.

    Raises:
        Failure: what kept it from being done.
    """
    server = Server(job.pid)
    alarm = Alarm()
    try:
        return await _dispatch(job, alarm, server)
    except Failure as failure:
        if failure.kind in {"unreachable", "timeout"} and not server.alive():
            raise Failure("died", f"the server (process {job.pid}) has ended: {failure.error}") from failure
        raise
    finally:
        await alarm.close()


async def _dispatch(job: Job, alarm: Alarm, server: Server) -> Outcome:
    match job:
        case EchoJob():
            return await echo.run(job, alarm, server)
        case HandshakeJob():
            return await handshake.run(job, alarm, server)
        case FanoutJob():
            return await fanout.run(job, alarm, server)
        case IdleJob():
            return await idle.run(job, alarm, server)
        case _:
            raise TypeError(job)


def pin(core: int | None) -> None:
    """Keep this process on that core, if the system has it and can."""
    if core is None or not hasattr(os, "sched_setaffinity"):
        return
    try:
        os.sched_setaffinity(0, {core})
    except OSError as error:
        print(f"not pinned to core {core}: {error.strerror}", file=sys.stderr)


def answer(text: str) -> dict[str, Any]:
    """Return the outcome of the job in `text`.

    Raises:
        JobError: where it holds none.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise JobError(f"the job is no JSON: {error}") from error
    job = parse_job(document)
    pin(job.core)
    try:
        return uvloop.run(perform(job)).to_json()
    except Failure as failure:
        return failure.to_json()


def main() -> int:
    """Read, run, write."""
    try:
        outcome = answer(sys.stdin.read())
    except JobError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main())
