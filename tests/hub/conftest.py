"""Fixtures of the hub's tests."""

import itertools
import time

import pytest

from .inside import impatient, no_patience, no_retries, one_member_a_slice

__all__ = ["impatient", "no_patience", "no_retries", "no_slice", "one_member_a_slice"]


@pytest.fixture
def no_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the hub looks at the clock its time slice is over."""
    seconds = itertools.count()
    monkeypatch.setattr(time, "thread_time", lambda: float(next(seconds)))
