"""A plugin of pytest for Pyodide, which has no sockets, threads and processes. It skips tests that need them."""

import asyncio
import selectors
import time
import warnings
from collections.abc import Generator, Mapping
from typing import Any, Final

import pytest

# Errors of Emscripten for functions that it does not have.
_MISSING: Final = ("can't start new thread", "emscripten does not support", "subprocess", "Invalid argument")


class _Sleeper(selectors.BaseSelector):
    """A selector without files, which waits for timeouts only."""

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        raise OSError("emscripten does not support sockets")

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        raise KeyError(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("the event loop waits for nothing")
        time.sleep(max(timeout, 0))
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class Loop(asyncio.SelectorEventLoop):
    """An event loop without a socket to wake it from other threads."""

    def __init__(self) -> None:
        super().__init__(_Sleeper())

    def _make_self_pipe(self) -> None: ...

    def _close_self_pipe(self) -> None: ...

    def _write_to_self(self) -> None: ...


if not hasattr(time, "thread_time"):
    # There is one thread only, so its time is that of the process.
    time.thread_time = time.process_time

# Pyodide runs Python inside its own loop, which would refuse another one.
asyncio._set_running_loop(None)

with warnings.catch_warnings():
    # Policies are deprecated, but only a policy gives asyncio.run() and new_event_loop() another loop.
    warnings.simplefilter("ignore", DeprecationWarning)

    class _Policy(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            return Loop()

    asyncio.set_event_loop_policy(_Policy())


_DEEP_JSON: Final = "the machine's stack ends before Python's bound"
# Tests that end or hang the whole run, and why.
_SKIPPED: Final = {
    "test_an_application_that_never_waits_ends_in_time": "a signal or a thread would have to end it",
    "test_the_tasks_of_an_application_are_its_own_however_they_were_started": "it waits for a thread",
    "test_the_contract_runs_under_unittest_too": "it starts a thread",
    "test_a_loop_that_nobody_waits_for_is_left_alone": "the selector cannot wait without end",
    "test_an_input_that_takes_too_long_is_a_finding": "a signal would have to end it",
    "test_a_request_that_cannot_be_answered_gets_an_error_and_the_next_one_its_answer": _DEEP_JSON,
    "test_a_body_that_is_not_what_was_asked_for_is_400": _DEEP_JSON,
    "test_what_is_no_json_is_an_error_that_keeps_the_data": _DEEP_JSON,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if reason := _SKIPPED.get(item.name.partition("[")[0]):
            item.add_marker(pytest.mark.skip(reason=f"Pyodide: {reason}"))


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer() -> bool:
    # Pyodide does not have signals. Make bounds the whole run.
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_cancel_timer() -> bool:
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and call.excinfo is not None and (missing := _missing(call.excinfo.value)):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, f"Pyodide: {missing}")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.outcome == "failed" and "ModuleNotFoundError" in str(report.longrepr):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, f"Pyodide: {str(report.longrepr).splitlines()[-1]}")
    return report


def _missing(error: BaseException | None) -> str | None:
    """Return what Pyodide lacks, if that made a test fail."""
    while error is not None:
        if any(text in str(error) for text in _MISSING):
            return str(error)
        error = error.__cause__ or error.__context__
    return None
