"""Fixtures of more than one folder."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings

from . import kit_bounds, quick
from .eager_tasks import eager_task_factory
from .shielding import reporting_shield

# Coverage sets it for the child processes of a measured one, such as the workers of pytest-xdist.
_COVERAGE: Final = "COVERAGE_PROCESS_CONFIG"
_coverage_config: Final = os.environ.get(_COVERAGE)
# Only their servers run lines of the package that no test runs in its own process. Measuring a server makes it slow.
_MEASURED: Final = ("brokers", "hub", "testing", "uvicorn_protocol", "test_main.py")

# A busy machine makes any example slow.
settings.register_profile("asgi_ws", deadline=None)
settings.load_profile("asgi_ws")


def pytest_configure(config: pytest.Config) -> None:
    kit_bounds.bound_the_kit()
    config.pluginmanager.register(quick)
    if sys.platform == "emscripten":
        # Pyodide has neither threads nor processes, and no psutil.
        return
    from xdist.workermanage import NodeManager

    from . import leftovers, stuck
    from .hanging import HANGING

    # It kills a worker that has not ended after ten seconds, and what the worker has measured is lost then.
    # Pyright takes the class's constant for the only value that there may be.
    NodeManager.EXIT_TIMEOUT = int(HANGING)  # pyright: ignore[reportAttributeAccessIssue]
    config.pluginmanager.register(stuck)
    # A worker of pytest-xdist has the mark from the process that started it, and so has a pytest that a test runs.
    if leftovers.MARK not in os.environ:
        config.pluginmanager.register(leftovers.Guard())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Have the processes that a test starts measured only where that shows something."""
    if _coverage_config is not None:
        os.environ.pop(_COVERAGE, None)
        if item.path.relative_to(Path(__file__).parent).parts[0] in _MEASURED:
            os.environ[_COVERAGE] = _coverage_config


@pytest.fixture(params=["begun in the next iteration", "begun at once"])
async def each_task_start(request: pytest.FixtureRequest) -> None:
    """Run the test with asyncio's own way to begin a task, and with an eager task factory."""
    if request.param == "begun at once":
        asyncio.get_running_loop().set_task_factory(eager_task_factory)


@pytest.fixture
async def reports(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[dict[str, Any]]]:
    """Collect the calls of the loop's exception handler, with `asyncio.shield` of Python 3.14."""
    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))
    monkeypatch.setattr(asyncio, "shield", reporting_shield)
    yield told
    loop.set_exception_handler(None)
