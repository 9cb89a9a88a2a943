"""The report on where a task waits."""

import asyncio
import threading
import types
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from asgi_ws.testing import task_report
from asgi_ws.testing.task_report import place_of, report, stands_at

from .tasks import Start, Work, calls, gathers, inner, turns


async def outer() -> None:
    await inner()


async def test_a_suspended_task_is_shown_from_its_outermost_call_to_its_innermost(start: Start) -> None:
    task = start(outer())
    await turns()
    text = stands_at(task)
    assert calls(text) == ["outer", "inner"]
    line = inner.__code__.co_firstlineno + 1
    assert f'  File "{inner.__code__.co_filename}", line {line}, in inner\n    await asyncio.Event().wait()\n' in text
    assert text.splitlines()[4:] == ["  ... 1 call in asyncio, to Event.wait"]


async def returns() -> None: ...


async def raises() -> None:
    raise ValueError("two\nlines")


async def test_a_task_that_is_done_tells_how_it_ended(start: Start) -> None:
    tasks = [start(returns()), start(raises()), start(inner())]
    tasks[2].cancel()
    await turns()
    assert [stands_at(task) for task in tasks] == ["has returned", "raised ValueError: two\nlines", "was cancelled"]


async def test_a_task_that_has_not_started_says_so(start: Start) -> None:
    text = stands_at(start(outer()))
    assert text.splitlines()[0] == "has not started yet:"
    assert calls(text) == ["outer"]


async def test_a_task_that_is_about_to_go_on_says_so(start: Start) -> None:
    async def spins() -> None:
        while True:
            await asyncio.sleep(0)

    event = asyncio.Event()
    spinning, woken = start(spins()), start(event.wait())
    await turns()
    event.set()
    for task in spinning, woken:
        assert stands_at(task).endswith("\nis about to run")


async def test_the_current_task_shows_its_stack_down_to_the_question() -> None:
    async def asks() -> str:
        return await in_turn()

    async def in_turn() -> str:
        return plainly()

    def plainly() -> str:
        current = asyncio.current_task()
        assert current is not None
        return stands_at(current)

    text = await asyncio.create_task(asks())
    assert text.splitlines()[0] == "runs now:"
    assert calls(text) == ["asks", "in_turn", "plainly"]


async def test_a_task_that_runs_in_another_thread_shows_its_first_call() -> None:
    runs, may_end = threading.Event(), threading.Event()

    async def blocks() -> None:
        runs.set()
        may_end.wait(10)

    loop = asyncio.new_event_loop()
    task = loop.create_task(blocks())
    running = asyncio.create_task(asyncio.to_thread(loop.run_until_complete, task))
    await asyncio.to_thread(runs.wait, 10)
    text = stands_at(task)
    may_end.set()
    await running
    loop.close()
    assert text.splitlines()[0] == "runs now:"
    assert calls(text) == ["blocks"]


# -- awaitables between a coroutine and the future that it waits for


async def numbers() -> AsyncIterator[int]:
    yield 1
    await inner()


async def over_a_generator() -> None:
    async for _ in numbers():
        pass


async def over_anext() -> None:
    generator = numbers()
    await anext(generator)
    await anext(generator, None)


async def over_aclose() -> None:
    async def closes_slowly() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await inner()

    generator: Any = closes_slowly()
    await anext(generator)
    await generator.aclose()


class Wrapped:
    def __await__(self) -> Generator[Any, None, None]:
        yield from inner().__await__()


class Handed:
    def __await__(self) -> Generator[Any, None, None]:
        return inner().__await__()


@types.coroutine
def generator_based() -> Generator[Any, None, None]:
    yield from inner().__await__()


async def over_awaitables(awaitable: Callable[[], Any]) -> None:
    await awaitable()


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (over_a_generator, ["over_a_generator", "numbers", "inner"]),
        (over_anext, ["over_anext", "numbers", "inner"]),
        (over_aclose, ["over_aclose", "closes_slowly", "inner"]),
        (lambda: over_awaitables(Wrapped), ["over_awaitables", "__await__", "inner"]),
        (lambda: over_awaitables(Handed), ["over_awaitables", "inner"]),
        (lambda: over_awaitables(generator_based), ["over_awaitables", "generator_based", "inner"]),
    ],
)
async def test_generators_and_awaitables_on_the_way_are_followed(
    start: Start, work: Callable[[], Work], expected: list[str]
) -> None:
    task = start(work())
    await turns()
    assert calls(stands_at(task)) == expected


async def test_an_object_that_tells_nothing_ends_the_walk_and_what_the_task_waits_for_is_still_said(
    start: Start,
) -> None:
    class Silent:
        def __init__(self, future: Any) -> None:
            self.steps = iter(future)

        def __await__(self) -> "Silent":
            return self

        def __iter__(self) -> "Silent":
            return self

        def __next__(self) -> Any:
            return next(self.steps)

    other = start(inner(), "other")
    task = start(over_awaitables(lambda: Silent(other)))
    await turns()
    text = stands_at(task)
    assert calls(text) == ["over_awaitables", "inner"]
    assert "\nwhich waits for task 'other':\n  " in text


async def test_an_iterator_in_place_of_a_generator_tells_nothing_either(start: Start) -> None:
    class Steps:
        def __await__(self) -> Iterator[None]:
            return iter([None] * 1000)

    task = start(over_awaitables(Steps))
    await turns()
    assert calls(stands_at(task)) == ["over_awaitables"]
    assert stands_at(task).endswith("\nis about to run")


async def test_a_coroutine_that_somebody_closed_has_no_place_to_tell(start: Start) -> None:
    work = outer()
    task = start(work)
    await turns()
    work.close()
    assert stands_at(task).startswith("in coroutine, whose position is unknown\n")


# -- bounds


async def test_a_deep_stack_is_shown_by_its_ends(start: Start) -> None:
    async def deep(level: int) -> None:
        await (other(level - 1) if level else inner())

    async def other(level: int) -> None:
        await deep(level - 1)

    task = start(deep(300))
    await turns()
    text = stands_at(task)
    assert "  ... 278 more" in text.splitlines()
    assert len(text.splitlines()) == 50
    assert (calls(text)[:2], calls(text)[-2:]) == (["deep", "other"], ["deep", "inner"])


async def test_a_crowd_is_followed_up_to_a_bound(start: Start) -> None:
    task = start(gathers(*[start(inner(), f"{number:03}") for number in range(100)]))
    await turns()
    text = stands_at(task)
    assert "which waits for task '008':" in text
    assert text.endswith("which waits for task '009', and more")


async def test_a_long_text_is_cut(start: Start) -> None:
    task = start(gathers(*[start(gathers(start(inner(), "x" * 2000)), str(number)) for number in range(9)]))
    await turns()
    assert stands_at(task).endswith("\n... cut here")
    assert len(stands_at(task)) < 9000


async def test_a_task_that_raises_when_it_is_asked_is_no_failure_of_the_report(start: Start) -> None:
    class Odd(asyncio.Task[None]):
        def get_coro(self) -> Any:
            raise RuntimeError("not mine to tell")

    task = Odd(inner(), loop=asyncio.get_running_loop())
    await turns()
    assert stands_at(task) == "position unknown: RuntimeError"
    assert place_of(task) == ""
    task.cancel()


# -- the kit's own part


def in_the_kit(source: str) -> dict[str, Any]:
    """Return the functions of this source, compiled as the kit's module `servers.websocket`."""
    functions: dict[str, Any] = {"pending": lambda: asyncio.get_running_loop().create_future()}
    exec(compile(source, str(Path(task_report.KIT, "servers", "websocket.py")), "exec"), functions)
    return functions


@pytest.mark.parametrize(
    ("half", "meaning"),
    [
        ("receive", "waiting in receive() for the next event"),
        ("_receive", "waiting in receive() for the next event"),
        ("send", "waiting in send() for the peer to read"),
    ],
)
async def test_the_kits_calls_are_shown_as_what_they_mean(start: Start, half: str, meaning: str) -> None:
    kit = in_the_kit(f"async def run(app): await app()\nasync def {half}(): await pending()")

    async def application() -> None:
        await kit[half]()

    task = start(kit["run"](application))
    await turns()
    text = stands_at(task)
    assert calls(text) == ["application"]
    assert text.endswith(f"    await kit[half]()\n{meaning}")


async def test_a_task_of_the_kit_behind_a_call_is_shown_as_that_call(start: Start) -> None:
    kit = in_the_kit("async def _receive(): await pending()")

    async def application() -> None:
        await asyncio.shield(start(kit["_receive"](), "the kit's"))

    task = start(application())
    await turns()
    text = stands_at(task)
    assert calls(text) == ["application"]
    assert text.endswith("\nwaiting in receive() for the next event")
    assert "which waits" not in text


# -- reports


async def test_a_report_names_each_task_with_where_it_stands(start: Start) -> None:
    tasks = {start(inner(), "b"), start(outer(), "a")}
    await turns()
    text = report(tasks)
    assert calls(text) == ["outer", "inner", "inner"]
    titles = [line for line in text.splitlines() if not line.startswith("  ")]
    assert titles == ["task 'a' (outer):", "task 'b' (inner):"]
    assert report([]) == ""


def test_the_names_that_stand_for_the_kits_calls_are_there() -> None:
    from asgi_ws.testing import exchange, lifespan
    from asgi_ws.testing.servers import websocket as server

    kit = {
        "websocket.py": server.ImitatedWebSocket,
        "exchange.py": exchange.Exchange,
        "lifespan.py": lifespan.LifespanManager,
    }
    assert all(name in vars(kit[Path(file).name]) for file, name in task_report.MEANINGS)
