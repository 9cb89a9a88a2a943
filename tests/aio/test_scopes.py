"""EndingWith, at moments that a public call cannot time."""

import asyncio
from typing import Any

import pytest

from asgi_ws._aio.scopes import EndingWith


async def test_what_is_watched_may_end_in_the_moment_in_which_the_block_ends_by_itself() -> None:
    problems: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    ending = asyncio.Event()
    async with EndingWith(ending.wait, name="watcher"):
        ending.set()
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert problems == []


async def test_what_the_watched_raises_is_raised_by_the_block() -> None:
    async def watched() -> None:
        raise LookupError("watched")

    with pytest.raises(LookupError, match="watched"):
        async with EndingWith(watched, name="watcher"):
            await asyncio.Event().wait()


async def test_the_task_is_called_by_its_name_and_gone_after_the_block() -> None:
    async with EndingWith(asyncio.Event().wait, name="watcher"):
        assert [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "watcher"] == ["watcher"]
    assert [task for task in asyncio.all_tasks() if task.get_name() == "watcher"] == []
