"""A pytest plugin: writes how each test ended, and leaves out those that need Trio, or another user than root."""

import json
import os
from pathlib import Path

import pytest

outcomes: dict[str, str] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    left_out = ("invalid_dir_permissions",) if os.geteuid() == 0 else ()
    items[:] = [
        item
        for item in items
        if "trio" not in item.nodeid.partition("[")[2] and not any(name in item.nodeid for name in left_out)
    ]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        outcomes[report.nodeid] = "failed"
    # pytest-rerunfailures has a further outcome, "rerun".
    elif not (report.passed or report.skipped):
        return
    elif report.when == "call" or report.skipped:
        outcomes.setdefault(report.nodeid, report.outcome)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        outcomes[report.nodeid] = "failed"


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        Path(os.environ["SUITES_REPORT"]).write_text(json.dumps(outcomes), "utf-8")
