"""Which tasks are an application's."""

import asyncio
from contextvars import Context, copy_context
from typing import Any

from asgi_ws.testing.task_report import OWNER, context_of, context_seen_by_collector, tasks_of

from .tasks import Start, inner, turns


async def test_the_tasks_of_an_application_are_its_own_however_they_were_started(start: Start) -> None:
    owner, loop = object(), asyncio.get_running_loop()
    started: dict[str, asyncio.Task[Any]] = {}

    def begin(name: str, context: Context | None = None) -> None:
        started[name] = start(inner(), name, context)

    async def nested() -> None:
        begin("nested")
        await inner()

    async def application() -> None:
        begin("direct")
        started["between"] = start(nested(), "between")
        loop.call_soon(begin, "by a callback")
        await asyncio.to_thread(lambda: loop.call_soon_threadsafe(begin, "by a thread"))
        begin("not mine", Context())
        async with asyncio.TaskGroup() as group:
            started["grouped"] = group.create_task(inner(), name="grouped")

    context = copy_context()
    context.run(OWNER.set, owner)
    started["application"] = start(application(), "application", context)
    start(inner(), "of the test")
    while len(started) < 8:
        await asyncio.sleep(0.001)
    await turns()
    theirs = {task.get_name() for task in tasks_of(owner)}
    assert theirs == {"application", "between", "nested", "direct", "by a callback", "by a thread", "grouped"}
    assert tasks_of(object()) == set()
    started["direct"].cancel()
    await turns()
    assert started["direct"] not in tasks_of(owner)


async def test_a_task_of_the_test_is_never_the_applications_though_both_wait_for_each_other(start: Start) -> None:
    owner = object()

    async def application() -> None:
        OWNER.set(owner)
        of_the_test.add_done_callback(lambda _: None)
        # The callback, and with it our context, comes first among those of that task.
        await asyncio.wait([of_the_test])

    of_the_test = start(inner(), "of the test")
    theirs = start(application(), "application")
    also_of_the_test = start(asyncio.wait([theirs]), "awaits the application")
    await turns()
    assert tasks_of(owner) == {theirs}
    assert also_of_the_test not in tasks_of(owner)


async def test_an_application_that_asks_is_no_task_of_its_own() -> None:
    async def application() -> set[asyncio.Task[Any]]:
        OWNER.set(application)
        return tasks_of(application)

    assert await asyncio.create_task(application()) == set()


async def test_the_collector_sees_the_same_context_as_python_tells(start: Start) -> None:
    context = Context()
    task = start(inner(), context=context)
    copy_context().run(task.add_done_callback, lambda _: None)
    copy_context().run(task.add_done_callback, lambda _: None)
    await turns()
    assert context_seen_by_collector(task) is context
    assert context_of(task) is context
