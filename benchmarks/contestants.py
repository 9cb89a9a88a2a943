"""The contestants: the same application on several frameworks and servers, and the command that starts each."""

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Final

from .machine import NODE_PEER


class UnknownContestantError(Exception):
    """A name that no contestant has."""


def _has_modules(*names: str) -> str | None:
    """Return the command that installs the missing ones of these modules, or None."""
    missing = [name for name in names if find_spec(name) is None]
    return f"pip install {' '.join(missing)}" if missing else None


def _has_node() -> str | None:
    if shutil.which("node") is None:
        return "install Node.js"
    if not (NODE_PEER / "node_modules" / "ws").is_dir():
        return "npm install --prefix benchmarks/peers/node"
    return None


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A server with its application.

    Attributes:
        name: in tables, and on the command line.
        command: starts it from the root of the project; `{port}` and `{ping}` (seconds between keep-alive pings) are
            filled in.
        install: gives the command that installs what this machine lacks for it, or None.
        room: the path at which what one sends goes to all.
        stall: the path of the same room whose handler first fills the connection.
        deflates: whether it can negotiate permessage-deflate.
        only_rooms: whether it differs from another contestant in its room alone.
        only_echoes: whether it is there for the cost of a message on its server, and measured with echoes alone.
    """

    name: str
    command: tuple[str, ...]
    install: Callable[[], str | None]
    room: str = "/fanout"
    stall: str = "/stall"
    deflates: bool = True
    only_rooms: bool = False
    only_echoes: bool = False

    def started_with(self, *, ping: float) -> Sequence[str]:
        """Return the command without the port."""
        return [part.replace("{ping}", f"{ping:g}") for part in self.command]


def _on_uvicorn(app: str, ws: str = "auto") -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "uvicorn", f"benchmarks.apps.{app}:app"),
        *("--port={port}", f"--ws={ws}", "--no-access-log", "--log-level=warning"),
        *("--ws-ping-interval={ping}", "--backlog=4096"),
    )


def _on_granian(app: str) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "granian", "--interface=asgi", "--port={port}", "--log-level=warning"),
        *("--backlog=4096", f"benchmarks.apps.{app}:app"),
    )


def _on_h2corn(app: str) -> tuple[str, ...]:
    return (
        *(
            sys.executable,
            "-m",
            "h2corn",
            "--bind=127.0.0.1:{port}",
            "--no-access-log",
            "--websocket-ping-interval={ping}",
        ),
        f"benchmarks.apps.{app}:app",
    )


def _peer(script: str, *options: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"benchmarks.peers.{script}", "--port={port}", "--ping-interval={ping}", *options)


# The class of this package, in front of anybody's application.
FAST: Final = "asgi_ws.uvicorn_protocol:WebSocketProtocol"
_UVICORN: Final = partial(_has_modules, "uvicorn", "uvloop", "httptools", "websockets")
_STARLETTE: Final = partial(_has_modules, "starlette", "uvicorn", "uvloop", "httptools", "websockets")
_FASTAPI: Final = partial(_has_modules, "fastapi", "uvicorn", "uvloop", "httptools", "websockets")

CONTESTANTS: Final = (
    Contestant(name="asgi_ws", command=_on_uvicorn("asgi_ws_app"), install=_UVICORN),
    Contestant(name="starlette", command=_on_uvicorn("starlette_app"), install=_STARLETTE),
    Contestant(
        name="starlette-gather",
        command=_on_uvicorn("starlette_app"),
        install=_STARLETTE,
        room="/fanout-gather",
        stall="/stall-gather",
        only_rooms=True,
    ),
    Contestant(name="fastapi", command=_on_uvicorn("fastapi_app"), install=_FASTAPI),
    Contestant(name="asgi_ws-fast", command=_on_uvicorn("asgi_ws_app", FAST), install=_UVICORN),
    Contestant(name="starlette-fast", command=_on_uvicorn("starlette_app", FAST), install=_STARLETTE),
    Contestant(name="fastapi-fast", command=_on_uvicorn("fastapi_app", FAST), install=_FASTAPI),
    Contestant(name="bare", command=_on_uvicorn("bare_app"), install=_UVICORN),
    Contestant(
        name="asgi_ws-wsproto",
        command=_on_uvicorn("asgi_ws_app", "wsproto"),
        install=partial(_has_modules, "uvicorn", "uvloop", "httptools", "wsproto"),
    ),
    Contestant(
        name="starlette-wsproto",
        command=_on_uvicorn("starlette_app", "wsproto"),
        install=partial(_has_modules, "starlette", "uvicorn", "uvloop", "httptools", "wsproto"),
    ),
    Contestant(
        name="asgi_ws-granian",
        command=_on_granian("asgi_ws_app"),
        install=partial(_has_modules, "granian", "uvloop"),
        deflates=False,
        only_echoes=True,
    ),
    Contestant(
        name="starlette-granian",
        command=_on_granian("starlette_app"),
        install=partial(_has_modules, "starlette", "granian", "uvloop"),
        deflates=False,
        only_echoes=True,
    ),
    Contestant(
        name="asgi_ws-h2corn",
        command=_on_h2corn("asgi_ws_app"),
        install=partial(_has_modules, "h2corn", "uvloop"),
        deflates=False,
        only_echoes=True,
    ),
    Contestant(
        name="starlette-h2corn",
        command=_on_h2corn("starlette_app"),
        install=partial(_has_modules, "starlette", "h2corn", "uvloop"),
        deflates=False,
        only_echoes=True,
    ),
    Contestant(
        name="websockets",
        command=_peer("websockets_server", "--deflate"),
        install=partial(_has_modules, "websockets", "uvloop"),
    ),
    Contestant(
        name="aiohttp", command=_peer("aiohttp_server", "--deflate"), install=partial(_has_modules, "aiohttp", "uvloop")
    ),
    Contestant(
        name="picows",
        command=_peer("picows_server"),
        install=partial(_has_modules, "picows", "uvloop"),
        deflates=False,
    ),
    Contestant(
        name="node-ws",
        command=(*("node", str(NODE_PEER / "ws_server.mjs"), "--port={port}", "--ping-interval={ping}", "--deflate"),),
        install=_has_node,
    ),
    Contestant(
        name="socketify",
        command=_peer("socketify_server", "--deflate"),
        install=partial(_has_modules, "socketify"),
    ),
)
BY_NAME: Final = {contestant.name: contestant for contestant in CONTESTANTS}


def named(names: Sequence[str]) -> list[Contestant]:
    """Return the contestants of these names, in the order of the table.

    Raises:
        UnknownContestantError: for a name that none has.
    """
    if unknown := [name for name in names if name not in BY_NAME]:
        raise UnknownContestantError(f"no contestant is called {', '.join(unknown)}; there are {', '.join(BY_NAME)}")
    return [contestant for contestant in CONTESTANTS if contestant.name in names]
