"""The server's half of one WebSocket: what an application meets, and what the peer behind the server does.

Only the application waits here, in its own `receive` and `send`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import Context
from types import MappingProxyType
from typing import Any, Final

from ..._asgi import Event, Scope
from ...close_codes import CloseCode
from ...extensions import ABORT_EXTENSION, DENIAL_EXTENSION, MESSAGE_BYTES_EXTENSION
from ...websocket.state import WebSocketState
from ..conformance.websocket import is_buffer, violation
from ..errors import Misuse, ProtocolViolation
from .link import Link, payload_bytes
from .misuse import BAD_CLOSES, allowed, mended, met
from .profiles import SPEC, ServerProfile

_NO_KEYS: Final[Mapping[str, Any]] = MappingProxyType({})
_CONNECTING: Final = WebSocketState.CONNECTING
_CONNECTED: Final = WebSocketState.CONNECTED
_RESPONSE: Final = WebSocketState.RESPONSE
_DISCONNECTED: Final = WebSocketState.DISCONNECTED
_NOT_OFFERED: Final = "subprotocol not offered"
_IN_DENIAL: Final = frozenset({"accept in denial", "close in denial", "start in denial"})
# A send that need not wait gives up its turn after so many.
_SENDS_IN_A_ROW: Final = 100


class Server:
    """One connection as the server of a profile has it.

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
        self,
        profile: ServerProfile,
        scope: Scope,
        link: Link,
        inbox: "asyncio.Queue[Event]",
        give: Callable[[Event], None],
    ) -> None:
        self.state = _CONNECTING
        self.peer_left = False
        self.unreceived = 0
        self.violation: ProtocolViolation | None = None
        self.raised: list[Exception] = []
        self.extension_events: list[Event] = []
        self._profile = profile
        self._scope = scope
        self._link = link
        self._inbox = inbox
        self._give = give
        # The longest message, in bytes: the server's own bound, or the one that came with the accept. The key of that
        # goes with the end.
        self._largest = profile.max_message_bytes
        self._end_keys = _NO_KEYS
        # The disconnect that waits for a receive(), or was received; None before the end.
        self._disconnect: Event | None = None
        # Whether a close frame was exchanged, and how many disconnects receive() has given.
        self._had_close_frame = False
        self._disconnects = 0
        # Whether the connection has ended by the application's doing: the peer has answered its close frame, or it has
        # asked for an abort. Servers that remember their own close do not tell the first apart.
        self._is_lost = False
        # False in the turn of the loop in which a close frame has come: the connection still is there, for a close.
        self._is_gone = True
        # Whether the handshake was refused: by a close, or by a response.
        self._is_refused = False
        # What the body of a denial response raises for its start, and whether a part of it has gone out.
        self._bad_denial: Exception | None = None
        self._has_denial_body = False
        # How many calls of send() there were.
        self._sends = 0
        # Calls of receive() that give a future; those that the application has given up are among them.
        self._calls: set[asyncio.Task[Event]] = set()

    # -- what the application calls

    def receive(self) -> Awaitable[Event]:
        """The next event."""
        if self._profile.cancelled_receive_keeps_message:
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
        again = self._told_again() if self._disconnects else None
        if again is not None:
            self._disconnects += 1
            # Whoever asks again and again leaves the others a turn.
            await asyncio.sleep(0)
            return again
        event = await self._inbox.get()
        self._disconnects += event["type"] == "websocket.disconnect"
        self.unreceived -= payload_bytes(event)
        return event

    def _told_again(self) -> Event | None:
        """The disconnect for whoever has had one; None if there is no further one, or it waits in the inbox."""
        repeats = self._profile.after_disconnect
        if repeats == "the same":
            return None if self._disconnect is None else dict(self._disconnect)
        is_due = repeats == "always" or (repeats == "once" and self._had_close_frame and self._disconnects == 1)
        if self._is_refused or not is_due:
            return None
        return {"type": "websocket.disconnect", "code": CloseCode.NO_STATUS}

    async def send_fairly(self, event: Event) -> None:
        """`send`, with a turn for everybody else now and then: who only sends may otherwise leave them none."""
        try:
            await self.send(_own(event))
        finally:
            self._sends += 1
            if self._sends % _SENDS_IN_A_ROW == 0:
                await asyncio.sleep(0)

    async def send(self, event: Event) -> None:
        """Take an event. What breaks the ASGI text is kept in `violation`."""
        is_late = self.peer_left and self.state is not _DISCONNECTED
        broken = violation(event, None if is_late else self.state, self._scope)
        if is_late and (broken is None or self._profile is not SPEC):
            self._take_late(event)
        elif broken is not None:
            await self._take_broken(event, broken)
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
        kind, profile = event["type"], self._profile
        if kind == "websocket.accept":
            self.state = _CONNECTED
            self._restrict(event)
            self._link.write(event if profile.sends_accept_headers else {**event, "headers": []})
        elif kind == f"{DENIAL_EXTENSION}.start":
            why = "the event has no headers"
            missed = None if "headers" in event else allowed("denial without headers", why, profile)
            self._begin_denial(event, missed)
        elif kind == f"{DENIAL_EXTENSION}.body":
            self._take_body(event)
        else:
            # Its code and its reason go nowhere, and may be anything.
            code = event.get("code")
            self._link.write({"type": kind, "code": code} if isinstance(code, int) else {"type": kind})
            self._refused(profile.code_of_refusal, profile.code_after_refusal)

    def _restrict(self, event: Event) -> None:
        """Take the bound on messages that comes with an accept, where this server has that extension."""
        given = event.get(MESSAGE_BYTES_EXTENSION)
        if MESSAGE_BYTES_EXTENSION in self._profile.extensions and given is not None:
            self._largest, self._end_keys = given, {MESSAGE_BYTES_EXTENSION: given}

    def _begin_denial(self, event: Event, error: Exception | None) -> None:
        if error is not None and not self._profile.reads_denial_late:
            raise error
        self.state = _RESPONSE
        self._bad_denial = error
        if error is None:
            self._link.write(event)

    def _take_body(self, event: Event) -> None:
        profile = self._profile
        is_last = not event.get("more_body", False)
        if self._bad_denial is not None:
            raise self._bad_denial
        if not is_last:
            self._meet("denial in parts", "it takes a denial response with a single body")
        if "body" not in event:
            self._meet("denial without body", "the event has no body")
        self._has_denial_body = True
        self._link.write(event)
        if is_last:
            self._refused(profile.code_of_denial, profile.code_after_denial)

    def _extend(self, event: Event) -> None:
        self.extension_events.append(event)
        if event["type"] == ABORT_EXTENSION:
            self._leave(self._profile.code_of_lost_connection, None)
            self.state = _DISCONNECTED
            self._is_lost = True

    def _refused(self, *codes: int | None) -> None:
        self.state = _DISCONNECTED
        self._is_refused = True
        for code in codes:
            if code is not None:
                self._tell_end(code, None)

    async def _take_connected(self, event: Event) -> None:
        profile = self._profile
        if event["type"] == "websocket.send":
            # Once the end was told nothing but a close goes out, where the connection is still there.
            if self._disconnect is None and (payload_bytes(event) or profile.sends_empty_messages):
                self._link.write(event)
        else:
            self._close(event.get("code", CloseCode.NORMAL), event.get("reason") or "")
        if profile.send_blocks:
            await self._link.drained()
            if self.peer_left:
                self._refuse_late()

    def _close(self, code: int, reason: str) -> None:
        profile = self._profile
        if 1001 <= code <= 1014:
            self._meet("registered close code", f"it sends no close code {code}")
        self.state = _DISCONNECTED
        self._link.write({"type": "websocket.close", "code": code, "reason": reason * profile.sends_close_reason})
        self._had_close_frame = True
        told = code if profile.code_of_own_close is None else profile.code_of_own_close
        if self._disconnect is None:
            self._tell_end(told, reason)

    def _take_late(self, event: object) -> None:
        """An event after the peer has left."""
        if not isinstance(event, Mapping) or event.get("type") != "websocket.close":
            self._refuse_late()
            return
        profile = self._profile
        if self._disconnect is not None and not self._disconnects and not profile.reads_ahead:
            # The application closes and has not received that the peer has.
            self._disconnect["code"] = profile.code_of_own_close
        if self._is_gone:
            self._refuse_late("close after disconnect")

    # -- events that are not

    async def _take_broken(self, event: Event, broken: ProtocolViolation) -> None:
        self.violation = self.violation or broken
        self._link.changed()
        profile = self._profile
        if profile is SPEC:
            raise broken
        if self._is_lost and broken.misuse in {"send after close", "close after close"}:
            self._refuse_late(
                "close after disconnect" if broken.misuse == "close after close" else "send after disconnect"
            )
            return
        misuse, error = met(broken, profile, is_refused=self._is_refused)
        if misuse in _IN_DENIAL and not self._has_denial_body and event["type"] in profile.forgets_denial_for:
            self.state = _CONNECTING
            await self.send(event)
            return
        if self.state is _CONNECTING:
            self._take_bad_answer(event, misuse, error)
        elif error is not None:
            raise error
        # A response that has begun raises with its body.
        other = mended(event, misuse, profile) if error is None else None
        if misuse in BAD_CLOSES and other is not None:
            await self._take_connected(other)
        elif other is not None:
            await self.send(other)

    def _take_bad_answer(self, event: Event, misuse: Misuse | None, error: Exception | None) -> None:
        """An answer to the handshake that has something wrong within, or another event before the answer."""
        kind, profile = event.get("type") if isinstance(event, Mapping) else None, self._profile
        if kind == f"{DENIAL_EXTENSION}.start" and error is not None:
            self._begin_denial(event, error)
            return
        if kind == "websocket.accept" and not profile.answers_bad_accept and (error or misuse == _NOT_OFFERED):
            # Accepted for the server, and the client has no answer, whatever the application does next.
            self.state = _CONNECTED
            self._link.cut()
        if error is not None:
            raise error
        if misuse == _NOT_OFFERED and profile.answers_bad_accept:
            self._answer(event)

    def _meet(self, misuse: Misuse, why: str) -> None:
        error = allowed(misuse, why, self._profile)
        if error is not None:
            raise error

    def _refuse_late(self, misuse: Misuse = "send after disconnect") -> None:
        error = self._profile.raises.get(misuse)
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
        largest = self._largest
        if largest is not None and size > largest:
            self._too_long(f"frame with {size} bytes exceeds limit of {largest} bytes")
            return
        if self._profile.receives_both_keys:
            event = {"type": "websocket.receive", "text": event.get("text"), "bytes": event.get("bytes")}
        self.unreceived += size
        self._give(event)

    def _too_long(self, reason: str) -> None:
        profile = self._profile
        code = profile.code_of_too_long
        if code is None:
            self._tell_end(profile.code_of_lost_connection, None)
            return
        self._had_close_frame = code == CloseCode.MESSAGE_TOO_BIG
        self._link.write({"type": "websocket.close", "code": code, "reason": reason * self._had_close_frame})
        tells = self._had_close_frame and profile.tells_close_code
        self._leave(CloseCode.MESSAGE_TOO_BIG if tells else profile.code_of_lost_connection, reason, self._end_keys)

    def close(self, code: int | None, reason: str) -> None:
        """A close frame of the peer's has come; None for one without a code."""
        profile = self._profile
        self._had_close_frame = True
        self._is_gone = False
        if not profile.tells_close_code:
            code = profile.code_of_lost_connection
        elif code is None:
            code = profile.code_of_empty_close
        self._leave(code, reason)
        # After the application has had its turn, if it waits in `receive`.
        asyncio.get_running_loop().call_soon(self._go)

    def _go(self) -> None:
        self._is_gone = True

    def answer_close(self) -> None:
        """The peer answers the application's close frame: the connection has ended."""
        self._is_lost = not self._profile.remembers_own_close

    def lose(self) -> None:
        """The connection has ended without a close frame, and the server knows."""
        self._leave(self._profile.code_of_lost_connection, None)

    def _leave(self, code: int | None, reason: str | None, keys: Mapping[str, Any] = _NO_KEYS) -> None:
        had_ended = self.peer_left or self.state is _DISCONNECTED
        self.peer_left = True
        self._link.drop()
        self._link.changed()
        if not had_ended:
            self._tell_end(code, reason, keys)

    def _tell_end(self, code: int | None, reason: str | None, keys: Mapping[str, Any] = _NO_KEYS) -> None:
        self._disconnect = {"type": "websocket.disconnect", "code": code, **keys}
        if self._profile.tells_every_reason:
            reason = reason or ""
        if reason is not None and self._profile.tells_close_reason:
            self._disconnect["reason"] = reason
        self._give(self._disconnect)


def _own(event: Any) -> Any:
    """Return the event as it is now: its sender may use the dict again, and headers may be an iterator.

    The body of a denial response may be a buffer, as over HTTP: every server that has the extension takes one.
    """
    if not isinstance(event, Mapping):
        return event
    own = dict(event)
    if isinstance(own.get("headers"), Iterator):
        own["headers"] = list(own["headers"])
    if is_buffer(own.get("body")):
        own["body"] = bytes(own["body"])
    return own
