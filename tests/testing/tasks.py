"""Tasks and stacks for the tests of reports."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

Work = Coroutine[Any, Any, Any]
Start = Callable[..., asyncio.Task[Any]]


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def inner() -> None:
    await asyncio.Event().wait()


async def gathers(*others: Awaitable[None]) -> None:
    await asyncio.gather(*others)


def calls(text: str) -> list[str]:
    """Return the names of the functions in a stack, the outermost first."""
    return [line.rpartition(" in ")[2] for line in text.splitlines() if line.lstrip().startswith("File ")]
