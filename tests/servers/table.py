"""The servers, and what each of them cannot deliver: the only place that knows one server from another."""

import sys
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Server:
    """How a server is started, and where it falls short of the ASGI text. The defaults are what the text says.

    Attributes:
        name: of the test's parameter.
        title: as the documentation names it.
        arguments: of `python -m`; `{app}` and `{port}` are filled in.
        root_path_option: the option that takes a root path.
        tells_close_code: the client's close code reaches the application; else it is 1006.
        tells_close_reason: the reason with it.
        code_of_lost_connection: what it reports where there was no close frame.
        sends_accept_headers: those of `websocket.accept` go out.
        denial_response: has the extension; else every refusal is 403.
        sends_registered_codes: closes with 1001-1014; else with 4901-4914.
        sends_close_reason: the reason goes out.
        sends_empty_messages: "" and b"" go out.
        send_blocks: `send` waits for a client that does not read.
        code_at_shutdown: the code in the close frame that an open connection gets at SIGTERM; 1006 for no frame.
        told_at_shutdown: the code that the handler is told then; None is nothing. More than one where that is chance.
        ends_connections: at SIGTERM; else it waits for its clients to leave, and the codes are those of their leaving.
        seconds_to_settle: how long after a handshake a stop may be asked for, and how late an error may be logged.
            daphne's stop looks for a task in every request, and fails on one that became a WebSocket; it reaps those,
            and logs how they ended, once a second.
        has_lifespan: start and stop are events; else start is at the first connection.
    """

    name: str
    title: str
    arguments: tuple[str, ...]
    root_path_option: str = "--root-path"
    tells_close_code: bool = True
    tells_close_reason: bool = True
    code_of_lost_connection: int = 1006
    sends_accept_headers: bool = True
    denial_response: bool = True
    sends_registered_codes: bool = True
    sends_close_reason: bool = True
    sends_empty_messages: bool = True
    send_blocks: bool = True
    code_at_shutdown: int = 1012
    told_at_shutdown: tuple[int | None, ...] = (1012,)
    ends_connections: bool = True
    seconds_to_settle: float = 0.0
    has_lifespan: bool = True

    def sees_close(self, code: int, reason: str) -> tuple[int, str]:
        """What the application is told of a client's close frame."""
        return code if self.tells_close_code else 1006, reason if self.tells_close_reason else ""

    def denies(self, status: int) -> int:
        """The status that a client sees of a refusal."""
        return status if self.denial_response else 403

    def on_wire(self, code: int) -> int:
        """The close code that a client sees of one that the application sent."""
        return code if self.sends_registered_codes or not 1001 <= code <= 1014 else code + 3900


SERVERS: Final = (
    Server(
        name="uvicorn-sansio",
        title="uvicorn, websockets-sansio",
        arguments=("uvicorn", "{app}", "--port={port}", "--no-access-log", "--ws=websockets-sansio"),
        code_of_lost_connection=1005,
    ),
    Server(
        name="uvicorn-wsproto",
        title="uvicorn, wsproto",
        arguments=("uvicorn", "{app}", "--port={port}", "--no-access-log", "--ws=wsproto"),
        code_of_lost_connection=1005,
    ),
    Server(
        name="hypercorn",
        title="hypercorn",
        arguments=("hypercorn", "{app}", "--bind=127.0.0.1:{port}", "--graceful-timeout=1"),
        tells_close_code=False,
        tells_close_reason=False,
        # From Python 3.12 on asyncio's Server.wait_closed() waits, and hypercorn calls it before it cancels anything.
        ends_connections=sys.version_info < (3, 12),
        code_at_shutdown=1012 if sys.version_info < (3, 12) else 1006,
        told_at_shutdown=(1012,) if sys.version_info < (3, 12) else (1006,),
    ),
    Server(
        name="daphne",
        title="daphne",
        arguments=("daphne", "--bind=127.0.0.1", "--port={port}", "{app}"),
        tells_close_reason=False,
        sends_accept_headers=False,
        denial_response=False,
        sends_registered_codes=False,
        sends_close_reason=False,
        sends_empty_messages=False,
        send_blocks=False,
        code_at_shutdown=4912,
        seconds_to_settle=1.2,
        has_lifespan=False,
    ),
    Server(
        name="granian",
        title="granian",
        arguments=("granian", "--interface=asgi", "--port={port}", "{app}"),
        root_path_option="--url-path-prefix",
        tells_close_reason=False,
        code_of_lost_connection=1005,
        sends_accept_headers=False,
        code_at_shutdown=1006,
        told_at_shutdown=(1005, None),
    ),
)
