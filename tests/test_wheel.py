"""The package as its users get it: a wheel, installed into a fresh environment, served from another folder."""

import asyncio
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import httpx2
from websockets.asyncio.client import connect

from asgi_ws.testing.servers import profiles
from tests.servers.launch import ServerProcess
from tests.servers.program import PROJECT
from tests.servers.table import Server

from .hanging import HANGING

UVICORN: Final = Server(
    name="uvicorn",
    title="uvicorn asgi_ws:app",
    profile=profiles.UVICORN,
    arguments=("uvicorn", "{app}", "--port={port}"),
)
# The files of a page are beside the module that serves it.
PAGE_FILES: Final = [path.name for path in (PROJECT / "asgi_ws" / "demo").iterdir() if path.suffix not in ("", ".py")]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command without the checkout on its path; its output."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.strip()


# Packages come over the network the first time.
async def test_the_wheel_alone_serves_the_whole_application(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", f"--outdir={tmp_path}", PROJECT, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"asgi_ws/demo/{name}" for name in PAGE_FILES} | {"asgi_ws/py.typed"} <= names
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    # A `tests` package in site-packages would hide the user's own.
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"asgi_ws", "asgi_websockets"}
    assert [name for name in names if "__pycache__" in name] == []

    run(sys.executable, "-m", "venv", "--without-pip", "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", f"--python={python}", "--disable-pip-version-check")
    run(*pip, "install", "--quiet", wheel, cwd=tmp_path)
    run(*pip, "check", cwd=tmp_path)

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    imported = run(python, "-c", "import asgi_ws; print(asgi_ws.__file__)", cwd=elsewhere)
    assert Path(imported).is_relative_to(tmp_path / "venv")

    with ServerProcess(UVICORN, "asgi_ws:app", python=str(python), cwd=elsewhere) as server:
        async with httpx2.AsyncClient() as client:
            texts = {"/page.js": "WebSocket", "/chat.js": "ChatClient", "/hello": "Hello, World!"}
            for path, text in {"/": "<!doctype html>", "/chat/lobby": "<!doctype html>", **texts}.items():
                response = await client.get(server.url(path))
                assert response.status_code == 200
                assert text in response.text
        async with asyncio.timeout(HANGING), connect(server.url("/ws", "ws")) as ws:
            await ws.send("anything")
            assert await ws.recv() == "OK!"
