"""Thousands of hostile connections of every kind, after which the server holds as much as before."""

import asyncio
import logging
import re
from typing import Any, Final

import psutil
import pytest

from asgi_ws.sizes import MIB
from tests.servers.client import SECONDS

from .served import Uvicorn
from .soak_attacks import ATTACKS, MAX_MESSAGE_BYTES, run, shown

logger = logging.getLogger("soak")

_APP: Final = "tests.uvicorn_protocol.soak_app:app"
_CLASS: Final = "tests.uvicorn_protocol.soak_app:Impatient"
_OPTIONS: Final = ("--ws-ping-interval=2", "--ws-ping-timeout=8", f"--ws-max-size={MAX_MESSAGE_BYTES}")
_AT_ONCE: Final = 64
_POLL_SECONDS: Final = 0.05
_ROUNDS: Final = 6
# Of the memory that the process held in the first half of the rounds.
_GROWTH: Final = 1.05
# The lines that uvicorn logs for bytes that are not HTTP, and this package for a handler that does not answer.
_EXPECTED: Final = re.compile(
    r"WARNING: +Invalid HTTP request received\.|<WebSocket '/never' from .* was not accepted within 0\.2 s"
)


async def _at_rest(server: Uvicorn) -> dict[str, Any]:
    """Return the facts of the server once it has no connections."""
    process = psutil.Process(server.pid)
    async with asyncio.timeout(12 * SECONDS):
        while True:
            facts: dict[str, Any] = (await server.get("/facts")).json()
            # The request for the facts is itself a task, and was a connection.
            if facts["open"] == 0 and facts["hub"]["connections"] == 0 and len(facts["tasks"]) < 6:
                break
            await asyncio.sleep(_POLL_SECONDS)
        while any(each.status != psutil.CONN_LISTEN for each in process.net_connections("tcp")):
            await asyncio.sleep(_POLL_SECONDS)
    return {
        "tasks": facts["tasks"],
        "members": facts["hub"]["members"],
        "rooms": facts["hub"]["rooms"],
        "queued": facts["hub"]["queued_bytes"],
        "files": server.open_files(),
    }


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("count", [24_000])
async def test_after_attacks_of_every_kind_nothing_is_left_of_them(loop: str, count: int) -> None:
    with Uvicorn(*_OPTIONS, f"--loop={loop}", "--timeout-keep-alive=1", app=_APP, ws=_CLASS) as server:
        # Warm up: one-time imports and allocations.
        assert shown(await run(server, 20 * len(ATTACKS), _AT_ONCE)) == ""
        before, held = await _at_rest(server), []
        for _ in range(_ROUNDS):
            assert shown(await run(server, count // _ROUNDS, _AT_ONCE)) == ""
            assert await _at_rest(server) == before
            held.append(server.held_bytes())
        logger.info("%s MiB held; idle: %s", [round(each / MIB, 1) for each in held], before)
        lines = [line for line in server.log().split("\n") if "INFO:" not in line and line]
        complaints = [line for line in lines if not _EXPECTED.fullmatch(line)]
        assert complaints == []
        # The allocator reaches its size after a while, and a leak goes on growing.
        early, late = max(held[: _ROUNDS // 2]), max(held[_ROUNDS // 2 :])
        assert late < early * _GROWTH, held
