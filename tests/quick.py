"""`make test-quick` leaves out each test that can start a process or a browser, found in what its code can reach."""

import subprocess
from collections.abc import Iterator
from functools import cache
from inspect import unwrap
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest


def _names(code: CodeType) -> Iterator[str]:
    """Return the names that a piece of code and those inside it refer to."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


@cache
def _can_start_a_process(function: FunctionType) -> bool:
    seen: set[int] = set()
    pending: list[Any] = [function]
    while pending:
        thing = pending.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if thing is subprocess:
            return True
        origin = str(getattr(thing, "__module__", ""))
        if origin.startswith("playwright"):
            return True
        if not origin.startswith(("tests", "benchmarks")):
            continue
        if isinstance(thing, type):
            pending += [*thing.__bases__, *vars(thing).values()]
        elif isinstance(thing, property):
            pending.append(thing.fget)
        elif isinstance(inner := getattr(thing, "func", unwrap(thing) if callable(thing) else thing), FunctionType):
            names = set(_names(inner.__code__))
            found = [value for name, value in inner.__globals__.items() if name in names]
            pending += found
            pending += [
                vars(module)[name]
                for module in found
                if isinstance(module, ModuleType)
                for name in names & vars(module).keys()
            ]
    return False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        assert isinstance(item, pytest.Function)
        fixtures = item._fixtureinfo.name2fixturedefs.values()
        functions = [item.function, *(definition.func for found in fixtures for definition in found)]
        if any(_can_start_a_process(unwrap(function)) for function in functions):
            item.add_marker("process")
