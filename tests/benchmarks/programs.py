"""The programs under load, as the benchmarks start them."""

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.servers.launch import ServerProcess
from tests.servers.program import PROJECT, Program
from tests.servers.table import SERVERS

APPS: Final = ("asgi_ws_app", "starlette_app", "fastapi_app", "bare_app")
PYTHON_PEERS: Final = ("websockets_server", "aiohttp_server", "picows_server", "socketify_server")
NODE_PEER: Final = "ws_server"
PEERS: Final = (*PYTHON_PEERS, NODE_PEER)
NODE_DIRECTORY: Final = PROJECT / "benchmarks" / "peers" / "node"

_MISSING: Final = re.compile(r"^\w+: (\w+ (?:is not installed|does not load).*)$", re.MULTILINE)


def peer_command(name: str, *options: str, node_directory: Path = NODE_DIRECTORY) -> list[str]:
    """Return the command of a peer, without its port. Skip the test if Node.js is needed and missing."""
    if name != NODE_PEER:
        return [sys.executable, "-m", f"benchmarks.peers.{name}", *options]
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    return [node, str(node_directory / "ws_server.mjs"), *options]


def skip_where_missing(said: str) -> None:
    """Skip the test if a peer reported that a package it needs is missing."""
    if missing := _MISSING.search(said):
        pytest.skip(missing[1])


@contextmanager
def running_peer(name: str, options: Sequence[str] = ()) -> Iterator[Program]:
    """Start a peer on a free port. Skip the test if the peer reports that a package it needs is missing."""
    program = Program(name, peer_command(name, "--port={port}", *options))
    try:
        program.__enter__()
    except RuntimeError as error:
        skip_where_missing(str(error))
        raise
    with program_ended(program):
        yield program


@contextmanager
def program_ended(program: Program) -> Iterator[None]:
    """Stop a running program at the end of the block, which SIGTERM has to do."""
    try:
        yield
        assert program.stop(), f"{program.name} goes on after SIGTERM"
    finally:
        program.__exit__(None, None, None)


def running_app(name: str) -> Program:
    """Return an application on uvicorn, at a free port; use it as a context manager."""
    return ServerProcess(SERVERS[0], f"benchmarks.apps.{name}:app")
