"""nginx with the blocks of docs/how-to/deployment.md in front of uvicorn, on TCP and on a Unix socket."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from tests.docs.blocks import blocks_in
from tests.hanging import HANGING
from tests.servers.program import Program

SECONDS: Final = HANGING
NGINX: Final = shutil.which("nginx") or "/usr/sbin/nginx"
UVICORN: Final = (sys.executable, "-m", "uvicorn", "tests.uvicorn_protocol.behind_proxy:app")
# Not the address that nginx connects from.
CLIENT: Final = "127.0.0.2"
TOLD: Final = {"client": CLIENT, "scheme": "wss"}
UNTOLD: Final = {"client": None, "scheme": "ws"}

pytestmark = pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed; Debian has it as nginx-light")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def nginx_configuration(folder: Path, port: int, certificate: tuple[Path, Path], upstream: Path | int) -> str:
    """Return the blocks of the page with the ports and files of the test."""
    server, location = [block.text for block in blocks_in("nginx") if block.page == "docs/how-to/deployment.md"]
    place, shown = f"http://127.0.0.1:{upstream}", "http://127.0.0.1:8000"
    if isinstance(upstream, Path):
        server = re.sub(r"    location / \{.*?\n    \}\n", lambda _: location, server, flags=re.DOTALL)
        place, shown = f"http://unix:{upstream}", "http://unix:/run/guestbook/uvicorn.sock"
    replaced = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/example.org.pem": str(certificate[0]),
        "/etc/ssl/example.org.key": str(certificate[1]),
        shown: place,
    }
    for text, used in replaced.items():
        assert text in server
        server = server.replace(text, used)
    paths = "".join(f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    # By default its workers run as another user, without access to the test's folder.
    user = "user root; " if os.geteuid() == 0 else ""
    return f"{user}daemon off; pid {folder}/pid; events {{}} http {{ access_log off; {paths}\n{server}}}\n"


@contextmanager
def uvicorn_on(socket_file: Path, options: Sequence[str]) -> Iterator[Path]:
    process = subprocess.Popen([*UVICORN, f"--uds={socket_file}", *options])
    try:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(socket_file))
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield socket_file
    finally:
        process.terminate()
        process.wait(SECONDS)


@contextmanager
def nginx_before(folder: Path, certificate: tuple[Path, Path], upstream: Path | int) -> Iterator[Program]:
    port, file = free_port(), folder / "nginx.conf"
    file.write_text(nginx_configuration(folder, port, certificate, upstream), encoding="utf-8")
    with Program("nginx", [NGINX, "-c", str(file), "-e", "stderr"], port=port) as nginx:
        yield nginx


async def told(nginx: Program, tls: ssl.SSLContext, origin: str, headers: Mapping[str, str]) -> Any:
    """Return the application's facts about a client, or the status of a refusal."""
    url = nginx.url("/where", "wss")
    try:
        async with connect(
            url,
            ssl=tls,
            origin=Origin(origin),
            additional_headers=headers,
            local_addr=(CLIENT, 0),
            open_timeout=SECONDS,
        ) as ws:
            return json.loads(await ws.recv())
    except InvalidStatus as error:
        return error.response.status_code


async def check(nginx: Program, tls: ssl.SSLContext) -> None:
    """Check that the application gets the client's address and scheme from nginx, and not from the client's headers."""
    host = f"127.0.0.1:{nginx.port}"
    lies = {"X-Forwarded-For": "192.0.2.66", "X-Forwarded-Proto": "http", "Forwarded": "for=192.0.2.66;proto=http"}
    for headers in ({}, lies):
        assert await told(nginx, tls, f"https://{host}", headers) == TOLD
        assert await told(nginx, tls, f"http://{host}", headers) == 403


async def test_on_tcp_the_applications_client_is_nginxs_client(
    tmp_path: Path, certificate: tuple[Path, Path], tls: ssl.SSLContext
) -> None:
    with (
        Program("uvicorn", [*UVICORN, "--port={port}"]) as uvicorn,
        nginx_before(tmp_path, certificate, uvicorn.port) as nginx,
    ):
        await check(nginx, tls)


async def test_on_a_unix_socket_the_applications_client_is_nginxs_client(
    tmp_path: Path, certificate: tuple[Path, Path], tls: ssl.SSLContext
) -> None:
    with (
        uvicorn_on(tmp_path / "s", ["--forwarded-allow-ips", "*"]) as upstream,
        nginx_before(tmp_path, certificate, upstream) as nginx,
    ):
        await check(nginx, tls)


async def test_on_a_unix_socket_without_the_option_there_is_no_client_and_no_tls(
    tmp_path: Path, certificate: tuple[Path, Path], tls: ssl.SSLContext
) -> None:
    with uvicorn_on(tmp_path / "s", []) as upstream, nginx_before(tmp_path, certificate, upstream) as nginx:
        for scheme in ("http", "https"):
            assert await told(nginx, tls, f"{scheme}://127.0.0.1:{nginx.port}", {}) == UNTOLD
