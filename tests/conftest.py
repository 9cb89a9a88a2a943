"""Fixtures of more than one folder."""

import asyncio

import pytest

from .eager_tasks import eager_task_factory


@pytest.fixture(params=["begun in the next iteration", "begun at once"])
async def each_task_start(request: pytest.FixtureRequest) -> None:
    """Run the test with asyncio's own way to begin a task, and with an eager task factory."""
    if request.param == "begun at once":
        asyncio.get_running_loop().set_task_factory(eager_task_factory)
