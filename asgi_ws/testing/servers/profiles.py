"""The behaviour of each server towards an application that keeps to the ASGI text: the table of the imitation.

The project's contract suite runs the same applications on the real servers and on the imitation, and compares.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from ...extensions import ABORT_EXTENSION, DENIAL_EXTENSION, MESSAGE_BYTES_EXTENSION
from ...sizes import MIB

# Events that the ASGI text allows, and some server does not.
Refusal: TypeAlias = Literal[
    "denial in parts",
    "denial without body",
    "denial without headers",
    "registered close code",
]


@dataclass(frozen=True, kw_only=True)
class ServerProfile:
    """The behaviour of one server where the ASGI text leaves a choice, or where the server breaks the text.

    The defaults follow the text, and where it is silent, the mildest server. Codes are those of close frames: 1005 is
    an empty close frame, and 1006 a missing one.

    Attributes:
        name: as it is given to `server=`.
        spec_version: in the `asgi` of a WebSocket's scope; None is none.
        http_spec_version: the same for HTTP.
        http_disconnect: how `receive` gives http.disconnect once the response is complete: at once and again and again,
            at once and one time only, or again and again but never before it has suspended. `is_disconnected()` of
            Starlette's Request asks without suspending.
        takes_bytes_like: the body of an HTTP response may be a bytearray or a memoryview.
        describes_connection: the scope has `extensions`, `http_version`, `scheme` and `state`, all of them optional.
        extensions: the names of those in the scope.
        port_type: of the two ports in the scope.
        joins_root_path: the scope's `path` begins with its `root_path`.
        keeps_root_slash: the scope's `root_path` ends with a slash where the one that was configured does.
        receives_both_keys: a message has `text` and `bytes`, one of them None; else it has one of them.
        cancelled_receive_keeps_message: a `receive` that is cancelled in the moment of a message leaves it to the next
            one; else the message is lost.
        max_message_bytes: the largest message of the client; None for any size.
        code_of_too_long: in the close frame for a longer message; None leaves the connection to the application.
        reads_ahead: a client's close frame is answered at once; else when the application receives.
        tells_close_code: the client's close code reaches the application; else it is `code_of_lost_connection`.
        tells_close_reason: the reason with it; else the event has no `reason`.
        tells_every_reason: every disconnect has one, empty where there was none.
        code_of_empty_close: the code that the application gets for a close frame without a code.
        code_of_lost_connection: the code that it gets without a close frame.
        code_of_own_close: the code that it gets after its own close; None for the code that it has sent.
        code_of_refusal: the code that it gets after its own close before accept.
        code_after_refusal: the code that it gets once more after that; None if `receive` waits.
        code_of_denial: the code that it gets after its denial response; None for none.
        code_after_denial: the code that it gets once more after that; None for none.
        after_disconnect: what a further `receive` gives at the end of a connection: it waits for ever, gives 1005 once
            if there was a close frame of either side, gives 1005 again and again, or what it gave before, after a
            refusal too.
        answers_with: the code of the close frame that answers the client's; None is the client's own.
        refuses: events that the ASGI text allows and this server does not: its `send` raises.
        send_raises_when_gone: `send` raises OSError once the peer has left; else it returns.
        close_raises_when_gone: so does `send` of a close.
        sends_accept_headers: those of `websocket.accept` go out.
        sends_empty_messages: "" and b"" go out; else they count as None.
        sends_close_reason: the reason goes out.
        status_of_return: of the response to the handshake when the application returns before accept; None is none.
        status_of_raise: the same when it raises.
        status_of_half_denial: the same when it ends in any way within a denial response.
        code_of_return: in the close frame when the application returns after accept; None leaves the connection open.
        code_of_raise: the same when it raises.
        send_blocks: `send` waits for a client that does not read.
        has_lifespan: start and stop are events; else start is at the first connection.
    """

    name: str
    spec_version: str | None = "2.5"
    http_spec_version: str | None = "2.5"
    http_disconnect: Literal["again", "once", "later"] = "again"
    takes_bytes_like: bool = True
    describes_connection: bool = True
    extensions: tuple[str, ...] = (DENIAL_EXTENSION,)
    port_type: type[int | str] = int
    joins_root_path: bool = True
    keeps_root_slash: bool = True
    receives_both_keys: bool = False
    cancelled_receive_keeps_message: bool = True
    max_message_bytes: int | None = None
    code_of_too_long: int | None = 1009
    reads_ahead: bool = True
    tells_close_code: bool = True
    tells_close_reason: bool = True
    tells_every_reason: bool = False
    code_of_empty_close: int | None = 1005
    code_of_lost_connection: int = 1006
    code_of_own_close: int | None = None
    code_of_refusal: int = 1006
    code_after_refusal: int | None = None
    code_of_denial: int | None = 1006
    code_after_denial: int | None = None
    after_disconnect: Literal["nothing", "once", "always", "the same"] = "nothing"
    answers_with: int | None = None
    refuses: frozenset[Refusal] = frozenset()
    send_raises_when_gone: bool = True
    close_raises_when_gone: bool = False
    sends_accept_headers: bool = True
    sends_empty_messages: bool = True
    sends_close_reason: bool = True
    status_of_return: int | None = 500
    status_of_raise: int = 500
    status_of_half_denial: int | None = None
    code_of_return: int | None = 1006
    code_of_raise: int = 1006
    send_blocks: bool = True
    has_lifespan: bool = True

    @property
    def denial_response(self) -> bool:
        """Whether a refusal may have a status, headers and a body; else it is 403."""
        return DENIAL_EXTENSION in self.extensions

    @property
    def sends_registered_codes(self) -> bool:
        """Whether `websocket.close` may have the codes 1001-1014."""
        return "registered close code" not in self.refuses


SPEC: Final = ServerProfile(name="spec")

UVICORN: Final = ServerProfile(
    name="uvicorn",
    spec_version="2.4",
    http_spec_version="2.3",
    max_message_bytes=16 * MIB,
    code_of_lost_connection=1005,
    code_after_refusal=1005,
    code_after_denial=1006,
    after_disconnect="once",
    refuses=frozenset({"denial without body"}),
    close_raises_when_gone=True,
)

ASGI_WS: Final = ServerProfile(
    name="asgi_ws",
    http_spec_version="2.3",
    extensions=(DENIAL_EXTENSION, ABORT_EXTENSION, MESSAGE_BYTES_EXTENSION),
    max_message_bytes=16 * MIB,
    tells_every_reason=True,
    after_disconnect="the same",
    status_of_half_denial=500,
    code_of_return=1000,
    code_of_raise=1011,
)

HYPERCORN: Final = ServerProfile(
    name="hypercorn",
    spec_version="2.3",
    http_spec_version="2.1",
    http_disconnect="once",
    joins_root_path=False,
    keeps_root_slash=False,
    receives_both_keys=True,
    max_message_bytes=16 * MIB,
    tells_close_code=False,
    tells_close_reason=False,
    code_of_own_close=1000,
    code_of_refusal=1000,
    code_of_denial=1000,
    refuses=frozenset({"denial without headers"}),
    send_raises_when_gone=False,
    status_of_half_denial=500,
    code_of_return=1011,
    code_of_raise=1011,
)

DAPHNE: Final = ServerProfile(
    name="daphne",
    spec_version=None,
    http_spec_version=None,
    http_disconnect="once",
    takes_bytes_like=False,
    describes_connection=False,
    extensions=(),
    joins_root_path=False,
    max_message_bytes=MIB,
    code_of_too_long=1006,
    tells_close_reason=False,
    code_of_empty_close=None,
    answers_with=1000,
    refuses=frozenset({"registered close code"}),
    send_raises_when_gone=False,
    sends_accept_headers=False,
    sends_empty_messages=False,
    sends_close_reason=False,
    status_of_return=None,
    code_of_return=None,
    code_of_raise=1011,
    send_blocks=False,
    has_lifespan=False,
)

GRANIAN: Final = ServerProfile(
    name="granian",
    spec_version="2.3",
    http_spec_version="2.3",
    http_disconnect="later",
    extensions=(DENIAL_EXTENSION, "http.response.pathsend"),
    port_type=str,
    joins_root_path=False,
    cancelled_receive_keeps_message=False,
    max_message_bytes=16 * MIB,
    code_of_too_long=None,
    reads_ahead=False,
    tells_close_reason=False,
    code_of_lost_connection=1005,
    code_of_own_close=1005,
    code_of_refusal=1005,
    code_of_denial=None,
    after_disconnect="always",
    refuses=frozenset({"denial without headers", "denial in parts"}),
    send_raises_when_gone=False,
    sends_accept_headers=False,
    status_of_return=403,
    status_of_raise=403,
    status_of_half_denial=403,
    code_of_return=1005,
    code_of_raise=1005,
)

PROFILES: Final[Mapping[str, ServerProfile]] = MappingProxyType(
    {profile.name: profile for profile in (SPEC, UVICORN, ASGI_WS, HYPERCORN, DAPHNE, GRANIAN)}
)


def profile_of(server: str) -> ServerProfile:
    """Return the profile of a server.

    Raises:
        ValueError: unknown server.
    """
    try:
        return PROFILES[server]
    except KeyError:
        raise ValueError(f"server={server!r}: expected one of {', '.join(PROFILES)}") from None
