"""Fixtures for the tests of the kit."""

import asyncio
from collections.abc import AsyncIterator
from contextvars import Context
from typing import Any

import pytest

from asgi_ws.testing import run

from . import at_rest
from .tasks import Start, Work


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "after", at_rest.after)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Yield a function that starts tasks, and cancel them at the end."""
    tasks: list[asyncio.Task[Any]] = []

    def begin(work: Work, name: str = "worker", context: Context | None = None) -> asyncio.Task[Any]:
        tasks.append(asyncio.create_task(work, name=name, context=context))
        return tasks[-1]

    yield begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
