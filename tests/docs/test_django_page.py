"""The page about Django, followed in a project that Django's own command makes."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from asgi_ws.testing.servers.profiles import ASGI_WS
from tests.hanging import HANGING
from tests.servers.launch import ServerProcess
from tests.servers.program import PROJECT
from tests.servers.table import Server

from .blocks import blocks_of

PAGE: Final = PROJECT / "docs" / "how-to" / "django.md"
SERVER: Final = Server(
    name="asgi_ws", title="asgi_ws", profile=ASGI_WS, arguments=("asgi_ws", "{app}", "--port={port}")
)
LOG_IN: Final = """
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore

ada = User.objects.create_user("ada")
session = SessionStore()
session.update({SESSION_KEY: str(ada.pk), "_auth_user_backend": "django.contrib.auth.backends.ModelBackend"})
session[HASH_SESSION_KEY] = ada.get_session_auth_hash()
session.create()
print("key", session.session_key)
"""


def run(folder: Path, *arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=HANGING, check=True).stdout


def test_a_project_serves_static_files_and_knows_the_user_of_a_session(tmp_path: Path) -> None:
    run(tmp_path, "-m", "django", "startproject", "mysite", ".")
    asgi, users = [block.text for block in blocks_of(PAGE) if block.language == "python"]
    routed = asgi.replace("    [\n", '    [\n        WebSocketRoute("/ws/greet", greet),\n')
    before, definition, after = routed.partition("application = ")
    (tmp_path / "mysite" / "asgi.py").write_text(f"{before}{users}\n\n{definition}{after}", encoding="utf-8")
    run(tmp_path, "manage.py", "migrate", "-v0")
    key = re.findall(r"^key (\w+)$", run(tmp_path, "manage.py", "shell", "-c", LOG_IN), re.MULTILINE)[0]
    with ServerProcess(SERVER, "mysite.asgi:application", cwd=tmp_path) as server:
        with urlopen(server.url("/static/admin/css/base.css"), timeout=HANGING) as response:
            assert response.headers.get_content_type() == "text/css"
        with connect(server.url("/ws/echo", "ws"), open_timeout=HANGING) as ws:
            ws.send("hi")
            assert ws.recv(HANGING) == "hi"
        headers = {"cookie": f"sessionid={key}"}
        with connect(server.url("/ws/greet", "ws"), additional_headers=headers, open_timeout=HANGING) as ws:
            assert ws.recv(HANGING) == "Hello, ada!"
        for path, status in (("/ws/greet", 401), ("/nothing", 404)):
            with pytest.raises(InvalidStatus) as refused:
                connect(server.url(path, "ws"), open_timeout=HANGING)
            assert refused.value.response.status_code == status
