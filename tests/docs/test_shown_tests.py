"""Tests that a page shows are run by pytest, all of a page in one file, with the settings that the page shows."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from asgi_ws.testing import WaitTimeout, WebSocketCommunicator
from tests.hanging import HANGING
from tests.servers.program import PROJECT

from .blocks import blocks_in

# For a page that shows no settings of its own.
SETTINGS = """\
[tool.pytest.ini_options]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
"""
TEST = re.compile(r"^(?:async )?def test_", re.MULTILINE)
PAGES = sorted({block.page for block in blocks_in("python") if not block.example and TEST.search(block.text)})


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
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=HANGING, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None
    assert int(passed[1]) >= len(TEST.findall(source))


def placed(message: str) -> list[str]:
    """Return the lines of a message, without parts that depend on the file's place or the framework's version."""
    message = re.sub(r'(File ")[^"]*(", line )\d+', r"\1\2", message)
    return re.sub(r"\S+\.(?:py|md):\d+|\.\.\. \d+ calls in .*", "", message).splitlines()


async def test_the_message_of_a_wait_in_vain_is_as_shown() -> None:
    page = "docs/how-to/testing.md"
    namespace: dict[str, Any] = {}
    for block in blocks_in("python"):
        if block.page == page:
            code = compile("\n" * (block.line - 1) + block.text, PROJECT / page, "exec", dont_inherit=True)
            exec(code, namespace)
    async with WebSocketCommunicator(namespace["app"], "/forgetful", timeout=0.2) as ws:
        await ws.connect()
        await ws.send("hello")
        with pytest.raises(WaitTimeout) as late:
            await ws.receive()
        ws.stop()
    assert placed(str(late.value)) == placed(text_of(page, "text"))
