"""`python -m tests.contracts.write_table`: run the contract suite and write its table into the docs."""

import sys
from pathlib import Path

import pytest

from . import matrix


class _Writer:
    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[matrix.WRITES] = True

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK:
            observed = session.config.stash[matrix.OBSERVED]
            matrix.write(observed)


if __name__ == "__main__":
    tests = sorted(str(path) for path in Path(__file__).parent.glob("test_servers_*.py"))
    sys.exit(pytest.main([*tests, *sys.argv[1:]], plugins=[_Writer()]))
