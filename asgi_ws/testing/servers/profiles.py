"""What each server does with a bare ASGI application: the one table that the imitation follows.

The project's contract suite runs the same applications on the real servers and on the imitation, and compares.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from ...extensions import ABORT_EXTENSION, DENIAL_EXTENSION, MESSAGE_BYTES_EXTENSION
from ...sizes import MIB
from ..errors import Misuse


@dataclass(frozen=True, kw_only=True)
class ServerProfile:
    """Where a server uses the room that the ASGI text leaves, or falls short of it.

    The defaults are what the text says, and where it says nothing, the mildest that servers do. Codes are those of
    close frames; 1005 stands for an empty close frame, 1006 for none.

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
        max_message_bytes: of what the client may send; None is no bound.
        code_of_too_long: in the close frame for a longer message; None leaves the connection to the application.
        reads_ahead: a client's close frame is answered at once; else when the application receives.
        tells_close_code: the client's close code reaches the application; else it is `code_of_lost_connection`.
        tells_close_reason: the reason with it; else the event has no `reason`.
        tells_every_reason: every disconnect has one, empty where there was none.
        code_of_empty_close: what the application is told where the client's close frame has no code.
        code_of_lost_connection: what it is told where there was no close frame.
        code_of_own_close: what it is told after its own close; None is the code that it has sent.
        code_of_refusal: what it is told after its own close before accept.
        code_after_refusal: what it is told once more after that; None is nothing, `receive` waits.
        code_of_denial: what it is told after its denial response; None is nothing.
        code_after_denial: what it is told once more after that; None is nothing.
        after_disconnect: what a further `receive` gives at the end of a connection: it waits for ever, gives 1005 once
            if there was a close frame of either side, gives 1005 again and again, or what it gave before, after a
            refusal too.
        answers_with: the code of the close frame that answers the client's; None is the client's own.
        remembers_own_close: what comes after its own close raises as that for good; else, from the client's answer
            on, as what comes after the client has left.
        raises: in `send`, for a misuse; for one that is not there `send` returns.
        raises_else: for what breaks the ASGI text and is no `Misuse`.
        answers_bad_accept: the handshake is answered with a subprotocol that was not offered, and by what follows an
            `accept` that has raised; else not at all.
        reads_denial_late: the start of a denial response is looked at, and raises, with its first body.
        forgets_denial_for: types of events that are taken as if no denial response had begun, before its first body.
        sends_accept_headers: those of `websocket.accept` go out.
        sends_empty_messages: "" and b"" go out; else they count as None.
        sends_close_reason: the reason goes out.
        truncates_close_reason: to 123 bytes, where it does not raise for more; else the frame is broken.
        code_for_none: what goes out for `code=None`, where it does not raise.
        code_for_reserved: what goes out for 1005, 1006 and 1015, where it does not raise; None is a broken frame.
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
    remembers_own_close: bool = False
    raises: Mapping[Misuse, type[Exception]] = field(
        default_factory=lambda: MappingProxyType({"send after disconnect": OSError})
    )
    raises_else: type[Exception] = RuntimeError
    answers_bad_accept: bool = True
    reads_denial_late: bool = False
    forgets_denial_for: frozenset[str] = frozenset()
    sends_accept_headers: bool = True
    sends_empty_messages: bool = True
    sends_close_reason: bool = True
    truncates_close_reason: bool = False
    code_for_none: int = 1000
    code_for_reserved: int | None = None
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
        return "registered close code" not in self.raises


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
    raises=MappingProxyType(
        {
            "send before accept": RuntimeError,
            "accept again": RuntimeError,
            "accept after close": RuntimeError,
            "accept after refusal": RuntimeError,
            "str in headers": AttributeError,
            "headers None": TypeError,
            "bad headers": ValueError,
            "body before start": RuntimeError,
            "accept in denial": RuntimeError,
            "send in denial": RuntimeError,
            "close in denial": RuntimeError,
            "start in denial": RuntimeError,
            "denial without body": KeyError,
            "unknown type": RuntimeError,
            "no type": KeyError,
            "text not str": AttributeError,
            "text not UTF-8": UnicodeEncodeError,
            "bytes not bytes": TypeError,
            "invalid close code": Exception,
            "close code not int": TypeError,
            "long reason": Exception,
            "reason not str": AttributeError,
            "send after close": RuntimeError,
            "close after close": RuntimeError,
            "send after refusal": RuntimeError,
            "close after refusal": RuntimeError,
            "send after disconnect": OSError,
            "close after disconnect": OSError,
        }
    ),
    code_for_none=1005,
)

ASGI_WS: Final = ServerProfile(
    name="asgi_ws",
    http_spec_version="2.3",
    extensions=(DENIAL_EXTENSION, ABORT_EXTENSION, MESSAGE_BYTES_EXTENSION),
    max_message_bytes=16 * MIB,
    tells_every_reason=True,
    after_disconnect="the same",
    remembers_own_close=True,
    raises=MappingProxyType(
        {
            "send before accept": RuntimeError,
            "accept again": RuntimeError,
            "accept after close": RuntimeError,
            "accept after refusal": RuntimeError,
            "subprotocol not offered": ValueError,
            "subprotocol in headers": ValueError,
            "str in headers": ValueError,
            "bad headers": ValueError,
            "body before start": RuntimeError,
            "accept in denial": RuntimeError,
            "send in denial": RuntimeError,
            "close in denial": RuntimeError,
            "start in denial": RuntimeError,
            "unknown type": RuntimeError,
            "no type": KeyError,
            "text and bytes": TypeError,
            "neither text nor bytes": TypeError,
            "text and bytes None": TypeError,
            "text not str": TypeError,
            "text not UTF-8": TypeError,
            "bytes not bytes": TypeError,
            "invalid close code": ValueError,
            "close code not int": ValueError,
            "long reason": ValueError,
            "reason not str": ValueError,
            "send after close": RuntimeError,
            "close after close": RuntimeError,
            "send after refusal": RuntimeError,
            "close after refusal": RuntimeError,
            "send after disconnect": OSError,
        }
    ),
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
    raises=MappingProxyType(
        {
            "send before accept": Exception,
            "accept again": Exception,
            "accept after close": Exception,
            "accept after refusal": Exception,
            "subprotocol not offered": Exception,
            "subprotocol in headers": Exception,
            "str in headers": TypeError,
            "headers None": TypeError,
            "bad headers": ValueError,
            "body before start": AttributeError,
            "accept in denial": Exception,
            "send in denial": Exception,
            "close in denial": AttributeError,
            "start in denial": Exception,
            "denial without headers": KeyError,
            "unknown type": Exception,
            "no type": KeyError,
            "neither text nor bytes": KeyError,
            "text and bytes None": TypeError,
            "text not str": TypeError,
            "text not UTF-8": UnicodeEncodeError,
            "bytes not bytes": TypeError,
            "close code None": TypeError,
            "close code not int": ValueError,
            "reason not str": AttributeError,
            "send after close": Exception,
            "send after refusal": Exception,
            "close after refusal": AttributeError,
        }
    ),
    raises_else=Exception,
    answers_bad_accept=False,
    reads_denial_late=True,
    forgets_denial_for=frozenset({"websocket.accept", "websocket.close", f"{DENIAL_EXTENSION}.start"}),
    truncates_close_reason=True,
    code_for_reserved=1000,
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
    raises=MappingProxyType(
        {
            "send before accept": ValueError,
            "accept again": AttributeError,
            "accept after close": AttributeError,
            "no type": KeyError,
            "text and bytes": ValueError,
            "text not str": AttributeError,
            "text not UTF-8": UnicodeEncodeError,
            "bytes-like": AssertionError,
            "bytes not bytes": AssertionError,
            "registered close code": Exception,
            "invalid close code": Exception,
            "close code not int": Exception,
            "send after close": RuntimeError,
        }
    ),
    raises_else=ValueError,
    answers_bad_accept=False,
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
    raises=MappingProxyType(
        {
            "accept again": RuntimeError,
            "accept after close": RuntimeError,
            "str in headers": RuntimeError,
            "headers None": RuntimeError,
            "bad headers": RuntimeError,
            "body before start": RuntimeError,
            "start in denial": RuntimeError,
            "denial without headers": RuntimeError,
            "denial in parts": RuntimeError,
            "unknown type": RuntimeError,
            "no type": RuntimeError,
            "text and bytes": RuntimeError,
            "neither text nor bytes": RuntimeError,
            "text and bytes None": RuntimeError,
        }
    ),
    forgets_denial_for=frozenset({"websocket.accept"}),
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
    """The profile of a server by its name.

    Raises:
        ValueError: for a name that is none of them.
    """
    try:
        return PROFILES[server]
    except KeyError:
        raise ValueError(f"server={server!r}: expected one of {', '.join(PROFILES)}") from None
