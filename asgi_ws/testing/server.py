"""The server's half of one WebSocket: what an application meets, and what the peer behind the server does.

Only the application waits here, in its own `receive` and `send`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import Context
from typing import Any, Final

from .._asgi import Event, Scope
from ..errors import InvalidCloseCode
from ..lifecycle import (
    ABORT_EXTENSION,
    DENIAL_EXTENSION,
    MAX_REASON_BYTES,
    CloseCode,
    WebSocketState,
    check_close,
)
from .conformance import violation
from .errors import ProtocolViolation
from .link import Link, payload_bytes
from .manners import SPEC, Manners, Misuse

_CONNECTING: Final = WebSocketState.CONNECTING
_CONNECTED: Final = WebSocketState.CONNECTED
_RESPONSE: Final = WebSocketState.RESPONSE
_DISCONNECTED: Final = WebSocketState.DISCONNECTED
# RFC 6455 section 7.4.1: codes that report what was never in a close frame.
_REPORTS: Final = frozenset({1005, 1006, 1015})
# A send that need not wait gives up its turn after so many.
_SENDS_IN_A_ROW: Final = 100


class Server:
    """One connection as a server of these manners has it.

    Attributes:
        state: the application's, by what it has sent.
        peer_left: whether the peer is gone, or the connection.
        unreceived: bytes of messages that the application has not received.
        violation: the first event that breaks the ASGI text; None while there is none.
        raised: what `send` has raised because the peer had left. It is no failure of an application to let it out
            (ASGI, WebSocket, "Disconnected Client - send exception").
        extension_events: what the application has sent by way of an extension.
    """

    def __init__(
        self, manners: Manners, scope: Scope, link: Link, inbox: "asyncio.Queue[Event]", give: Callable[[Event], None]
    ) -> None:
        self.state = _CONNECTING
        self.peer_left = False
        self.unreceived = 0
        self.violation: ProtocolViolation | None = None
        self.raised: list[Exception] = []
        self.extension_events: list[Event] = []
        self._manners = manners
        self._scope = scope
        self._link = link
        self._inbox = inbox
        self._give = give
        # The disconnect that waits for a receive(), or was received; None before the end.
        self._disconnect: Event | None = None
        # Whether a close frame was exchanged, and how many disconnects receive() has given.
        self._had_close_frame = False
        self._disconnects = 0
        # Whether the peer has answered the application's close frame.
        self._is_answered = False
        # False in the turn of the loop in which a close frame has come: the connection still is there, for a close.
        self._is_gone = True
        # Whether the handshake was refused: by a close, or by a response.
        self._is_refused = False
        # How many calls of send() there were.
        self._sends = 0
        # Calls of receive() that give a future; those that the application has given up are among them.
        self._calls: set[asyncio.Task[Event]] = set()

    # -- what the application calls

    def receive(self) -> Awaitable[Event]:
        """The next event."""
        if self._manners.cancelled_receive_keeps_message:
            return self._receive()
        # A call that has taken a message, and whose future is cancelled before anybody has it, has lost it. The call
        # belongs to the server, and so runs in a context of its own.
        call = Context().run(asyncio.ensure_future, self._receive())
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        future = asyncio.shield(call)
        future.add_done_callback(lambda future: call.cancel() if future.cancelled() else None)
        return future

    async def _receive(self) -> Event:
        if self._disconnects:
            repeats = self._manners.after_disconnect
            if repeats == "always" or (repeats == "once" and self._had_close_frame and self._disconnects == 1):
                self._disconnects += 1
                if not self._is_gone:
                    await asyncio.sleep(0)
                return {"type": "websocket.disconnect", "code": CloseCode.NO_STATUS}
        event = await self._inbox.get()
        self._disconnects += event["type"] == "websocket.disconnect"
        self.unreceived -= payload_bytes(event)
        return event

    async def send_fairly(self, event: Event) -> None:
        """`send`, with a turn for everybody else now and then: who only sends may otherwise leave them none."""
        try:
            await self.send(_own(event))
        finally:
            self._sends += 1
            if self._sends % _SENDS_IN_A_ROW == 0:
                await asyncio.sleep(0)

    async def send(self, event: Event) -> None:
        """Take an event. What breaks the ASGI text is kept in `violation`, and meets the manners of this server."""
        is_late = self.peer_left and self.state is not _DISCONNECTED
        broken = violation(event, None if is_late else self.state, self._scope)
        if is_late and (broken is None or self._manners is not SPEC):
            self._take_late(event)
        elif broken is not None:
            self._take_broken(event, broken)
        elif event["type"] in (self._scope.get("extensions") or {}):
            self._extend(event)
        elif self.state is _CONNECTED:
            await self._take_connected(event)
        else:
            self._answer(event)

    def end(self) -> None:
        """The application has ended: nobody waits in `receive` any more."""
        for call in self._calls:
            call.cancel()

    # -- events that are right

    def _answer(self, event: Event) -> None:
        """The answer to the handshake, or a part of it."""
        kind, manners = event["type"], self._manners
        if kind == "websocket.accept":
            self.state = _CONNECTED
            self._link.write(event if manners.sends_accept_headers else {**event, "headers": []})
        elif kind == f"{DENIAL_EXTENSION}.start":
            self.state = _RESPONSE
            self._link.write(event)
        elif kind == f"{DENIAL_EXTENSION}.body":
            is_last = not event.get("more_body", False)
            if not is_last:
                self._meet("denial in parts", f"{manners.name} takes a denial response with a single body")
            self._link.write(event)
            if is_last:
                self._refused(manners.code_of_denial)
        else:
            self._link.write(event)
            self._refused(manners.code_of_refusal)

    def _extend(self, event: Event) -> None:
        self.extension_events.append(event)
        if event["type"] == ABORT_EXTENSION:
            self._leave(self._manners.code_of_lost_connection, None)
            self.state = _DISCONNECTED

    def _refused(self, code: int | None) -> None:
        self.state = _DISCONNECTED
        self._is_refused = True
        if code is not None:
            self._tell_end(code, None)

    async def _take_connected(self, event: Event) -> None:
        manners = self._manners
        if event["type"] == "websocket.send":
            # Once the end was told nothing but a close goes out, where the connection is still there.
            if self._disconnect is None and (payload_bytes(event) or manners.sends_empty_messages):
                self._link.write(event)
        else:
            self._close(event.get("code", CloseCode.NORMAL), event.get("reason") or "")
        if manners.send_blocks:
            await self._link.drained()
            if self.peer_left:
                self._refuse_late()

    def _close(self, code: int, reason: str) -> None:
        manners = self._manners
        if 1001 <= code <= 1014:
            self._meet("registered close code", f"{manners.name} sends no close code {code}")
        self.state = _DISCONNECTED
        self._link.write({"type": "websocket.close", "code": code, "reason": reason * manners.sends_close_reason})
        self._had_close_frame = True
        told = code if manners.code_of_own_close is None else manners.code_of_own_close
        if self._disconnect is None:
            self._tell_end(told, reason)

    def _take_late(self, event: object) -> None:
        """An event after the peer has left."""
        if not isinstance(event, Mapping) or event.get("type") != "websocket.close":
            self._refuse_late()
            return
        manners = self._manners
        if self._disconnect is not None and not self._disconnects and not manners.reads_ahead:
            # The application closes and has not received that the peer has.
            self._disconnect["code"] = manners.code_of_own_close
        if self._is_gone:
            self._refuse_late("close after disconnect")

    # -- events that are not

    def _take_broken(self, event: Event, broken: ProtocolViolation) -> None:
        self.violation = self.violation or broken
        self._link.changed()
        manners, misuse = self._manners, broken.misuse
        if manners is SPEC or misuse is None:
            raise broken
        if self._is_answered and misuse in {"send after close", "close after close"}:
            self._refuse_late()
            return
        if misuse == "send after close" and self._is_refused:
            misuse = "send after refusal"
        if misuse == "text and bytes" and not manners.sends_empty_messages and not (event["text"] and event["bytes"]):
            self._link.write({**event, "text": event["text"] or None})
            return
        if misuse == "subprotocol not offered" and not manners.answers_bad_subprotocol:
            # Accepted for the server, and the client has no answer, whatever the application does next.
            self.state = _CONNECTED
            self._link.cut()
        self._meet(misuse, str(broken))
        if misuse == "subprotocol not offered" and manners.answers_bad_subprotocol:
            self._answer(event)
        elif misuse == "str in headers":
            self._answer({**event, "headers": []})
        elif misuse == "text and bytes":
            self._link.write({"type": "websocket.send", "bytes": event["bytes"]})
        elif misuse in {"close code None", "invalid close code", "long reason"}:
            self._close_badly(event)

    def _close_badly(self, event: Event) -> None:
        """Send a close frame that is not as the application wants it, or that breaks the connection."""
        manners, code, reason = self._manners, event.get("code", CloseCode.NORMAL), event.get("reason") or ""
        if code is None:
            sent: int | None = manners.code_for_none
        elif code in _REPORTS:
            sent = manners.code_for_reserved
        else:
            sent = code if _is_sendable(code) else None
        if manners.truncates_close_reason or not manners.sends_close_reason:
            reason = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        elif len(reason.encode()) > MAX_REASON_BYTES:
            sent = None
        # The client fails the connection over a frame that is broken: nothing is left of it but its end.
        self._close(CloseCode.ABNORMAL if sent is None else sent, "" if sent is None else reason)

    def _meet(self, misuse: Misuse, why: str) -> None:
        """Raise what this server raises for a misuse, if it does."""
        error = self._manners.raises.get(misuse)
        if error is not None:
            raise error(why)

    def _refuse_late(self, misuse: Misuse = "send after disconnect") -> None:
        error = self._manners.raises.get(misuse)
        if error is not None:
            self.raised.append(error("the peer has left"))
            raise self.raised[-1]

    # -- the peer

    def connect(self) -> None:
        """The peer's handshake has come."""
        self._give({"type": "websocket.connect"})

    def message(self, data: str | bytes) -> None:
        """A message of the peer's has come; one that is too large ends the connection."""
        if self.state is not _CONNECTED or self.peer_left or not self._link.is_up:
            return
        event: Event = {"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data}
        size = payload_bytes(event)
        largest = self._manners.max_message_bytes
        if largest is not None and size > largest:
            self._too_long(f"frame with {size} bytes exceeds limit of {largest} bytes")
            return
        if self._manners.receives_both_keys:
            event = {"type": "websocket.receive", "text": event.get("text"), "bytes": event.get("bytes")}
        self.unreceived += size
        self._give(event)

    def _too_long(self, reason: str) -> None:
        manners = self._manners
        code = manners.code_of_too_long
        if code is None:
            self._tell_end(manners.code_of_lost_connection, None)
            return
        self._had_close_frame = code == CloseCode.MESSAGE_TOO_BIG
        self._link.write({"type": "websocket.close", "code": code, "reason": reason * self._had_close_frame})
        tells = self._had_close_frame and manners.tells_close_code
        self._leave(CloseCode.MESSAGE_TOO_BIG if tells else manners.code_of_lost_connection, reason)

    def close(self, code: int | None, reason: str) -> None:
        """A close frame of the peer's has come; None for one without a code."""
        manners = self._manners
        self._had_close_frame = True
        self._is_gone = False
        if not manners.tells_close_code:
            code = manners.code_of_lost_connection
        elif code is None:
            code = manners.code_of_empty_close
        self._leave(code, reason)
        # After the application has had its turn, if it waits in `receive`.
        asyncio.get_running_loop().call_soon(self._go)

    def _go(self) -> None:
        self._is_gone = True

    def answer_close(self) -> None:
        """The peer answers the application's close frame: the connection has ended."""
        self._is_answered = True

    def lose(self) -> None:
        """The connection has ended without a close frame, and the server knows."""
        self._leave(self._manners.code_of_lost_connection, None)

    def _leave(self, code: int | None, reason: str | None) -> None:
        had_ended = self.peer_left or self.state is _DISCONNECTED
        self.peer_left = True
        self._link.drop()
        self._link.changed()
        if not had_ended:
            self._tell_end(code, reason)

    def _tell_end(self, code: int | None, reason: str | None) -> None:
        self._disconnect = {"type": "websocket.disconnect", "code": code}
        if reason is not None and self._manners.tells_close_reason:
            self._disconnect["reason"] = reason
        self._give(self._disconnect)


def _own(event: Any) -> Any:
    """The event as it is now: its sender may use the dict again, and headers may be an iterator, good for one look."""
    if not isinstance(event, Mapping):
        return event
    own = dict(event)
    if isinstance(own.get("headers"), Iterator):
        own["headers"] = list(own["headers"])
    return own


def _is_sendable(code: int) -> bool:
    try:
        check_close(code, "")
    except InvalidCloseCode:
        return False
    return True
