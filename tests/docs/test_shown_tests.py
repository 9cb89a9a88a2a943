"""Tests that a page shows are run by pytest, all of a page in one file, with the settings that the page shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.launch import PROJECT

from .blocks import blocks_in

SECONDS = 60
# For a page that shows no settings of its own.
SETTINGS = """\
[tool.pytest.ini_options]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
"""
TEST = re.compile(r"^(?:async )?def test_", re.MULTILINE)
PAGES = sorted({block.page for block in blocks_in("python") if TEST.search(block.text)})


def text_of(page: str, language: str) -> str:
    return "\n".join(block.text for block in blocks_in(language) if block.page == page)


@pytest.mark.parametrize("page", PAGES)
def test_the_tests_on_a_page_pass(page: str, tmp_path: Path) -> None:
    source = text_of(page, "python")
    (tmp_path / "test_page.py").write_text(source, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(text_of(page, "toml") or SETTINGS, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None
    assert int(passed[1]) >= len(TEST.findall(source))
