"""The servers, and what each of them cannot deliver: the only place that knows one server from another."""

import sys
from dataclasses import dataclass
from typing import Final

from asgi_ws.testing.servers.profiles import ASGI_WS, DAPHNE, GRANIAN, HYPERCORN, UVICORN, ServerProfile


@dataclass(frozen=True, kw_only=True)
class Server:
    """How a server is started and stopped, and its profile.

    Attributes:
        name: of the test's parameter.
        title: as the documentation names it.
        profile: what it does with a connection, by the testing kit's table.
        imitated: the testing kit imitates it in all of them; else the profile is the one that the other tests ask for.
        arguments: of `python -m`; `{app}` and `{port}` are filled in.
        root_path_option: the option that takes a root path.
        code_at_shutdown: the code in the close frame that an open connection gets at SIGTERM; 1006 for no frame.
        told_at_shutdown: the code that the handler is told then; None is nothing. More than one where that is chance.
        ends_connections: at SIGTERM; else it waits for its clients to leave, and the codes are those of their leaving.
        seconds_to_settle: how long after a handshake a stop may be asked for, and how late an error may be logged.
            daphne's stop looks for a task in every request, and fails on one that became a WebSocket; it reaps those,
            and logs how they ended, once a second.
    """

    name: str
    title: str
    profile: ServerProfile
    imitated: bool = True
    arguments: tuple[str, ...]
    root_path_option: str = "--root-path"
    code_at_shutdown: int = 1012
    told_at_shutdown: tuple[int | None, ...] = (1012,)
    ends_connections: bool = True
    seconds_to_settle: float = 0.0

    @property
    def has_lifespan(self) -> bool:
        """Whether start and stop are events."""
        return self.profile.has_lifespan

    def sees_close(self, code: int, reason: str) -> tuple[int, str]:
        """Return the code and reason that the application receives of a client's close frame."""
        profile = self.profile
        told = code if profile.tells_close_code else profile.code_of_lost_connection
        return told, reason if profile.tells_close_reason else ""

    def denies(self, status: int) -> int:
        """Return the status that a client receives for a refusal."""
        return status if self.profile.denial_response else 403

    def on_wire(self, code: int) -> int:
        """Return the close code that a client receives for a code that the application sent."""
        return code if self.profile.sends_registered_codes or not 1001 <= code <= 1014 else code + 3900


SERVERS: Final = (
    Server(
        name="uvicorn-sansio",
        title="uvicorn, websockets-sansio",
        profile=UVICORN,
        arguments=("uvicorn", "{app}", "--port={port}", "--no-access-log", "--ws=websockets-sansio"),
    ),
    Server(
        name="uvicorn-wsproto",
        title="uvicorn, wsproto",
        profile=UVICORN,
        # It differs in how it takes an application's mistakes.
        imitated=False,
        arguments=("uvicorn", "{app}", "--port={port}", "--no-access-log", "--ws=wsproto"),
    ),
    Server(
        name="uvicorn-asgi_ws",
        title="uvicorn, asgi_ws",
        profile=ASGI_WS,
        arguments=(
            "uvicorn",
            "{app}",
            "--port={port}",
            "--no-access-log",
            "--ws=asgi_ws.uvicorn_protocol:WebSocketProtocol",
        ),
    ),
    Server(
        name="hypercorn",
        title="hypercorn",
        profile=HYPERCORN,
        arguments=("hypercorn", "{app}", "--bind=127.0.0.1:{port}", "--graceful-timeout=1"),
        # From Python 3.12 on asyncio's Server.wait_closed() waits, and hypercorn calls it before it cancels anything.
        ends_connections=sys.version_info < (3, 12),
        code_at_shutdown=1012 if sys.version_info < (3, 12) else 1006,
        told_at_shutdown=(1012,) if sys.version_info < (3, 12) else (1006,),
    ),
    Server(
        name="daphne",
        title="daphne",
        profile=DAPHNE,
        arguments=("daphne", "--bind=127.0.0.1", "--port={port}", "{app}"),
        code_at_shutdown=4912,
        seconds_to_settle=1.2,
    ),
    Server(
        name="granian",
        title="granian",
        profile=GRANIAN,
        arguments=("granian", "--interface=asgi", "--port={port}", "{app}"),
        root_path_option="--url-path-prefix",
        code_at_shutdown=1006,
        told_at_shutdown=(1005, None),
    ),
)
