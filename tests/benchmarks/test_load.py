"""The load generator measures honest servers, and its counts are theirs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from .load_runs import Target, perform, running_server


@pytest.fixture(scope="module")
def server() -> Iterator[Target]:
    with running_server() as running:
        yield running


def test_echoed_messages_are_counted_within_the_section(server: Target) -> None:
    before = server.counts().get("/echo", 0)
    outcome = server.echo("/echo", seconds=0.3, warm_up=0.1)
    served = server.counts()["/echo"] - before
    assert 0 < outcome["messages"] < served
    assert outcome["latency"]["count"] == outcome["messages"]
    assert 0.3 <= outcome["seconds"] < 2
    assert 0 < outcome["user"] + outcome["system"] < outcome["seconds"] + 0.05
    assert outcome["received"] == 34
    assert 0 < outcome["generator"] <= 1.05
    assert outcome["memory"] > 1_000_000
    assert outcome["memory_peak"] >= outcome["memory"]
    assert outcome["delivered"] == 1.0
    assert outcome["late"] is None


@pytest.mark.parametrize(
    "fields",
    [
        {"binary": True},
        {"binary": True, "content": "random", "size": 70_000},
        {"size": 2},
        {"size": 300, "in_flight": 70},
        {"connections": 1, "in_flight": 1},
    ],
)
def test_messages_of_every_sort_come_back(server: Target, fields: dict[str, Any]) -> None:
    outcome = server.echo("/echo", **fields)
    assert outcome["messages"] > 0
    size = fields.get("size", 32)
    assert outcome["received"] == size + (2 if size < 126 else 4 if size < 65536 else 10)


@pytest.mark.parametrize("accepting", ["deflate", "bounded"])
def test_compressed_replies_are_inflated_and_their_size_on_the_wire_is_told(server: Target, accepting: str) -> None:
    outcome = server.echo("/echo", server=accepting, deflate=True, size=2000)
    assert outcome["messages"] > 0
    assert 10 < outcome["received"] < 1000


def test_a_compressed_wrong_reply_is_found(server: Target) -> None:
    assert server.echo("/wrong", server="deflate", deflate=True)["kind"] == "wrong_reply"


def test_a_ping_after_a_reply_does_not_stop_the_closed_loop(server: Target) -> None:
    outcome = server.echo("/pings", connections=1, in_flight=1)
    assert outcome["messages"] > 5


def test_the_open_loop_keeps_its_rate(server: Target) -> None:
    before = server.counts().get("/echo", 0)
    outcome = server.echo("/echo", rate=500, seconds=0.4)
    assert outcome["latency"]["count"] == pytest.approx(200, abs=10)
    # Those of the time before and after the measured section come on top, and a busy machine makes that longer.
    assert server.counts()["/echo"] - before >= outcome["latency"]["count"]
    assert outcome["late"]["count"] > 0


def test_a_stall_counts_for_all_messages_that_were_due_in_it(server: Target) -> None:
    outcome = server.echo("/sleeps", connections=1, rate=200, seconds=0.8)
    assert outcome["latency"]["count"] == pytest.approx(160, abs=5)
    assert outcome["latency"]["max"] >= 295
    assert outcome["latency"]["p99.9"] >= 295
    # Not one message was slow, but all sixty of the stall's 0.3 s, evenly: more than one in a hundred by far.
    assert outcome["latency"]["p99"] > 200


def test_handshakes_are_counted_whole(server: Target) -> None:
    before = server.counts().get("/ws", 0)
    outcome = server.run("handshake", "/ws", concurrency=3, seconds=0.4, warm_up=0.1)
    assert 0 < outcome["messages"] <= server.counts()["/ws"] - before
    assert outcome["received"] == 5
    assert outcome["latency"]["p50"] > 0


@pytest.mark.parametrize("fields", [{}, {"burst": 7}, {"rate": 50, "burst": 2}, {"binary": True}, {"members": 1}])
def test_every_member_gets_what_one_publishes(server: Target, fields: dict[str, Any]) -> None:
    before = server.counts().get("/fanout", 0)
    outcome = server.run("fanout", "/fanout", **{"members": 5, "size": 40, "seconds": 0.2, "warm_up": 0.05, **fields})
    assert 0 < outcome["messages"] < server.counts()["/fanout"] - before
    assert outcome["delivered"] == 1.0
    assert outcome["undelivered"] == 0


def test_a_stalled_member_that_stops_the_room_is_told_of() -> None:
    with running_server() as server:
        outcome = server.run(
            "fanout", "/fanout", members=3, size=40, rate=50, stalled=2, stall_url=server.url("/stall"), patience=0.8
        )
    assert 0 < outcome["delivered"] < 1
    assert outcome["undelivered"] > 0
    assert outcome["waited"] >= 0.8
    assert outcome["latency"]["count"] + outcome["undelivered"] <= 3 * 8


@pytest.mark.parametrize(("path", "received"), [("/echo", 66), ("/ws", 5)])
def test_idle_connections_exchange_one_message(server: Target, path: str, received: int) -> None:
    before = server.counts().get(path, 0)
    outcome = server.run("idle", path, connections=200, exchange=True, seconds=0.1, patience=5)
    assert server.counts()[path] - before == 200
    assert outcome["messages"] == 200
    assert outcome["latency"]["count"] == 200
    assert outcome["received"] == received
    assert outcome["memory_before"] < outcome["memory_connected"] <= outcome["memory_peak"]


def test_idle_connections_may_do_nothing_at_all(server: Target) -> None:
    outcome = server.run("idle", "/echo", server="deflate", connections=3, deflate=True)
    assert outcome["latency"] == {"count": 0, "p50": None, "p99": None, "p99.9": None, "max": None}
    assert outcome["received"] == 0


def test_the_program_reads_a_job_and_writes_an_outcome(server: Target) -> None:
    job = server.job("echo", "/echo", connections=1, size=32, core=0)
    done = perform(json.dumps(job))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["messages"] > 0


def test_more_connections_than_files_is_a_matter_of_limits(server: Target) -> None:
    job = server.job("idle", "/echo", connections=1000)
    limited = f"ulimit -n 300; exec {sys.executable} -m benchmarks.load"
    done = subprocess.run(["/bin/sh", "-c", limited], input=json.dumps(job), capture_output=True, text=True, check=True)
    outcome = json.loads(done.stdout)
    assert outcome["kind"] == "limits"
    assert "1000 connections" in outcome["error"]
    assert "300" in outcome["error"]


def test_a_job_that_cannot_be_read_is_one_line_and_status_2() -> None:
    done = perform("[]")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "a job is a JSON object, not []\n"
