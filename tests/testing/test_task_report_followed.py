"""The report on a task that waits for other tasks."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from asgi_ws.testing import task_report
from asgi_ws.testing.task_report import CallGraph, stands_at

from .tasks import Start, Work, calls, gathers, inner, turns


async def waits_for_a_task(other: Awaitable[None]) -> None:
    await other


async def waits_for_any(*others: "asyncio.Task[None]") -> None:
    await asyncio.wait(others)


async def waits_with_a_bound(other: Awaitable[None]) -> None:
    await asyncio.wait_for(other, 10)


async def shields(other: Awaitable[None]) -> None:
    await asyncio.shield(other)


@pytest.mark.parametrize("waits", [waits_for_a_task, gathers, waits_for_any, waits_with_a_bound, shields])
async def test_the_task_that_a_task_waits_for_is_followed_by_name(start: Start, waits: Callable[..., Work]) -> None:
    other = start(inner(), "other")
    task = start(waits(other))
    await turns()
    text = stands_at(task)
    assert calls(text) == [waits.__name__, "inner"]
    before, after = text.split("which waits for task 'other':\n")
    assert all(line.startswith("    ") for line in after.splitlines())
    assert "inner()" not in before
    assert "pending" not in text


async def groups() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(inner(), name="first")
        group.create_task(inner(), name="second")


async def groups_with_anyio() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(inner, name="first")
        group.start_soon(inner, name="second")


@pytest.mark.parametrize("work", [groups, groups_with_anyio])
async def test_the_tasks_of_a_group_are_followed_where_the_group_waits_for_them(
    start: Start, work: Callable[[], Work]
) -> None:
    task = start(work())
    await turns()
    text = stands_at(task)
    assert calls(text) == [work.__name__, "inner", "inner"]
    assert text.index("which waits for task 'first':") < text.index("which waits for task 'second':")


async def test_of_several_tasks_those_that_are_done_are_left_out(start: Start) -> None:
    task = start(gathers(start(turns(0), "done"), start(inner(), "open")))
    await turns()
    assert "'open'" in stands_at(task)
    assert "'done'" not in stands_at(task)


async def test_a_manager_of_ones_own_that_waits_when_it_is_left_is_shown_with_what_it_awaits(start: Start) -> None:
    class Manager:
        async def __aenter__(self) -> None: ...

        async def __aexit__(self, *error: object) -> None:
            await asyncio.get_running_loop().create_future()

    async def uses() -> None:
        async with Manager():
            pass

    task = start(uses())
    await turns()
    assert calls(stands_at(task)) == ["uses", "__aexit__"]
    assert stands_at(task).endswith("which waits for <Future pending>")


async def test_tasks_that_wait_for_each_other_are_each_told_once(start: Start) -> None:
    names: dict[str, asyncio.Task[None]] = {}

    async def waits_for_the_other(name: str) -> None:
        await asyncio.wait([names[name]])

    names["a"] = start(waits_for_the_other("b"), "a")
    names["b"] = start(waits_for_the_other("a"), "b")
    await turns()
    text = stands_at(names["a"])
    assert text.endswith("which waits for task 'a', as shown above")
    assert text.count("waits for task 'b'") == 1


@dataclass
class Graph:
    """As `asyncio.FutureCallGraph` of Python 3.14 has it, without frames."""

    future: "asyncio.Future[Any]"
    awaited_by: Sequence[CallGraph] = ()


async def test_a_task_is_followed_by_the_loops_own_graph_where_python_keeps_one(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only the callback shows that the first task waits for the second.
    task, other = start(inner(), "waiter"), start(inner(), "other")
    await turns()

    def capture(future: "asyncio.Future[Any]", /, *, limit: int) -> CallGraph | None:
        assert limit == 0
        return Graph(future, [Graph(task)] if future is other else [])

    monkeypatch.setattr(task_report, "capture_call_graph", capture)
    assert calls(stands_at(task)) == ["inner", "inner"]
    assert "which waits for task 'other':" in stands_at(task)
    # A task that is not in the graph may be known otherwise.
    group = start(groups_with_anyio())
    await turns()
    assert "which waits for task 'first':" in stands_at(group)


async def test_tasks_are_followed_without_the_loops_graph_where_it_never_ends(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def capture(future: "asyncio.Future[Any]", /, *, limit: int) -> CallGraph | None:
        raise RecursionError

    monkeypatch.setattr(task_report, "capture_call_graph", capture)
    group = start(groups())
    await turns()
    assert "which waits for task 'first':" in stands_at(group)
