"""Servers that differ from the ASGI text: which one made a scope, and how each says that the client has left."""

from typing import Final

from .._asgi import Scope

# daphne's scopes have all of these and none of those; what a framework adds does not matter. The scopes of in-process
# transports that leave out what ASGI lets them differ in one of the two.
_OF_DAPHNE: Final = frozenset(
    {
        "asgi",
        "client",
        "headers",
        "path",
        "query_string",
        "root_path",
        "server",
        "subprotocols",
        "type",
    }
)
_NOT_OF_DAPHNE: Final = frozenset({"extensions", "http_version", "scheme"})


def is_of_daphne(scope: Scope) -> bool:
    """Return True if daphne made this scope."""
    keys = scope.keys()
    is_like = keys >= _OF_DAPHNE and _NOT_OF_DAPHNE.isdisjoint(keys)
    # daphne alone of the servers does not name the version of the specification.
    return is_like and dict(scope["asgi"]) == {"version": "3.0"}


# How the RuntimeErrors begin by which granian says that the peer is gone. Its flow has no other error where each event
# is sent in a state that allows it; an event that it does not know has another text.
_OF_GRANIAN: Final = ("ASGI flow error: ", "ASGI transport error: ")


def means_gone(error: Exception, scope: Scope) -> bool:
    """Return True for an exception of the server's `send` that means that the peer is gone.

    | server | what its `send` raises then |
    |---|---|
    | uvicorn, also with the class of this package; h2corn | an OSError (ASGI, "WebSocket", send: from version 2.4 on) |
    | daphne | a RuntimeError, from the peer's close frame on, which may be before the event of it came |
    | granian | a RuntimeError with one of its texts: for the body of a denial, and before 2.8.7 for any message |
    | hypercorn | nothing |

    Any other RuntimeError is somebody's mistake.
    """
    if isinstance(error, OSError):
        return True
    return isinstance(error, RuntimeError) and (is_of_daphne(scope) or str(error).startswith(_OF_GRANIAN))
