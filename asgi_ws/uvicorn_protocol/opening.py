"""A handshake between its request and its answer: what was read, what was agreed on, and the line in the log."""

import logging

from uvicorn.config import Config

from .._asgi import Event, RawHeaders, Scope
from ..errors import InvalidMessage
from ..extensions import MESSAGE_BYTES_EXTENSION
from ..wire.handshake import Handshake, HandshakeRefused, accept_response
from ..wire.negotiation import Parameters, negotiate
from .connection import logger
from .scope import described


class Opening:
    """One handshake that the application has to answer.

    Attributes:
        deflate: the parameters of permessage-deflate that an accept agrees on; None where there are none.
    """

    __slots__ = ("_extension", "_handshake", "_root_path", "_scope", "deflate")

    def __init__(self, handshake: Handshake, config: Config, *, server_context_takeover: bool) -> None:
        self.deflate: Parameters | None = None
        # The value of Sec-WebSocket-Extensions in an accept.
        self._extension: str | None = None
        self._handshake = handshake
        self._root_path = config.root_path
        # For the line in the log; None before the application is called, and once it is written.
        self._scope: Scope | None = None
        if config.ws_per_message_deflate and handshake.extensions:
            try:
                agreed = negotiate(handshake.extensions, server_context_takeover=server_context_takeover)
            except ValueError:
                raise HandshakeRefused(400, "malformed Sec-WebSocket-Extensions") from None
            if agreed is not None:
                self.deflate, self._extension = agreed

    def begin(self, scope: Scope) -> None:
        """Let the answer be logged, with the client that the scope has by then."""
        self._scope = scope

    def accept(self, event: Event, default_headers: RawHeaders) -> bytes:
        """Return the response that accepts.

        Raises:
            InvalidSubprotocol: when the client did not offer it.
            InvalidHeader: for one that is malformed, or that belongs to the handshake itself.
        """
        return accept_response(
            self._handshake,
            subprotocol=event.get("subprotocol") or None,
            extension=self._extension,
            headers=[*default_headers, *(event.get("headers") or ())],
        )

    def log(self, answer: str, level: int = logging.INFO) -> None:
        """Write the line for the answer, the first one, as uvicorn's own classes write it."""
        scope, self._scope = self._scope, None
        if scope is not None and logger.isEnabledFor(level):
            logger.log(level, "%s %s", described(scope, self._handshake, self._root_path), answer)


def limit_of(accept: Event) -> int | None:
    """Return the limit on messages, in bytes, that an accept asks for; None where it does not.

    Raises:
        InvalidMessage: for one that is not a positive whole number.
    """
    largest: int | None = accept.get(MESSAGE_BYTES_EXTENSION)
    if largest is not None and (type(largest) is not int or largest < 1):
        raise InvalidMessage(MESSAGE_BYTES_EXTENSION, "a positive whole number of bytes", largest)
    return largest
