"""The peers as programs: their options, and what they say where they cannot be run."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from os import environ
from pathlib import Path
from typing import Final

import pytest
from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import PerMessageDeflate

from tests.hanging import HANGING
from tests.servers.program import PROJECT, Program

from .programs import NODE_DIRECTORY, NODE_PEER, PEERS, PYTHON_PEERS, peer_command, running_peer, skip_where_missing

# The key is that of the example in RFC 6455 section 1.3.
HANDSHAKE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
TEXT: Final = "compressible " * 1000
DEFLATING: Final = [name for name in PEERS if name != "picows_server"]


def run(command: Sequence[str], env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program that has to end by itself."""
    return subprocess.run(
        command,
        cwd=PROJECT,
        env={**environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=HANGING,
        check=False,
    )


def assert_fails_in_one_line(outcome: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert outcome.returncode == 1
    assert outcome.stdout == ""
    assert len(outcome.stderr.splitlines()) == 1, outcome.stderr
    for part in parts:
        assert part in outcome.stderr


@pytest.fixture(scope="module", params=PEERS)
def peer(request: pytest.FixtureRequest) -> Iterator[Program]:
    with running_peer(request.param) as program:
        yield program


async def test_permessage_deflate_is_not_negotiated_unless_asked_for(peer: Program) -> None:
    async with connect(peer.url("/echo", "ws"), compression="deflate") as ws:
        assert ws.protocol.extensions == []


def test_a_port_in_use_is_one_line_on_stderr(peer: Program) -> None:
    outcome = run(peer_command(peer.name, f"--port={peer.port}"))

    assert_fails_in_one_line(outcome, f"{peer.name}: cannot listen on port {peer.port}: ", "ddress already in use")


@pytest.mark.parametrize("name", DEFLATING)
async def test_permessage_deflate_is_negotiated_where_asked_for(name: str) -> None:
    with running_peer(name, ["--deflate"]) as program:
        async with connect(program.url("/echo", "ws"), compression="deflate") as ws:
            [extension] = ws.protocol.extensions
            assert isinstance(extension, PerMessageDeflate)
            for message in (TEXT, TEXT.encode()):
                await ws.send(message)
                assert await ws.recv() == message


# uWebSockets has no interval below 4 seconds.
@pytest.mark.parametrize("name", [name for name in PEERS if name != "socketify_server"])
async def test_pings_come_at_the_interval_asked_for(name: str) -> None:
    with running_peer(name, ["--ping-interval=0.2"]) as program:
        async with asyncio.timeout(HANGING):
            reader, writer = await asyncio.open_connection("127.0.0.1", program.port)
            writer.write(HANDSHAKE)
            await reader.readuntil(b"\r\n\r\n")
            # RFC 6455 section 5.2: FIN and the opcode of a ping.
            assert await reader.readexactly(1) == b"\x89"
            writer.close()
            await writer.wait_closed()


def test_picows_says_that_it_cannot_deflate() -> None:
    outcome = run(peer_command("picows_server", "--port=0", "--deflate"))

    assert_fails_in_one_line(outcome, "picows has no permessage-deflate")


@pytest.mark.parametrize("seconds", ["2", "1000"])
def test_socketify_says_which_ping_intervals_it_cannot_keep(seconds: str) -> None:
    outcome = run(peer_command("socketify_server", "--port=0", f"--ping-interval={seconds}"))

    assert_fails_in_one_line(outcome, "intervals of 4 to 944 seconds")


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "soon"])
@pytest.mark.parametrize("name", [PYTHON_PEERS[0], NODE_PEER])
def test_a_ping_interval_that_is_none_is_refused(name: str, seconds: str) -> None:
    outcome = run(peer_command(name, "--port=0", f"--ping-interval={seconds}"))

    assert outcome.returncode in (1, 2)
    assert "--ping-interval" in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("name", [PYTHON_PEERS[0], NODE_PEER])
def test_a_port_that_is_none_is_refused_in_one_line(name: str) -> None:
    outcome = run(peer_command(name, "--port=65536"))
    skip_where_missing(outcome.stderr)

    assert_fails_in_one_line(outcome, f"{name}: cannot listen on port 65536")


def test_node_without_its_package_says_how_to_install_it(tmp_path: Path) -> None:
    shutil.copy(NODE_DIRECTORY / "ws_server.mjs", tmp_path)

    outcome = run(peer_command(NODE_PEER, "--port=0", node_directory=tmp_path))

    assert_fails_in_one_line(outcome, "ws is not installed: npm install --prefix benchmarks/peers/node")


@pytest.mark.parametrize(
    ("failure", "said"),
    [("ImportError('none here')", "socketify is not installed"), ("OSError('libuv.so.1')", "it needs libuv 1")],
)
def test_socketify_that_does_not_load_is_one_line(tmp_path: Path, failure: str, said: str) -> None:
    (tmp_path / "socketify.py").write_text(f"raise {failure}\n")

    outcome = run(peer_command("socketify_server", "--port=0"), {"PYTHONPATH": str(tmp_path)})

    assert_fails_in_one_line(outcome, said)
