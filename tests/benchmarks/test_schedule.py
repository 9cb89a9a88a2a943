"""The order of measurements, and contestants that fail; the servers and the load are real."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.contestants import BY_NAME, Contestant, UnknownContestantError, named
from benchmarks.machine import Cores
from benchmarks.results import Results
from benchmarks.scenarios.base import QUICK, Case, Effort, Outcome, Scenario, cpu, rate
from benchmarks.schedule import FailedError, Schedule, ask
from tests.servers.program import PROJECT

EFFORT = replace(QUICK, repetitions=2, seconds=0.1, warm_up=0.05, members=5, connections=5)
CORES = Cores(None, None)


def figures(outcome: Outcome) -> Mapping[str, float]:
    return {**cpu(outcome), **rate(outcome)}


def case(name: str = "echo", **fields: Any) -> Case:
    job = {"connections": 1, "in_flight": 1, "size": 32, "binary": False, "deflate": False, "content": "json"}
    job |= {"rate": None, "seconds": EFFORT.seconds, "warm_up": EFFORT.warm_up}
    return replace(Case(name=name, workload="echo", job=job, figures=figures, path="/echo"), **fields)


def scenario(*cases: Case, fresh: bool = False) -> Scenario:
    def of(effort: Effort) -> Sequence[Case]:
        return cases

    return Scenario(name="echo", summary="", cases=of, bases=("bare",), quick=(), full=(), fresh=fresh)


def contestant(name: str, *command: str, **fields: Any) -> Contestant:
    return Contestant(name=name, command=(sys.executable, *command), install=lambda: None, **fields)


def server(source: str) -> tuple[str, ...]:
    """Return the command of a program that serves WebSockets with `handler` in `source`."""
    program = f"""
import asyncio, itertools, os, sys
from websockets.asyncio.server import serve
{source}
async def main():
    async with serve(handler, "127.0.0.1", int(sys.argv[1]), compression=None):
        await asyncio.Future()
asyncio.run(main())
"""
    return "-c", program, "{port}"


GOOD = contestant("good", *server("async def handler(ws):\n    async for message in ws: await ws.send(message)"))
WRONG = contestant("wrong", *server("async def handler(ws):\n    async for message in ws: await ws.send('nonsense')"))
DYING = contestant(
    "dying",
    *server("""
async def handler(ws):
    async for message in ws:
        os._exit(3)
"""),
)
SLOW = contestant(
    "slow",
    *server("async def handler(ws):\n    async for message in ws: await asyncio.sleep(1); await ws.send(message)"),
)
NOT_STARTING = contestant("not-starting", "-c", "raise SystemExit('no such thing as a port')")


def run(schedule: Schedule, *contestants: Contestant) -> Results:
    results = Results(command="", when="", machine={}, versions={})
    schedule.run(contestants, results)
    return results


def test_everyone_is_measured_in_turn_again_and_again() -> None:
    order: list[str] = []
    schedule = Schedule(scenario(case("one"), case("two")), EFFORT, CORES, announce=order.append)
    other = replace(GOOD, name="other")
    results = run(schedule, GOOD, other)
    good, others = ["echo: good, one", "echo: good, two"], ["echo: other, one", "echo: other, two"]
    # There and back.
    assert order == [*good, *others, *others, *good]
    for name in ("good", "other"):
        for of in ("one", "two"):
            figure = results.figure("echo", of, name, "cpu")
            assert figure is not None
            assert len(figure.samples) == EFFORT.repetitions
    assert results.left_out == []


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (WRONG, "nonsense"),
        (DYING, "connection"),
        (SLOW, "nothing was answered within the measured section"),
        (NOT_STARTING, "not-starting accepts no connections: no such thing as a port"),
    ],
    ids=lambda value: value.name if isinstance(value, Contestant) else "",
)
def test_who_fails_is_left_out_with_a_line_and_the_others_go_on(bad: Contestant, said: str) -> None:
    advanced: list[int] = []
    schedule = Schedule(scenario(case()), EFFORT, CORES, advance=advanced.append)
    results = run(schedule, bad, GOOD)
    assert {figure.contestant for figure in results.figures} == {"good"}
    (left_out,) = results.left_out
    assert left_out.contestant == bad.name
    assert said in left_out.reason
    assert "\n" not in left_out.reason
    assert sum(advanced) == schedule.steps([bad, GOOD])


def test_a_case_that_fails_voids_itself_alone() -> None:
    sulking = contestant(
        "sulking",
        *server("""
async def handler(ws):
    async for message in ws: await ws.send(message if ws.request.path == "/echo" else "nonsense")
"""),
    )
    results = run(Schedule(scenario(case("bad", path="/other"), case("good")), EFFORT, CORES), sulking)
    assert {figure.case for figure in results.figures} == {"good"}
    (left_out,) = results.left_out
    assert left_out.reason.startswith("bad: ")


def test_who_has_no_compression_is_left_out_of_the_cases_with_it() -> None:
    plain = replace(GOOD, name="plain", deflates=False)
    results = run(Schedule(scenario(case("without"), case("with", deflate=True)), EFFORT, CORES), plain)
    assert [each.reason for each in results.left_out] == ["with: it has no permessage-deflate"]
    assert {figure.case for figure in results.figures} == {"without"}


def test_a_port_in_use_is_said() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        results = run(Schedule(scenario(case()), EFFORT, CORES, port=port), GOOD)
    assert [each.reason for each in results.left_out] == [f"good cannot listen on port {port}: Address already in use"]


def test_a_generator_that_ends_without_an_answer_is_said() -> None:
    with pytest.raises(FailedError, match="ended with status 4: boom"):
        ask({}, [sys.executable, "-c", "import sys; print('boom', file=sys.stderr); sys.exit(4)"])


def test_a_name_that_no_contestant_has_is_said_with_those_there_are() -> None:
    with pytest.raises(UnknownContestantError, match="no contestant is called nginx; there are asgi_ws, starlette"):
        named(["nginx", "starlette"])


def test_the_contestants_keep_the_order_of_their_table() -> None:
    assert [each.name for each in named(["picows", "asgi_ws"])] == ["asgi_ws", "picows"]
    assert PROJECT.joinpath("benchmarks").is_dir()
    assert BY_NAME["picows"].started_with(ping=2)[-1] == "--ping-interval=2"
