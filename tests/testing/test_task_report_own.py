"""Which of the calls of a task are the application's own."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import anyio
import fastapi
import pytest
from starlette.websockets import WebSocket as StarletteWebSocket

from asgi_ws import WebSocket, websocket_app
from asgi_ws._asgi import ASGIApp
from asgi_ws.testing import WaitTimeout
from asgi_ws.testing.task_report import place_of, stands_at

from .applications import fails, receives
from .tasks import Start, Work, calls, turns

HERE = Path(__file__).name


async def hangs(ws: StarletteWebSocket) -> None:
    await ws.accept()
    await asyncio.sleep(60)


async def fastapi_hangs(ws: fastapi.WebSocket) -> None:
    await hangs(ws)


@websocket_app
async def function_hangs(ws: WebSocket) -> None:
    await ws.accept()
    await asyncio.sleep(60)


fastapi_app = fastapi.FastAPI()
fastapi_app.add_api_websocket_route("/", fastapi_hangs)


@pytest.mark.parametrize(
    ("app", "libraries", "own", "place"),
    [
        (fastapi_app, "fastapi, starlette", ["fastapi_hangs", "hangs"], "hangs"),
        (function_hangs, "asgi_ws", ["function_hangs"], "function_hangs"),
    ],
    ids=["FastAPI", "a function"],
)
async def test_the_calls_of_libraries_are_one_line_around_the_applications_own(
    app: ASGIApp, libraries: str, own: list[str], place: str
) -> None:
    error = await fails(WaitTimeout, app, receives)
    assert calls(error.report) == own
    left_out = [line.strip() for line in error.report.splitlines() if " in " in line and "..." in line]
    around, within = (line.partition(" in ") for line in left_out)
    assert around[2].startswith((f"{libraries}, to ", f"{', '.join(reversed(libraries.split(', ')))}, to "))
    assert within[2].startswith("asyncio, to sleep")
    assert error.place.startswith(f"{HERE}:")
    assert error.place.endswith(f" in {place}")
    assert str(error).partition("\n")[0].endswith(f"; the application is at {error.place}")


async def test_a_task_that_is_all_a_librarys_shows_its_calls(start: Start) -> None:
    task = start(asyncio.wait_for(asyncio.Event().wait(), 60))
    await turns()
    assert calls(stands_at(task)) == ["wait_for", "wait"]
    assert "calls in" not in stands_at(task)
    assert place_of(task) == ""


async def test_a_wait_that_names_no_place_ends_its_first_line_without_one() -> None:
    assert str(WaitTimeout("an end", 2, "a report")) == "timed out after 2 s waiting for an end\na report"


async def over_a_library(call: Callable[[], Work]) -> None:
    await asyncio.wait_for(call(), 60)


@pytest.mark.parametrize("call", [asyncio.Event().wait, anyio.sleep_forever])
async def test_the_place_is_the_innermost_call_of_the_tasks_own(start: Start, call: Callable[[], Work]) -> None:
    task = start(over_a_library(call))
    await turns()
    line = over_a_library.__code__.co_firstlineno + 1
    assert place_of(task) == f"{HERE}:{line} in over_a_library"


async def test_a_task_that_is_done_has_no_place(start: Start) -> None:
    task = start(turns(0))
    await turns()
    assert place_of(task) == ""
