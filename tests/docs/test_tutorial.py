"""Follow the tutorial command by command, in a folder that is empty at first and outside of the checkout.

Installed packages are those of the environment of the tests. A reader's environment is new; `test_wheel` tries that.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from websockets.sync.client import connect

from asgi_ws.testing.servers.profiles import ASGI_WS, UVICORN
from tests.hanging import HANGING
from tests.servers.launch import ServerProcess
from tests.servers.program import PROJECT
from tests.servers.table import Server

from .blocks import OUTPUT, Block, blocks_of, commands

PAGE: Final = PROJECT / "docs" / "tutorial.md"
FILE: Final = re.compile(r"`(\w+\.py)`")
PROGRAMS: Final = {
    name: Server(name=name, title=name, profile=profile, arguments=(name, "{app}", "--port={port}"))
    for name, profile in (("uvicorn", UVICORN), ("asgi_ws", ASGI_WS))
}


class Reader:
    """Follows the page, in `folder`."""

    def __init__(self, parent: Path) -> None:
        # Beside the checkout.
        self.folder = parent
        self._server: ServerProcess | None = None
        self.done: list[str] = []
        # The logs of servers that were stopped.
        self.logs = ""

    def save(self, name: str, block: Block) -> None:
        (self.folder / name).write_text(block.text, encoding="utf-8")

    def run(self, arguments: list[str], output: list[str]) -> None:
        match arguments:
            case ["mkdir", path]:
                (self.folder / path).mkdir()
            case ["cd", path]:
                self.folder = (self.folder / path).resolve()
            case ["python", "-m", "venv", ".venv"] | [".", ".venv/bin/activate"]:
                # The environment of the tests is used instead.
                pass
            case ["pip", "install", *requirements]:
                self._install(requirements)
            case ["uvicorn", app, *options]:
                self._serve("uvicorn", app, options)
            case ["python", "-m", "asgi_ws"]:
                self._serve("asgi_ws", "asgi_ws:app", [])
                assert "<!doctype html>" in self._get("/")
            case ["curl", url]:
                assert self._get(urlsplit(url).path).splitlines() == output
            case ["python", "-m", "websockets", url]:
                self._converse(url, output)
            case ["python", "-m", "pytest", *files]:
                self._test(files)
            case _:
                raise AssertionError(f"nothing says how to run {arguments}")
        self.done.append(arguments[0] if arguments[0] != "python" else arguments[2])

    def _install(self, requirements: list[str]) -> None:
        """Check that the checkout has these extras, and the tests' environment the rest."""
        project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
        for requirement in requirements:
            name, _, extras = requirement.rstrip("]").partition("[")
            if name == "../asgi-websockets":
                extras_of_project = set(project["project"]["optional-dependencies"])
                assert {extra for extra in extras.split(",") if extra} <= extras_of_project
            else:
                assert any(str(known).startswith(name) for known in project["dependency-groups"]["test"])

    def _serve(self, program: str, app: str, options: list[str]) -> None:
        self.stop()
        self._server = ServerProcess(PROGRAMS[program], app, options=options, cwd=self.folder)
        self._server.__enter__()

    def stop(self) -> None:
        """Stop the server, as the reader does with Ctrl+C."""
        if self._server is not None:
            self._server.stop()
            self.logs += self._server.log()
            self._server.__exit__(None, None, None)
            self._server = None

    def _get(self, path: str) -> str:
        assert self._server is not None
        with urlopen(self._server.url(path), timeout=HANGING) as response:
            text: str = response.read().decode()
            return text

    def _converse(self, url: str, output: list[str]) -> None:
        """Talk to the server as the interactive client shows: "<" marks received lines, ">" typed ones."""
        assert output[0] == f"Connected to {url}."
        assert self._server is not None
        with connect(self._server.url(urlsplit(url).path, "ws"), open_timeout=HANGING) as ws:
            for line in output[1:]:
                if line.startswith("> "):
                    ws.send(line[2:])
                else:
                    assert f"< {ws.recv(HANGING)!s}" == line

    def _test(self, files: list[str]) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHONPATH"))}
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", *files],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=HANGING,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        # The settings of the checkout must not apply in the reader's folder.
        assert f"rootdir: {self.folder}" in ended.stdout
        assert "configfile" not in ended.stdout
        assert re.search(r"[1-9]\d* passed", ended.stdout)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    reader.stop()


def name_of_file(block: Block) -> str:
    """Return the name of the file for a block: the last one that the page names before the block."""
    before = PAGE.read_text(encoding="utf-8").splitlines()[: block.line - 1]
    return str(FILE.findall("\n".join(before))[-1])


def test_the_tutorial_works_as_a_reader_follows_it(reader: Reader) -> None:
    blocks = list(blocks_of(PAGE))
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block.language == "python":
            reader.save(name_of_file(block), block)
        elif block.language == "sh":
            output = following.text.splitlines() if following and following.language in OUTPUT else []
            for arguments in commands(block):
                reader.run(arguments, output)
    reader.stop()
    assert sorted(path.name for path in reader.folder.glob("*.py")) == [
        "first_server.py",
        "guest_room.py",
        "test_first_server.py",
    ]
    assert {"pip", "asgi_ws", "curl", "websockets", "pytest", "uvicorn"} <= set(reader.done)
    assert "left with code 1000" in reader.logs
