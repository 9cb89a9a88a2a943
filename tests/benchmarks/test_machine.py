"""The machine of a run."""

import psutil
import pytest

from benchmarks.machine import Cores, describe


@pytest.mark.parametrize(
    ("used", "said"), [(2.0, None), (60.4, "busy with other work (60 % of its CPU before the run)")]
)
def test_a_machine_with_other_work_says_so(used: float, said: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: used)
    assert describe(Cores(None, None)).get("other work") == said
