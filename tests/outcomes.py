"""Helpers of several tests that the testing kit does not have."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from asgi_ws import ConnectionClosed
from asgi_ws.testing import Denied, WebSocketCommunicator

from .hanging import HANGING


async def refusal(peer: WebSocketCommunicator) -> tuple[int, bytes]:
    """Connect, which has to be refused; status and body of the response."""
    answer = await peer.connect()
    assert isinstance(answer, Denied)
    return answer.status, answer.body


async def until(condition: Callable[[], object]) -> None:
    """Run event-loop iterations until `condition()` holds."""
    async with asyncio.timeout(HANGING):
        while not condition():
            await asyncio.sleep(0)


async def outcome(awaitable: Awaitable[Any]) -> Any:
    """Return the result of `awaitable`, or the exception that it raises."""
    try:
        return await awaitable
    except Exception as error:  # noqa: BLE001 -- any exception is an outcome
        return error


def told(error: Any) -> tuple[int, str]:
    """Code and reason of a ConnectionClosed."""
    assert type(error) is ConnectionClosed
    return error.code, error.reason
