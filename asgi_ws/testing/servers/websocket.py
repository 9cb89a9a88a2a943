"""The server's half of one WebSocket: the `receive` and `send` of an application, and the peer behind the server.

Only the application waits here, in its own `receive` and `send`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextvars import Context
from itertools import repeat
from types import MappingProxyType
from typing import Any, Final, NoReturn

from ..._asgi import Event, Scope
from ...close_codes import CloseCode
from ...extensions import ABORT_EXTENSION, DENIAL_EXTENSION, MESSAGE_BYTES_EXTENSION
from ..conformance.websocket import is_buffer, violation
from ..errors import ProtocolViolation
from .link import Link, payload_bytes
from .phase import ALIVE, LAST_BODY, NEXT_ITERATION, PEER_CLOSES, PEER_IS_LOST, STATES, TRANSITIONS, WITHOUT_PEER, Phase
from .profiles import Refusal, ServerProfile

_NO_KEYS: Final[Mapping[str, Any]] = MappingProxyType({})
# A send that need not wait yields to the event loop after so many.
_SENDS_IN_A_ROW: Final = 100


class ImitatedWebSocket:
    """One connection as the server of a profile has it.

    Attributes:
        unreceived: bytes of messages that the application has not received.
        raised: the errors that `send` has raised because the peer had left. An application may let them out (ASGI,
            WebSocket, "Disconnected Client - send exception").
        extension_events: the application's events of extensions.
    """

    def __init__(
        self,
        profile: ServerProfile,
        scope: Scope,
        link: Link,
        *,
        inbox: "asyncio.Queue[Event]",
        give: Callable[[Event], None],
        refuse: Callable[[ProtocolViolation], NoReturn],
    ) -> None:
        self.unreceived = 0
        self.raised: list[Exception] = []
        self.extension_events: list[Event] = []
        self._phase = Phase.CONNECTING
        self._profile = profile
        self._scope = scope
        self._link = link
        self._inbox = inbox
        self._give = give
        # Called with an event that breaks the ASGI text.
        self._refuse = refuse
        # The longest message, in bytes: the server's own bound, or the one that came with the accept. The disconnect
        # after a longer one has the key of that.
        self._largest = profile.max_message_bytes
        self._end_keys = _NO_KEYS
        # The disconnect that waits for a receive(), or was received; None before the end.
        self._disconnect: Event | None = None
        # The events of each further receive(), once a disconnect was received.
        self._again: Iterator[Event] = iter(())
        self._is_disconnect_received = False
        self._sends = 0
        # Calls of receive() that give a future, also those that the application has cancelled.
        self._calls: set[asyncio.Task[Event]] = set()

    @property
    def peer_left(self) -> bool:
        """Whether the peer is gone."""
        return self._phase in WITHOUT_PEER

    @property
    def has_ended(self) -> bool:
        """Whether the connection has ended, by either side."""
        return self._phase not in ALIVE

    def _step(self, step: str) -> None:
        self._phase = TRANSITIONS[self._phase].get(step, self._phase)

    # -- the application's calls

    def receive(self) -> Awaitable[Event]:
        """Return the next event."""
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
        again = next(self._again, None) if self._is_disconnect_received else None
        if again is not None:
            # An application that asks again and again must not starve the others.
            await asyncio.sleep(0)
            return dict(again)
        event = await self._inbox.get()
        self._is_disconnect_received |= event["type"] == "websocket.disconnect"
        self.unreceived -= payload_bytes(event)
        return event

    async def send(self, event: Event) -> None:
        """Take an event.

        Raises:
            ProtocolViolation: the event breaks the ASGI text.
            OSError: the peer has left, and this server raises then.
            RuntimeError: the ASGI text allows the event, and this server does not.
        """
        try:
            await self._take(_own(event))
        finally:
            self._sends += 1
            if self._sends % _SENDS_IN_A_ROW == 0:
                # An application that only sends must not starve the others.
                await asyncio.sleep(0)

    async def _take(self, event: Event) -> None:
        broken = violation(event, STATES[self._phase], self._scope)
        if broken is not None:
            self._refuse(broken)
        if self._phase in {Phase.LEAVING, Phase.GONE}:
            self._take_late(event)
        elif event["type"] in (self._scope.get("extensions") or {}):
            self._extend(event)
        elif self._phase is Phase.OPEN:
            await self._take_open(event)
        else:
            self._answer(event)

    def cancel_receive(self) -> None:
        """Cancel the calls of `receive`: the application has ended."""
        for call in self._calls:
            call.cancel()

    def _answer(self, event: Event) -> None:
        """Take an answer to the handshake, or a part of it."""
        kind, profile = event["type"], self._profile
        if kind == "websocket.accept":
            self._restrict(event)
            self._link.write(event if profile.sends_accept_headers else {**event, "headers": []})
        elif kind == f"{DENIAL_EXTENSION}.start":
            self._check_taken("denial without headers", is_there="headers" not in event)
            self._link.write(event)
        elif kind == f"{DENIAL_EXTENSION}.body":
            self._take_body(event)
        else:
            # Its code and its reason go nowhere, and may be anything.
            code = event.get("code")
            self._link.write({"type": kind, "code": code} if isinstance(code, int) else {"type": kind})
            self._tell_refusal(profile.code_of_refusal, profile.code_after_refusal)
        self._step(kind)

    def _restrict(self, event: Event) -> None:
        """Take the bound on messages that comes with an accept, where this server has that extension."""
        given = event.get(MESSAGE_BYTES_EXTENSION)
        if MESSAGE_BYTES_EXTENSION in self._profile.extensions and given is not None:
            self._largest, self._end_keys = given, {MESSAGE_BYTES_EXTENSION: given}

    def _take_body(self, event: Event) -> None:
        is_last = not event.get("more_body", False)
        self._check_taken("denial in parts", is_there=not is_last)
        self._check_taken("denial without body", is_there="body" not in event)
        self._link.write(event)
        if is_last:
            self._step(LAST_BODY)
            self._tell_refusal(self._profile.code_of_denial, self._profile.code_after_denial)

    def _tell_refusal(self, *codes: int | None) -> None:
        for code in codes:
            if code is not None:
                self._tell_end(code, None)
        if self._profile.after_disconnect != "the same":
            self._again = iter(())

    def _extend(self, event: Event) -> None:
        self.extension_events.append(event)
        if event["type"] == ABORT_EXTENSION:
            self._end(ABORT_EXTENSION, self._profile.code_of_lost_connection, None)

    async def _take_open(self, event: Event) -> None:
        profile = self._profile
        if event["type"] == "websocket.send":
            # After a disconnect nothing but a close goes out, where the connection is still there.
            if self._disconnect is None and (payload_bytes(event) or profile.sends_empty_messages):
                self._link.write(event)
        else:
            self._close(event.get("code", CloseCode.NORMAL), event.get("reason") or "")
        if profile.send_blocks:
            await self._link.drained()
            if self.peer_left and profile.send_raises_when_gone:
                self._raise_gone()

    def _close(self, code: int, reason: str) -> None:
        profile = self._profile
        self._check_taken("registered close code", is_there=1001 <= code <= 1014)
        self._step("websocket.close")
        self._link.write({"type": "websocket.close", "code": code, "reason": reason * profile.sends_close_reason})
        if self._disconnect is None:
            told = code if profile.code_of_own_close is None else profile.code_of_own_close
            self._tell_end(told, reason, had_close_frame=True)

    def _take_late(self, event: Event) -> None:
        """Take an event after the peer has left."""
        profile = self._profile
        if event["type"] != "websocket.close":
            if profile.send_raises_when_gone:
                self._raise_gone()
            return
        if self._disconnect is not None and not self._is_disconnect_received and not profile.reads_ahead:
            # This server reads the peer's close frame in receive(), which has not been called.
            self._disconnect["code"] = profile.code_of_own_close
        if self._phase is Phase.GONE and profile.close_raises_when_gone:
            self._raise_gone()

    def _raise_gone(self) -> NoReturn:
        self.raised.append(OSError("the peer has left"))
        raise self.raised[-1]

    def _check_taken(self, refusal: Refusal, *, is_there: bool) -> None:
        """Raise for an event that the ASGI text allows and this server does not."""
        if is_there and refusal in self._profile.refuses:
            raise RuntimeError(f"{self._profile.name} does not take a {refusal}")

    # -- the peer

    def connect(self) -> None:
        """Take the peer's handshake."""
        self._give({"type": "websocket.connect"})

    def message(self, data: str | bytes) -> None:
        """Take a message of the peer; one that is too large ends the connection."""
        if self._phase is not Phase.OPEN or not self._link.is_up:
            return
        event: Event = {"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data}
        size = payload_bytes(event)
        largest = self._largest
        if largest is not None and size > largest:
            self._end_too_long(f"frame with {size} bytes exceeds limit of {largest} bytes")
            return
        if self._profile.receives_both_keys:
            event = {"type": "websocket.receive", "text": event.get("text"), "bytes": event.get("bytes")}
        self.unreceived += size
        self._give(event)

    def _end_too_long(self, reason: str) -> None:
        profile = self._profile
        code = profile.code_of_too_long
        if code is None:
            self._tell_end(profile.code_of_lost_connection, None)
            return
        has_frame = code == CloseCode.MESSAGE_TOO_BIG
        self._link.write({"type": "websocket.close", "code": code, "reason": reason * has_frame})
        tells = has_frame and profile.tells_close_code
        told = CloseCode.MESSAGE_TOO_BIG if tells else profile.code_of_lost_connection
        self._end(PEER_IS_LOST, told, reason, self._end_keys, had_close_frame=has_frame)

    def close(self, code: int | None, reason: str) -> None:
        """Take a close frame of the peer; None for one without a code."""
        profile = self._profile
        if not profile.tells_close_code:
            code = profile.code_of_lost_connection
        elif code is None:
            code = profile.code_of_empty_close
        self._end(PEER_CLOSES, code, reason, had_close_frame=True)
        # After the application has had its turn, if it waits in `receive`.
        asyncio.get_running_loop().call_soon(self._step, NEXT_ITERATION)

    def abort(self) -> None:
        """End the connection without a close frame."""
        self._end(PEER_IS_LOST, self._profile.code_of_lost_connection, None)

    # -- the end

    def _end(
        self,
        step: str,
        code: int | None,
        reason: str | None,
        keys: Mapping[str, Any] = _NO_KEYS,
        *,
        had_close_frame: bool = False,
    ) -> None:
        had_ended = self.has_ended
        self._step(step)
        self._link.abort()
        self._link.changed()
        if not had_ended:
            self._tell_end(code, reason, keys, had_close_frame=had_close_frame)

    def _tell_end(
        self, code: int | None, reason: str | None, keys: Mapping[str, Any] = _NO_KEYS, *, had_close_frame: bool = False
    ) -> None:
        """Queue the disconnect, and settle the events of each receive() after that."""
        self._disconnect = {"type": "websocket.disconnect", "code": code, **keys}
        if self._profile.tells_every_reason:
            reason = reason or ""
        if reason is not None and self._profile.tells_close_reason:
            self._disconnect["reason"] = reason
        self._again = iter(self._after(self._disconnect, had_close_frame=had_close_frame))
        self._give(self._disconnect)

    def _after(self, disconnect: Event, *, had_close_frame: bool) -> Iterable[Event]:
        empty = {"type": "websocket.disconnect", "code": CloseCode.NO_STATUS}
        match self._profile.after_disconnect:
            case "the same":
                return repeat(disconnect)
            case "always":
                return repeat(empty)
            case "once" if had_close_frame:
                return [empty]
        return ()


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
