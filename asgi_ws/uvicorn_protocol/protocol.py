"""WebSocketProtocol: what uvicorn asks of a WebSocket class, and the application's side of a connection."""

import asyncio
import contextvars
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast

from uvicorn.config import Config
from uvicorn.logging import TRACE_LOG_LEVEL
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState

from .._asgi import ASGIApp, Broadcast, Event, Scope
from ..close_codes import CloseCode, check_close
from ..errors import InvalidMessage, LifecycleError, leaves
from ..extensions import ABORT_EXTENSION
from ..sizes import KIB
from ..wire.deflate import Deflate
from ..wire.frames import BINARY, COMPRESSED, SHORT_HEADERS, TEXT, header
from ..wire.handshake import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_LINE_BYTES,
    MAX_TARGET_BYTES,
    HandshakeRefused,
    read_handshake,
)
from ..wire.reader import FrameReader
from . import defaults, handover
from .connection import Connection, logger
from .denial import Denial
from .opening import Opening, limit_of
from .phases import ENDING, Phase
from .scope import address, websocket_scope

# Each message asks for the phase, and to read a member of an enum is dear.
_OPEN: Final = Phase.OPEN
_CLOSING: Final = Phase.CLOSING
# A payload below this has its length in the second byte of a frame.
_SHORT: Final = len(SHORT_HEADERS[TEXT])
# Those of a message as most applications send it.
_KEYS: Final = 2
# After so many bytes without a wait the `send` of a handler waits for the next iteration. A frame counts as so many.
_SLICE_BYTES: Final = 128 * KIB
_FRAME_COST: Final = 128
# Seconds until uvicorn cancels the tasks left at a stop without a graceful time-out.
_GRACE_SECONDS: Final = 4.0
_REFUSED: Final = "%s - WebSocket handshake refused: %s"


class WebSocketProtocol(Connection):
    """A WebSocket class for `uvicorn --ws`, for any ASGI application.

    It keeps to uvicorn's settings (`ws_max_size`, `ws_max_queue`, `ws_ping_interval`, `ws_ping_timeout`,
    `ws_per_message_deflate`, `limit_concurrency`, `timeout_graceful_shutdown`, headers, root path, logging). For what
    uvicorn has no setting there are attributes, for a subclass to change.

    Attributes:
        accept_timeout: seconds that the application has to accept or to deny, past which the answer is 503; and for
            each part of a denial, past which the connection is dropped.
        close_timeout: seconds that a client has to answer a close frame, and to take what was written before the end.
        shutdown_timeout: seconds that a peer has for the closing handshake when the server stops.
        max_fragments: of one message. Past it: 1009.
        max_target_bytes: of the request target of a handshake. Past it: 414.
        max_header_bytes: of one of its headers, name included. Past it: 431.
        max_headers: of a handshake, their number. Past it: 431.
        max_head_bytes: of the whole handshake. Past it: 431.
        max_queue_bytes: that wait for the application before the transport is told to pause reading.
        server_context_takeover: whether messages are compressed with what the connection has seen before: smaller, but
            with a context for each connection, and each anew in a broadcast.
    """

    accept_timeout: ClassVar[float] = 30.0
    shutdown_timeout: ClassVar[float] = 3.0
    max_fragments: ClassVar[int] = 131_072
    max_target_bytes: ClassVar[int] = MAX_TARGET_BYTES
    max_header_bytes: ClassVar[int] = MAX_LINE_BYTES
    max_headers: ClassVar[int] = MAX_HEADERS
    max_head_bytes: ClassVar[int] = MAX_HEAD_BYTES
    max_queue_bytes: ClassVar[int] = 128 * KIB
    server_context_takeover: ClassVar[bool] = True

    # From the request until it is accepted.
    _opening: Opening
    # From DENYING on.
    _denial: Denial

    __slots__ = (
        "_app_state",
        "_config",
        "_deflate",
        "_denial",
        "_has_compressed",
        "_has_ended",
        "_opening",
        "_server_state",
        "_task",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(_loop or asyncio.get_event_loop())
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        # The agreement of the handshake. None without compression.
        self._deflate: Deflate | None = None
        # Runs the application. None before the request, and after its end.
        self._task: asyncio.Task[None] | None = None
        # Whether the application has closed or denied, or has taken note by a close of its own that the client did.
        self._has_ended = False
        # Whether anything was compressed since the last ping.
        self._has_compressed = False

    # -- asyncio, and uvicorn

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport from uvicorn's HTTP class."""
        # uvloop's are not a subclass of it.
        transport = cast("asyncio.Transport", transport)
        reader = FrameReader(
            max_message_bytes=self._config.ws_max_size,
            max_fragments=self.max_fragments,
        )
        handover.clear(transport)
        self._attach(transport, reader, max_messages=max(1, self._config.ws_max_queue), max_bytes=self.max_queue_bytes)
        self._server_state.connections.add(self)  # type: ignore[arg-type] # it lists its own classes
        self._trace("made")

    def data_received(self, data: bytes) -> None:
        """Read the request, which uvicorn's HTTP class has put together again, and then frames."""
        phase = self._phase
        if phase is _OPEN or phase is _CLOSING:
            self._receive_buffer.feed(data)
        elif phase is Phase.UPGRADING:
            self._upgrade(data)
        elif phase is Phase.CONNECTING:
            # RFC 6455 section 4.1: a client waits for the answer.
            self._refuse_handshake(HandshakeRefused(400, "data before the handshake was answered"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify application and server that the transport is closed."""
        super().connection_lost(exc)
        self._leave_server()
        self._deflate = None
        self._trace("lost")

    def _leave_server(self) -> None:
        """Leave the server's connections, which a stop asks to end, once transport and application have ended."""
        if self._phase is Phase.LOST and self._task is None:
            self._receive_buffer.close()
            self._server_state.connections.discard(self)

    def shutdown(self) -> None:
        """Close the connection within `shutdown_timeout`, and cancel the application a second after that."""
        if self._phase is Phase.CONNECTING:
            self._refuse_handshake(HandshakeRefused(503, "the server stops"), CloseCode.SERVICE_RESTART)
        elif self._phase is Phase.OPEN:
            self._close(CloseCode.SERVICE_RESTART, "")
        elif self._phase is Phase.DENYING:
            self._close_transport(self.shutdown_timeout)
        if self._phase is not Phase.LOST:
            self._set_deadline(self.shutdown_timeout, self._abort)
        if self._task is not None and self._config.timeout_graceful_shutdown is None:
            self._loop.call_later(_GRACE_SECONDS, self._task.cancel)

    def _trace(self, what: str) -> None:
        if logger.level <= TRACE_LOG_LEVEL:
            logger.log(TRACE_LOG_LEVEL, "%s - WebSocket connection %s", address(self._writer.transport), what)

    # -- the handshake

    def _upgrade(self, request: bytes) -> None:
        config, state, transport = self._config, self._server_state, self._writer.transport
        http = transport.get_protocol()
        if handover.has_unanswered_request(http):
            self._give_back(http)
            return
        try:
            handover.check_version(transport)
            handshake = read_handshake(
                request,
                max_target_bytes=self.max_target_bytes,
                max_header_bytes=self.max_header_bytes,
                max_headers=self.max_headers,
                max_head_bytes=self.max_head_bytes,
            )
            opening = Opening(handshake, config, server_context_takeover=self.server_context_takeover)
            limit = config.limit_concurrency
            if limit is not None and (len(state.connections) >= limit or len(state.tasks) >= limit):
                raise HandshakeRefused(503, "Exceeded concurrency limit.")
        except HandshakeRefused as refused:
            # Of the two only the limit is the server's affair.
            level = logging.WARNING if refused.status == HTTPStatus.SERVICE_UNAVAILABLE else logging.INFO
            logger.log(level, _REFUSED, address(transport), refused)
            self._refuse_handshake(refused)
            return
        scope = websocket_scope(handshake, config, self._app_state, transport)
        self._opening = opening
        opening.begin(scope)
        self._enter(Phase.CONNECTING)
        self._set_deadline(self.accept_timeout, self._on_no_answer)
        self._receive_buffer.put({"type": "websocket.connect"})
        context = contextvars.Context() if config.reset_contextvars else None
        self._task = self._loop.create_task(self._run(scope), context=context)
        state.tasks.add(self._task)
        self._task.add_done_callback(self._on_task_done)

    def _give_back(self, http: Any) -> None:
        """Refuse a handshake whose client did not wait for the response to the request before it.

        That response comes, and nothing after it: the handshake has no answer that could not be mistaken for it.
        """
        transport, connections = self._writer.transport, cast("set[Any]", self._server_state.connections)
        logger.info(_REFUSED, address(transport), "the request before it is not answered yet")
        self._enter(Phase.DRAINING)
        connections.discard(self)
        connections.add(http)
        # As at a stop: it closes the transport after its last response.
        http.shutdown()
        self._loop.call_soon(handover.give_back, transport, http)

    def _refuse_handshake(self, refused: HandshakeRefused, code: int = CloseCode.ABNORMAL) -> None:
        self._refuse(refused, self._default_headers(), code)

    def _default_headers(self) -> list[tuple[bytes, bytes]]:
        return defaults.usable(tuple(self._server_state.default_headers))

    def _on_no_answer(self) -> None:
        self._opening.log(f"503, not accepted in {self.accept_timeout:g} s", logging.WARNING)
        self._refuse_handshake(HandshakeRefused(503, "not accepted in time"))

    # -- the application

    async def _run(self, scope: Scope) -> None:
        is_failed = True
        try:
            if self._task is None:
                # Begun by an eager task factory, before uvicorn has handed over the transport.
                await asyncio.sleep(0)
            # uvicorn's own types of an event are narrower than ours.
            app = cast("ASGIApp", self._config.loaded_app)
            result: object = await app(scope, self._receive_buffer.receive, self.send)  # type: ignore[func-returns-value]
            is_failed = False
        except BaseException as error:
            # As in other servers, an exception of the application is logged, and `sys.exit` in one handler does not end
            # the others. A cancellation of this task or an interrupt of the program goes on.
            task = asyncio.current_task()
            is_cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
            if is_cancelled or isinstance(error, KeyboardInterrupt):
                raise
            if not all(self._is_leaving(cause) for cause in leaves(error)):
                logger.exception("Exception in ASGI application\n")
        else:
            if self._phase in (Phase.CONNECTING, Phase.DENYING):
                logger.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                logger.error("ASGI callable should return None, but returned '%s'.", result)
        finally:
            self._on_application_end(is_failed=is_failed)

    def _on_task_done(self, task: "asyncio.Task[None]") -> None:
        self._server_state.tasks.discard(task)
        self._task = None
        self._leave_server()

    def _is_leaving(self, error: BaseException) -> bool:
        """Return True if this is how `send` or `receive` told the application that the connection has ended.

        Frameworks make an exception of their own of that, which has the close code (Starlette: WebSocketDisconnect).
        A handler that does not catch it has not failed.
        """
        # One that the server closes has ended for the application before the client's answer comes.
        if self._phase not in ENDING and not self._writer.transport.is_closing():
            # It is that of another connection, and this one's client is still there.
            return False
        if isinstance(error, ClientDisconnected):
            return True
        code = getattr(error, "code", None)
        return not self._has_ended and code is not None and code in (self._receive_buffer.end_code, CloseCode.ABNORMAL)

    def _on_application_end(self, *, is_failed: bool) -> None:
        phase = self._phase
        if phase is Phase.CONNECTING or (phase is Phase.DENYING and not self._denial.is_started):
            self._opening.log("500")
            self._refuse_handshake(HandshakeRefused(500, "Internal Server Error"))
        elif phase is Phase.DENYING:
            self._close_transport(self.close_timeout)
        elif phase is Phase.OPEN:
            self._close(CloseCode.INTERNAL_ERROR if is_failed else CloseCode.NORMAL, "")

    async def send(self, event: Event) -> None:  # noqa: C901, PLR0912 -- each call less is one for each message
        """Send an event of the application (ASGI, "WebSocket").

        Raises:
            ClientDisconnected: an OSError, after the peer left.
            LifecycleError: a RuntimeError, for an event that cannot come now.
            UsageError: for a payload, code, reason, header or subprotocol that cannot be sent. Nothing was.
        """
        if self._phase is not _OPEN or event["type"] != "websocket.send":
            await self._send_other(event)
            return
        writer = self._writer
        if writer.must_wait:
            await writer.wait_turn()
            if self._phase is not _OPEN:
                raise self._too_late("websocket.send")
        text = event.get("text")
        if text is not None:
            first = TEXT
            if len(event) > _KEYS and event.get("bytes") is not None:
                raise InvalidMessage("websocket.send", "one of text and bytes", event)
            try:
                payload = text.encode()
            except (AttributeError, UnicodeEncodeError):
                raise InvalidMessage("text", "text that UTF-8 can encode", text) from None
        else:
            first = BINARY
            payload = event.get("bytes")
            if not isinstance(payload, bytes):
                payload = _as_bytes(payload)
        transport = writer.transport
        if transport.is_closing():
            raise ClientDisconnected
        if self._deflate is not None:
            first, payload = self._compressed(self._deflate, first, payload)
        size = len(payload)
        frame = (SHORT_HEADERS[first][size] if size < _SHORT else header(first, size)) + payload
        received = self._receive_buffer
        # While the handler waits another task sends, to a room for example, and may have more in this iteration.
        if received.events or received.waiter is not None or received.reader.has_more or writer.always_corks:
            writer.cork(frame)
        elif writer.corked:
            writer.write(frame)
        else:
            transport.write(frame)
        writer.sent += size + _FRAME_COST
        if writer.sent > _SLICE_BYTES:
            await writer.yield_iteration()

    def _compressed(self, deflate: Deflate, first: int, payload: bytes) -> tuple[int, bytes]:
        """Return the first byte of a frame and its payload, compressed where that pays."""
        if len(payload) < deflate.minimum:
            return first, payload
        self._has_compressed = True
        compressed = deflate.compress(payload)
        return (first, payload) if compressed is None else (first | COMPRESSED, compressed)

    def push_broadcast(self, broadcast: Broadcast, *, in_turn: bool = False) -> bool:
        """Send a message that others get too, unless it has to wait; whether it was sent (see `_asgi.Broadcast`)."""
        writer = self._writer
        if self._phase is not _OPEN or (writer.must_wait and not in_turn) or writer.transport.is_closing():
            return False
        frame = broadcast.frame if self._deflate is None else None
        if frame is None:
            first, payload = TEXT if "text" in broadcast.event else BINARY, broadcast.payload
            if self._deflate is not None:
                first, payload = self._compressed(self._deflate, first, payload)
            size = len(payload)
            frame = (SHORT_HEADERS[first][size] if size < _SHORT else header(first, size)) + payload
            if self._deflate is None:
                broadcast.frame = frame
        writer.push(frame)
        return True

    async def broadcast_in_turn(self, take: Callable[[], Broadcast | None]) -> None:
        """Wait until a message may go, and send the one that `take` gives then (see `_asgi.Broadcast`).

        Raises:
            ClientDisconnected: an OSError, when nothing more can be sent.
        """
        if self._writer.must_wait:
            await self._writer.wait_turn()
        broadcast = take()
        if broadcast is not None and not self.push_broadcast(broadcast, in_turn=True):
            raise ClientDisconnected

    async def _send_other(self, event: Event) -> None:
        kind = event["type"]
        phase = self._phase
        if kind == ABORT_EXTENSION:
            self._abort()
        elif phase is Phase.CONNECTING and kind == "websocket.accept":
            self._accept(event)
        elif phase is Phase.CONNECTING and kind == "websocket.close":
            self._has_ended = True
            self._opening.log("403")
            self._refuse_handshake(HandshakeRefused(403, "Forbidden"))
        elif phase is Phase.CONNECTING and kind == "websocket.http.response.start":
            self._denial = Denial(event, self._default_headers())
            self._opening.log(str(self._denial.status))
            self._enter(Phase.DENYING)
            self._set_deadline(self.accept_timeout, self._abort)
        elif phase is Phase.DENYING and kind == "websocket.http.response.body":
            await self._send_denial(self._denial, event)
        elif phase is Phase.OPEN and kind == "websocket.close":
            await self._close_in_turn(event)
        elif kind == "websocket.close" and not self._has_ended and phase in ENDING:
            # The peer has left, and what was to be done is done.
            self._has_ended = True
        else:
            raise self._too_late(kind)

    def _too_late(self, kind: object) -> Exception:
        """Return the error for an event that cannot come now: the application's mistake, unless the peer has left."""
        if self._has_ended or self._phase not in ENDING:
            return LifecycleError(f"the event {kind!r}", self._phase.name)
        return ClientDisconnected()

    async def _close_in_turn(self, event: Event) -> None:
        """Close as the application asks for, after the messages that wait already, within `close_timeout`."""
        code = CloseCode.NORMAL if event.get("code") is None else event["code"]
        reason = event.get("reason") or ""
        if self._writer.must_wait:
            check_close(code, reason)
            if not await self._can_close() or self._phase is not Phase.OPEN:
                # The peer has left, or another close came first.
                if self._has_ended:
                    raise self._too_late("websocket.close")
                self._has_ended = True
                return
        self._close(code, reason)
        self._has_ended = True

    async def _can_close(self) -> bool:
        """Wait for a close frame's turn, and return False if the peer is gone. To cancel it drops the connection."""
        deadline = self._loop.call_later(self.close_timeout, self._abort)
        try:
            await self._writer.wait_turn()
        except ClientDisconnected:
            return False
        except asyncio.CancelledError:
            self._abort()
            raise
        finally:
            deadline.cancel()
        return True

    def _accept(self, event: Event) -> None:
        opening, largest = self._opening, limit_of(event)
        response = opening.accept(event, self._default_headers())
        opening.log("[accepted]")
        if largest is not None and largest <= self._config.ws_max_size:
            self._max_message_bytes = largest
            self._receive_buffer.reader.restrict(largest)
        if opening.deflate is not None:
            self._deflate = Deflate(opening.deflate)
            self._receive_buffer.reader.inflater = self._deflate
        del self._opening
        self._writer.write(response)
        self._open(self._config.ws_ping_interval, self._config.ws_ping_timeout, self._on_ping)

    def _on_ping(self) -> None:
        """Give back what compresses, where nothing was since the last ping."""
        if self._deflate is not None and not self._has_compressed:
            self._deflate.release()
        self._has_compressed = False

    async def _send_denial(self, denial: Denial, event: Event) -> None:
        if self._writer.must_wait:
            await self._writer.wait_turn()
        self._writer.write(denial.body(event))
        if denial.is_complete:
            self._has_ended = True
            self._receive_buffer.on_end(CloseCode.ABNORMAL)
            self._half_close()
        else:
            self._set_deadline(self.accept_timeout, self._abort)


def _as_bytes(payload: object) -> bytes:
    if isinstance(payload, (bytearray, memoryview)):
        return bytes(payload)
    raise InvalidMessage("bytes", "bytes, or text under its own key", payload)
