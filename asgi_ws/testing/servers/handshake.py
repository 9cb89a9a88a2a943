"""The handshake as the peer sees it: its answer, and what a client makes of that."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..._asgi import Event, RawHeaders, Scope
from ...close_codes import CloseCode
from ...extensions import DENIAL_EXTENSION
from ...headers import Headers
from ..conformance import websocket as conformance
from ..errors import HandshakeFailed


@dataclass(frozen=True)
class Accepted:
    """The handshake was accepted, with a `subprotocol` or None, and these `headers`."""

    subprotocol: str | None
    headers: Headers
    accepted: Literal[True] = True


@dataclass(frozen=True)
class Denied:
    """The handshake was answered with an HTTP response instead.

    Attributes:
        status: of the response.
        headers: of the response.
        body: of the response, whole.
        close_code: of the `websocket.close` that the application sent in place of a response. No peer ever sees it: a
            browser reports 1006 (ASGI, WebSocket, "Close - send event").
    """

    status: int
    headers: Headers
    body: bytes = b""
    close_code: int | None = None
    accepted: Literal[False] = False


Answer: TypeAlias = Accepted | Denied


class Handshake:
    """One handshake, from its being sent to its answer.

    Attributes:
        is_sent: whether the application was asked.
        answer: None until it is complete.
    """

    def __init__(self) -> None:
        self.is_sent = False
        self.answer: Answer | None = None
        # The headers of the accept, as the application has sent them: names may be in capitals.
        self.accepted_headers: RawHeaders = []
        # The events of a denial response so far.
        self._denial: list[Event] = []

    @property
    def is_begun(self) -> bool:
        """Whether a part of a denial response has come."""
        return bool(self._denial)

    @property
    def owed(self) -> tuple[str, str]:
        """Return the clause that applies, and the event that the application has to send now."""
        if self._denial:
            return conformance.DENIAL, "the body of its denial response"
        return conformance.CONNECT, "an answer to websocket.connect (websocket.accept or websocket.close)"

    def take(self, event: Event) -> None:
        """Take an event of the application's, which may complete the answer."""
        if event["type"] == "websocket.accept":
            self.accepted_headers = list(event.get("headers") or ())
            self.answer = Accepted(event.get("subprotocol"), Headers.from_raw(self.accepted_headers))
        elif event["type"] == "websocket.close":
            self.answer = Denied(403, Headers.from_raw([]), close_code=event.get("code", CloseCode.NORMAL))
        elif event["type"] == f"{DENIAL_EXTENSION}.start":
            # Some servers take another one before the body.
            self._denial = [event]
        else:
            self._denial.append(event)
            start, *parts = self._denial
            if not event.get("more_body", False):
                body = b"".join(part.get("body", b"") for part in parts)
                self.answer = Denied(start["status"], Headers.from_raw(start.get("headers") or ()), body)


def refusal(answer: Accepted, scope: Scope) -> HandshakeFailed | None:
    """Return why a client that gets this answer fails the connection; None if it does not.

    RFC 6455 lets a client go on without a subprotocol. A browser does not.
    """
    offered = scope["subprotocols"]
    is_browser = any(name == b"origin" for name, _ in scope["headers"])
    if answer.subprotocol is not None or not offered or not is_browser:
        return None
    why = f"the application accepted none of the subprotocols {offered}: a browser fails this handshake"
    return HandshakeFailed(conformance.FETCH_SUBPROTOCOL, why)
