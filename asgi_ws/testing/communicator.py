"""A WebSocket in memory: the test is the peer, and the application runs as a chosen server would run it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from .._asgi import ASGIApp, Event, HeadersLike, RawHeaders, Receive, Scope, Send
from ..close_codes import CloseCode, check_close
from ..errors import ConnectionClosed, InvalidMessage
from ..headers import Headers
from ..json_codec import STANDARD_JSON
from .errors import ApplicationEnded, HandshakeDenied, Unanswered
from .run import Run, unexplained
from .servers.handshake import Accepted, Answer, Denied, Handshake, refusal
from .servers.link import Link, payload_bytes
from .servers.profiles import SPEC, profile_of
from .servers.scopes import websocket_scope
from .servers.websocket import ImitatedWebSocket

# A failing test shows its own line and the message, and none of these calls (pytest).
__tracebackhide__ = True

# How many bytes of the peer's messages may wait unreceived before its `send` waits: what servers and the buffers of the
# system take.
UNRECEIVED_BYTES: Final = 4 * 1024 * 1024
HIGH_WATER: Final = 64 * 1024
# How far the peer reads ahead of the test. Then it leaves the rest unread, as clients do, and an application that sends
# without end waits.
READ_AHEAD_BYTES: Final = 4 * 1024 * 1024
READ_AHEAD_MESSAGES: Final = 4096


def _is_among(error: BaseException, known: Sequence[BaseException]) -> bool:
    """Return True if an error is itself one of these: exceptions may be equal, or not comparable."""
    return any(error is one for one in known)


class WebSocketCommunicator(Run):
    """One WebSocket to an ASGI application, without a server and without a socket.

        async with WebSocketCommunicator(app, "/ws") as ws:
            await ws.connect()
            await ws.send("hello")
            assert await ws.receive() == "OK!"

    Every wait is limited by `timeout` and then raises `WaitTimeout`, which shows the line at which the application is
    waiting. An exception of the application is raised in the test's next wait, after everything sent before.

    Leaving the block closes the connection and waits for the application to end. It fails for an exception that the
    test has not seen, for a breach of the ASGI text, and for tasks that the application has left running.

    Args:
        app: the application.
        path: with its query; or a ws:// or wss:// URL, whose host and port then are those of the handshake.
        headers: of the handshake, beside those that every client sends; one of the same name takes its place.
        subprotocols: that the client offers, in its order.
        origin: as a browser sends it. A handshake with an Origin is then judged as a browser judges it.
        client: the peer's address and port; None for a server that does not know them.
        state: what the lifespan has left, as `LifespanManager.state` has it.
        extensions: further entries of `scope["extensions"]`; what the application sends by way of them is in
            `extension_events`.
        root_path: where the application is mounted.
        server: the server that is imitated: "spec", "uvicorn", "asgi_ws", "hypercorn", "daphne" or
            "granian"; "asgi_ws" is uvicorn with this package's WebSocket class.
        timeout: the bound of every wait, in seconds of real time.
        high_water: how many bytes may be unread by the peer before the application's `send` waits.
        raise_server_exceptions: False if what the application raises is what the test looks at, in `error`.
        check_leaks: False if tasks of the application's may outlive it.

    Raises:
        ValueError: for a path or a server that there is not.
        InvalidHeader: for headers that no client could send.
    """

    def __init__(
        self,
        app: ASGIApp,
        path: str = "/",
        *,
        headers: HeadersLike = (),
        subprotocols: Sequence[str] = (),
        origin: str | None = None,
        client: tuple[str, int] | None = ("127.0.0.1", 50000),
        state: Mapping[str, Any] | None = None,
        extensions: Mapping[str, Any] | None = None,
        root_path: str = "",
        server: str = "spec",
        timeout: float = 1.0,
        high_water: int = HIGH_WATER,
        raise_server_exceptions: bool = True,
        check_leaks: bool = True,
    ) -> None:
        self._profile = profile_of(server)
        scope = websocket_scope(
            path,
            self._profile,
            headers=headers,
            subprotocols=subprotocols,
            origin=origin,
            client=client,
            state=state,
            extensions=extensions,
            root_path=root_path,
        )
        super().__init__(
            app,
            scope,
            timeout=timeout,
            raise_server_exceptions=raise_server_exceptions,
            check_leaks=check_leaks,
        )
        self._link = Link(self._take, self._has_room, self._changed, high_water)
        self._server = ImitatedWebSocket(
            self._profile, scope, self._link, inbox=self.input_queue, give=self._give, refuse=self._refuse
        )
        self._receive = self._server.receive
        self._send = self._server.send
        # Bytes of messages that the peer has read and the test has not received.
        self._untaken = 0
        # The last event that went to the peer; None before.
        self._last_output: Event | None = None
        self._handshake = Handshake()
        # How the connection ended, as the peer sees it; None while it has not.
        self._closed: ConnectionClosed | None = None

    @property
    def accepted_subprotocol(self) -> str | None:
        """The subprotocol that the application chose; None for none, and without a connection."""
        answer = self._handshake.answer
        return answer.subprotocol if isinstance(answer, Accepted) else None

    @property
    def accepted_headers(self) -> RawHeaders:
        """The headers that the application accepted with, as it has sent them; [] without a connection."""
        return self._handshake.accepted_headers

    @property
    def close_code(self) -> int | None:
        """How the connection ended, as the peer sees it; None while the test has not met the end."""
        return None if self._closed is None else self._closed.code

    @property
    def close_reason(self) -> str | None:
        """The reason that goes with `close_code`."""
        return None if self._closed is None else self._closed.reason

    @property
    def unread_bytes(self) -> int:
        """Return the bytes that the application has sent and the peer has not read."""
        return self._link.unread_bytes

    @property
    def extension_events(self) -> list[Event]:
        """The events of extensions that the application has sent, in order."""
        return self._server.extension_events

    # -- the application

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super()._call(scope, receive, send)
        finally:
            self._server.cancel_receive()

    def _take(self, event: Event) -> None:
        self._last_output = event
        self._untaken += payload_bytes(event)
        super()._take(event)

    def _has_room(self) -> bool:
        return self.output_queue.qsize() < READ_AHEAD_MESSAGES and self._untaken < READ_AHEAD_BYTES

    def _get_output(self) -> Event:
        event = super()._get_output()
        self._untaken -= payload_bytes(event)
        self._link.flush()
        return event

    def _failures(self, *, is_over: bool = False) -> list[BaseException]:
        # An application may let out the errors of `send` after the peer has left.
        return list(unexplained(super()._failures(is_over=is_over), lambda leaf: _is_among(leaf, self._server.raised)))

    def _report(self) -> str:
        if self._link.blocked:
            waiting = f"{self._link.blocked} of its sends wait for the peer to read {self.unread_bytes} bytes"
            return f"{super()._report()}\n  {waiting}: resume_reading()"
        return super()._report()

    async def _next(self, awaited: str) -> Event | None:
        """Return the next event for the peer, or None at the end."""
        server, output, task = self._server, self.output_queue, self.future
        await self._until_or_broken(lambda: not output.empty() or task.done() or server.peer_left, awaited)
        return None if output.empty() else self._get_output()

    # -- the handshake

    async def connect(self) -> Answer:
        """Send the handshake, and return its answer. After a time-out a further call goes on waiting for it.

        Raises:
            HandshakeFailed: the application accepted, and a client (a browser, where there is an Origin) refuses that.
            ProtocolViolation: the application broke the ASGI text.
            Unanswered: the application returned without an answer.
            WaitTimeout: the application does not answer.
            Exception: what the application raised.
        """
        handshake = self._handshake
        if not self._is_entered:
            raise RuntimeError("enter the block first: async with WebSocketCommunicator(...) as ws: await ws.connect()")
        if handshake.answer is not None:
            raise RuntimeError("already connected: a communicator is one connection; make another one")
        if not handshake.is_sent:
            handshake.is_sent = True
            self._server.connect()
        while handshake.answer is None:
            _, owed = handshake.owed
            event = await self._next(owed)
            if event is None:
                handshake.answer = self._unanswered()
            else:
                handshake.take(event)
        answer: Answer = handshake.answer
        failure = refusal(answer, self.scope) if isinstance(answer, Accepted) else None
        if failure is not None:
            self._closed = ConnectionClosed(CloseCode.ABNORMAL)
            self._server.abort()
            raise failure
        return answer

    def _unanswered(self) -> Denied:
        """Raise or return the outcome for a peer whose application ended before it answered."""
        self._raise_unmet()
        if self._closed is not None:
            # The peer left before the answer: there was nobody to give one to.
            raise self._closed
        profile = self._profile
        clause, owed = self._handshake.owed
        if profile is SPEC and self.error is None:
            raise Unanswered(clause, f"the application returned without {owed}")
        status = profile.status_of_return if self.error is None else profile.status_of_raise
        if self._handshake.is_begun:
            status = profile.status_of_half_denial
        if status is None or not self._link.is_up:
            why = f"the application ended without {owed}, and {profile.name} gives none"
            raise ApplicationEnded(CloseCode.ABNORMAL, "", why)
        return Denied(status, Headers.from_raw([]))

    # -- messages

    async def send(self, data: str | bytes) -> None:
        """Send a message; waits while the application leaves 4 MiB unreceived.

        Raises:
            ConnectionClosed: the connection has ended.
            InvalidMessage: `data` is neither str nor bytes.
            WaitTimeout: the application does not receive.
        """
        if not isinstance(data, str | bytes):
            raise InvalidMessage("send()", "str or bytes", data)
        self._check_accepted()
        if self._closed is not None:
            raise self._closed
        await self._until_or_broken(
            lambda: self._server.unreceived < UNRECEIVED_BYTES or self.future.done(), "room for another message"
        )
        if self.future.done() and self.output_queue.empty():
            self._raise_unmet()
        self._server.message(data)

    async def send_json(self, value: Any, mode: Literal["text", "binary"] = "text") -> None:
        """Send a value as JSON, in a text message or a binary one. Raises as `send`."""
        await self.send(STANDARD_JSON.encode_text(value) if mode == "text" else STANDARD_JSON.encode_bytes(value))

    async def receive(self) -> str | bytes:
        """Return the next message of the application: text as str, binary as bytes.

        Raises:
            ConnectionClosed: the application has closed the connection, or the peer has; `ApplicationEnded` if the
                application ended without doing so.
            HandshakeDenied: the handshake was denied.
            WaitTimeout: no message comes.
            Exception: what the application raised.
        """
        self._check_accepted()
        if self._closed is not None and self.output_queue.empty():
            self._raise_unmet()
            raise self._closed
        if not self._link.reads and self.output_queue.empty():
            raise RuntimeError("the peer does not read: call resume_reading() before receive()")
        event = await self._next("a message from the application")
        if event is None:
            raise self._end()
        if event["type"] == "websocket.close":
            raise self._close_seen(event)
        data: str | bytes | None = event.get("text")
        return event["bytes"] if data is None else data

    async def receive_json(self) -> Any:
        """Return the value of the next message, which is JSON as text or binary.

        Raises:
            InvalidJSON: it is none.
            Exception: as `receive`.
        """
        return STANDARD_JSON.decode(await self.receive())

    # -- the end

    async def close(self, code: int | None = CloseCode.NORMAL, reason: str = "") -> None:
        """Close the connection as the peer; None for a close frame without a code. Does nothing after an end.

        Raises:
            InvalidCloseCode, InvalidCloseReason: for what no close frame may carry.
        """
        self._check_accepted()
        self._look_for_close()
        if self._closed is not None:
            return
        if code is not None:
            check_close(code, reason)
        if not self._link.is_up:
            self._closed = ConnectionClosed(CloseCode.ABNORMAL)
            return
        self._server.close(code, reason)
        answer = self._profile.answers_with
        if answer is not None:
            self._closed = ConnectionClosed(answer)
        else:
            self._closed = ConnectionClosed(CloseCode.NO_STATUS if code is None else code, reason)

    async def abort(self) -> None:
        """End the connection without a close frame, as a process that is killed does; the server is told at once.

        After `lose_connection` this is the moment in which the server finds the connection dead.
        """
        if not self._handshake.is_sent:
            raise RuntimeError("not connected: call connect() first")
        self._look_for_close()
        if self._closed is None:
            self._closed = ConnectionClosed(CloseCode.ABNORMAL)
        self._server.abort()

    async def wait_closed(self) -> tuple[int, str]:
        """Wait for the connection to end; the close code and the reason that the peer sees. Messages are kept.

        Raises:
            HandshakeDenied: the handshake was denied.
            RuntimeError: the peer does not read, and so does not see the application's close.
            WaitTimeout: the connection does not end.
            Exception: what the application raised.
        """
        self._check_accepted()
        task, link = self.future, self._link

        def is_over() -> bool:
            # Another task of the test may yet let the peer read.
            is_closed = self._closed or self._close_event or (link.close_waits and link.reads)
            return bool(is_closed or self._server.peer_left or task.done())

        if not link.close_waits:
            await self._until_or_broken(is_over, "the connection to end")
        if link.close_waits and not link.reads:
            raise RuntimeError("the peer does not read: call resume_reading() before wait_closed()")
        end = self._end()
        return end.code, end.reason

    @property
    def _close_event(self) -> Event | None:
        """The application's close, once it has reached the peer: nothing comes after it."""
        last = self._last_output
        return last if last is not None and last["type"] == "websocket.close" else None

    def _close_seen(self, event: Event) -> ConnectionClosed:
        if self._closed is None:
            self._closed = ConnectionClosed(event.get("code", CloseCode.NORMAL), event.get("reason") or "")
        return self._closed

    def _look_for_close(self) -> None:
        """See the application's close, if it came first."""
        if self._link.close_waits:
            self._link.flush(to_end=True)
        if self._close_event is not None:
            self._close_seen(self._close_event)

    def _end(self) -> ConnectionClosed:
        """Return the end of the connection as the peer sees it."""
        self._look_for_close()
        if self._closed is not None:
            return self._closed
        self._raise_unmet()
        profile = self._profile
        if self._server.has_ended:
            self._closed = ConnectionClosed(CloseCode.ABNORMAL)
            return self._closed
        ended = "was stopped" if self.future.cancelled() else "returned"
        how = ended if self.error is None else f"raised {type(self.error).__name__}"
        code = profile.code_of_return if self.error is None else profile.code_of_raise
        why = f"the application {how} without closing the connection"
        if code is None:
            why, code = f"{why}, which {profile.name} leaves open", CloseCode.ABNORMAL
        self._closed = ApplicationEnded(code, "", why)
        return self._closed

    def _check_accepted(self) -> None:
        answer = self._handshake.answer
        if isinstance(answer, Denied):
            raise HandshakeDenied(answer.status)
        if answer is None:
            raise RuntimeError("not connected: call connect() first")

    # -- the network

    def pause_reading(self) -> None:
        """Stop to read: once `high_water` bytes are unread the application's `send` waits, on servers that let it."""
        self._link.pause()

    def resume_reading(self) -> None:
        """Read what has come, and everything from now on."""
        self._link.resume()

    async def wait_blocked(self) -> None:
        """Wait until a `send` of the application's waits for the peer to read.

        Raises:
            ConnectionClosed: the application has ended.
            HandshakeDenied: the handshake was denied.
            RuntimeError: the server is one that never makes a sender wait.
            WaitTimeout: none does.
            Exception: what the application raised.
        """
        self._check_accepted()
        if not self._profile.send_blocks:
            raise RuntimeError(f"{self._profile.name} never makes a sender wait: it takes everything at once")
        await self._until_or_broken(
            lambda: self._link.blocked > 0 or self.future.done(), "a send that waits for the peer to read"
        )
        if not self._link.blocked:
            raise self._end()

    def lose_connection(self) -> None:
        """Cut the network: nothing arrives at either end any more, and neither is told.

        Sent data fills the system's buffers, and then `send` waits. `abort` makes the server notice the loss.
        """
        self._link.is_up = False

    async def _close(self) -> None:
        if self._closed is None and isinstance(self._handshake.answer, Accepted):
            await self.close()
        if not self._server.peer_left:
            self._server.abort()
        await self._until_ended("the application to end after the peer left")
