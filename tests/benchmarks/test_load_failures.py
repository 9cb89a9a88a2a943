"""Errors of a server end the run, with one line that names the error."""

import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from .load_runs import Target, running_server


@pytest.fixture(scope="module")
def server() -> Iterator[Target]:
    with running_server() as running:
        yield running


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        ("/wrong", "wrong_reply", "came where"),
        ("/missing", "wrong_reply", "came where"),
        ("/doubled", "wrong_reply", "came where"),
        ("/swapped", "wrong_reply", "came where"),
        ("/kind", "wrong_reply", "a binary frame came where text was due"),
        ("/fragments", "wrong_reply", "came where"),
        ("/garbage", "wrong_reply", "broke the protocol"),
        ("/closes", "died", "closed a connection with code 1011, enough"),
        ("/drops", "died", "closed a connection that was in use"),
        ("/never", "timeout", "8 of 8 never came"),
        ("/refuses", "unreachable", "answered 403 Forbidden"),
    ],
)
def test_a_lie_is_found(server: Target, path: str, kind: str, text: str) -> None:
    outcome = server.echo(path)
    assert outcome["kind"] == kind
    assert text in outcome["error"]
    assert "\n" not in outcome["error"]


@pytest.mark.parametrize(
    ("path", "fields", "kind", "text"),
    [
        # With one in flight a lost reply leaves its connection waiting while the others go on.
        ("/missing", {"in_flight": 1, "connections": 3}, "timeout", "never came"),
        # The fifth message is the last, and a busy machine has a fifth of a second before another one is due.
        ("/missing", {"in_flight": 1, "connections": 1, "rate": 2.5, "seconds": 2.0}, "timeout", "1 of 5 never came"),
        ("/chatters", {"connections": 1, "rate": 25, "seconds": 0.3}, "wrong_reply", "nothing was sent for|came where"),
        # On a busy machine the next message is due before the reply too many, which then is out of order.
        # The last message of all: only the close handshake shows that there was one too many.
        ("/doubled", {"connections": 1, "rate": 25, "seconds": 0.2}, "wrong_reply", "nothing was sent for|came where"),
    ],
)
def test_a_lie_at_the_edge_is_found(server: Target, path: str, fields: dict[str, Any], kind: str, text: str) -> None:
    outcome = server.echo(path, **fields)
    assert outcome["kind"] == kind
    assert re.search(text, outcome["error"])


def test_offending_bytes_are_shown_shortened(server: Target) -> None:
    error = server.echo("/wrong", size=5000)["error"]
    assert "(5000 bytes)" in error
    assert len(error) < 250


@pytest.mark.parametrize(
    ("workload", "path", "fields", "failure"),
    [
        ("handshake", "/ws-wrong", {"concurrency": 2}, ("wrong_reply", "b'OK?' came where b'OK!' was due")),
        ("handshake", "/ws-drops", {"concurrency": 2}, ("died", "without a close frame")),
        ("handshake", "/never", {"concurrency": 2}, ("timeout", "did not answer")),
        ("handshake", "/refuses", {"concurrency": 2}, ("unreachable", "answered 403")),
        ("fanout", "/echo", {"members": 3, "size": 32}, ("timeout", "members get nothing")),
        ("fanout", "/fanout-lost", {"members": 3, "size": 32, "burst": 10}, ("wrong_reply", "came where")),
        ("fanout", "/refuses", {"members": 3, "size": 32}, ("unreachable", "answered 403")),
        ("idle", "/never", {"connections": 3, "exchange": True}, ("timeout", "3 of 3 never came")),
        ("idle", "/refuses", {"connections": 3}, ("unreachable", "answered 403")),
    ],
)
def test_every_workload_says_what_was_wrong(
    server: Target, workload: str, path: str, fields: dict[str, Any], failure: tuple[str, str]
) -> None:
    kind, text = failure
    outcome = server.run(workload, path, **fields)
    assert outcome["kind"] == kind
    assert text in outcome["error"]


@pytest.mark.parametrize("path", ["/refuses", "/echo"])
def test_stalled_members_that_cannot_stall_are_told_of(server: Target, path: str) -> None:
    fields: dict[str, Any] = {"members": 2, "size": 32, "stalled": 1, "stall_url": server.url(path)}
    outcome = server.run("fanout", "/fanout", **fields)
    kind, text = ("unreachable", "403") if path == "/refuses" else ("timeout", "nothing to 1 of 1 stalled members")
    assert outcome["kind"] == kind
    assert text in outcome["error"]


def test_a_server_that_accepts_no_compression_is_told_of(server: Target) -> None:
    outcome = server.echo("/echo", deflate=True)
    assert outcome["kind"] == "unreachable"
    assert "did not accept permessage-deflate" in outcome["error"]


def test_a_server_that_is_silent_from_the_start_is_told_of(server: Target) -> None:
    outcome = server.echo("/echo", server="silent")
    assert outcome["kind"] == "timeout"
    assert "did not complete the handshake within 0.5 s" in outcome["error"]


def test_a_closed_port_is_unreachable(server: Target) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{unused.getsockname()[1]}/echo"
        outcome = server.echo("/echo", url=url)
    assert outcome["kind"] == "unreachable"
    assert url in outcome["error"]


def test_a_server_that_dies_is_told_of() -> None:
    with running_server() as server:
        outcome = server.echo("/dies")
        assert outcome["kind"] == "died"
        # Nothing listens any more, and that is not the port's fault.
        outcome = server.echo("/echo")
        assert outcome["kind"] == "died"
        assert str(server.process.pid) in outcome["error"]
