"""End a test that hangs and cannot be interrupted, since it swallows exceptions."""

import faulthandler
import sys

import pytest


def _seconds(item: pytest.Item) -> float:
    """Return the seconds that pytest-timeout gives the test; 0 for no bound."""
    marker = item.get_closest_marker("timeout")
    given = marker.args[0] if marker else item.config.getoption("timeout")
    return float(item.config.getini("timeout") or 0) if given is None else float(given)


def _end_the_process_if_stuck(item: pytest.Item) -> None:
    # pytest-timeout raises in the main thread, where an event loop takes the exception for that of a task and spins on.
    # This one ends the process, which pytest-xdist replaces: the test is reported, and the others go on.
    if seconds := _seconds(item):
        faulthandler.dump_traceback_later(2 * seconds, file=sys.__stderr__ or sys.stderr, exit=True)


# Each phase starts the time anew, since pytest cancels it at a failure, and what follows may hang too.
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _end_the_process_if_stuck(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    _end_the_process_if_stuck(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    _end_the_process_if_stuck(item)


def pytest_runtest_logfinish() -> None:
    faulthandler.cancel_dump_traceback_later()
