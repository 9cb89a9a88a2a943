"""WebSocketApp: a handler as an ASGI callable, under a policy, with an answer of ours to every ending."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from .._asgi import HeadersLike, Receive, Scope, Send
from ..close_codes import CloseCode
from ..connection import client_key
from ..errors import (
    HTTPError,
    PayloadError,
    PeerError,
    UnexpectedMessageType,
    UnsupportedScope,
    UsageError,
    leaves,
    show,
)
from ..json_codec import JSONCodec
from ..limits import Limits, Refusal, Statistics, Usage
from ..security import Policy, Refused
from .channel import FORCED_CLOSE_TIMEOUT
from .state import WebSocketState
from .websocket import WebSocket, channel_of

logger = logging.getLogger("asgi_ws")

# A host name has at most 253 characters (RFC 1035 section 2.3.4), beside a scheme, a port and quotes.
_LONGEST_ENTRY: Final = 280

Handler: TypeAlias = Callable[[WebSocket], Awaitable[None]]


class WebSocketApp:
    """An ASGI callable that serves WebSocket scopes with a handler. Made by `websocket_app` and `as_asgi`."""

    def __init__(self, handler: Handler, *, policy: Policy, limits: Limits, json: JSONCodec, name: str) -> None:
        self._handler = handler
        self._policy = policy
        self._limits = limits
        self._json = json
        self._usage = Usage(limits)
        # The default name of a route to it.
        self.__name__ = name

    def __repr__(self) -> str:
        return f"<WebSocketApp {self.__name__}>"

    def statistics(self) -> Statistics:
        """Return the counters since the start."""
        return self._usage.statistics()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI, "WebSocket").

        Raises:
            UnsupportedScope: for a scope of another type.
            Exception: what the handler raised, after the connection was closed with 1011 or refused with 500.
        """
        if scope["type"] != "websocket":
            raise UnsupportedScope(scope["type"], ["websocket"])
        ws = WebSocket(scope, receive, send, limits=self._limits, json=self._json, usage=self._usage)
        # Read only where somebody counts.
        client = None if self._limits.max_connections_per_client is None else client_key(scope)
        refused = self._policy.refuses(scope)
        refusal = self._usage.admit(client) if refused is None else refused.refusal
        if refusal is not None:
            _log_refusal(ws, refusal, refused)
            await self._refuse(ws, refusal)
            return
        try:
            await self._serve(ws)
        finally:
            self._usage.discard(client)

    async def _serve(self, ws: WebSocket) -> None:
        failure: BaseException | None = None
        try:
            await self._run(ws)
        except BaseException as error:
            failure = error
            self._usage.failed += isinstance(error, Exception)
            raise
        finally:
            channel = channel_of(ws)
            try:
                if not channel.is_settled:
                    await self._settle(ws, is_cancelled=isinstance(failure, asyncio.CancelledError))
            finally:
                if (on_disconnect := channel.on_disconnect) is not None:
                    # It refers to the WebSocket, and so to the channel.
                    channel.on_disconnect = None
                    await self._call_on_disconnect(on_disconnect, ws.close_code, failure)
                # An exception that this frame keeps would keep this frame.
                del failure

    async def _settle(self, ws: WebSocket, *, is_cancelled: bool) -> None:
        """Answer the handshake and close the connection, whatever failed before."""
        if ws.application_state is WebSocketState.CONNECTING:
            await self._deny(ws, 500, "Internal Server Error")
        elif ws.application_state is WebSocketState.CONNECTED:
            await ws.close(CloseCode.INTERNAL_ERROR, timeout=FORCED_CLOSE_TIMEOUT)
        await channel_of(ws).finish_closing(FORCED_CLOSE_TIMEOUT if is_cancelled else None)

    async def _call_on_disconnect(
        self, on_disconnect: Callable[[int], Awaitable[None]], code: int | None, failure: BaseException | None
    ) -> None:
        """Call `on_disconnect`, whose endpoint was entered. Of two failures the handler's goes on."""
        try:
            await on_disconnect(CloseCode.ABNORMAL if code is None else code)
        except Exception as error:
            if all(isinstance(cause, PeerError) for cause in leaves(error)):
                return
            if failure is None:
                self._usage.failed += 1
                raise
            logger.exception("on_disconnect raised after the endpoint had raised")

    async def _run(self, ws: WebSocket) -> None:
        seconds = self._limits.accept_timeout
        deadline = channel_of(ws).watch_handshake(seconds)
        is_late = False
        try:
            try:
                await self._handler(ws)
            finally:
                is_late = await deadline.end()
        except asyncio.CancelledError:
            if is_late:
                if not ws.closed:
                    await self._refuse_late(ws)
                return
            # The server stops, or an application above does: hypercorn and daphne leave the client without a word then.
            # A cancellation that nobody asked for is one that the handler met in something else, and let through.
            task = asyncio.current_task()
            is_ours = task is None or task.cancelling() > 0
            code = CloseCode.SERVICE_RESTART if is_ours else CloseCode.INTERNAL_ERROR
            await ws.close(code, timeout=FORCED_CLOSE_TIMEOUT)
            raise
        except Exception as error:
            is_cleanup = isinstance(error, TimeoutError) and ws.application_state is WebSocketState.CONNECTING
            if is_cleanup and deadline.expired:
                # Cleaning up after our cancellation took the handler too long as well.
                await self._refuse_late(ws)
            elif not await self._answer(error, ws):
                raise
        else:
            if ws.application_state is WebSocketState.CONNECTING:
                await self._refuse(ws, Refusal.NOT_ACCEPTED)
            elif not ws.closed:
                await ws.close()

    async def _refuse_late(self, ws: WebSocket) -> None:
        logger.warning("%s was not accepted within %s s", ws, self._limits.accept_timeout)
        await self._refuse(ws, Refusal.ACCEPT_TIMEOUT)

    async def _answer(self, error: Exception, ws: WebSocket) -> bool:
        """End the connection after a handler raised; whether that was nobody's mistake but the peer's."""
        causes = list(leaves(error))
        answers = [cause for cause in causes if isinstance(cause, HTTPError)]
        if len(answers) == len(causes) and ws.application_state is WebSocketState.CONNECTING:
            await self._deny(ws, answers[0].status, answers[0].detail, answers[0].headers)
            return True
        if all(isinstance(cause, PeerError) for cause in causes):
            payload = next((cause for cause in causes if isinstance(cause, PayloadError)), None)
            if payload is not None and not ws.closed:
                refusal = Refusal.MESSAGE_TYPE if isinstance(payload, UnexpectedMessageType) else Refusal.PAYLOAD
                await self._refuse(ws, refusal, payload.close_code)
            if ws.closed:
                return True
        if ws.application_state is not WebSocketState.CONNECTING:
            await ws.close(CloseCode.INTERNAL_ERROR)
        return False

    async def _refuse(self, ws: WebSocket, refusal: Refusal, close_code: int | None = None) -> None:
        """Refuse a connection before accept, and close it after."""
        self._usage.refused[refusal.name] += 1
        if ws.application_state is WebSocketState.CONNECTING:
            await self._deny(ws, refusal.status, refusal.reason)
        else:
            await ws.close(refusal.close_code if close_code is None else close_code, refusal.reason)

    async def _deny(self, ws: WebSocket, status: int, body: str, headers: HeadersLike = ()) -> None:
        try:
            await ws.deny(status, body, headers)
        except UsageError:
            raise
        except Exception:
            # The client may leave before its refusal comes, and what a server makes of that is its own affair.
            logger.debug("the server refused a denial", exc_info=True)


def _log_refusal(ws: WebSocket, refusal: Refusal, refused: Refused | None) -> None:
    if refused is None:
        logger.info("refused WebSocket from %s: %s", ws.client, refusal.reason)
        return
    what, parameter = ("from origin", "origins") if refusal is Refusal.ORIGIN else ("for host", "hosts")
    entry = None if refused.entry is None else show(refused.entry, _LONGEST_ENTRY)
    # An entry that is cut could not be copied.
    hint = "" if entry is None or entry.endswith("...") else f"; to let it in: {parameter}=[{entry}]"
    logger.info("refused WebSocket %s %s%s", what, show(refused.value, _LONGEST_ENTRY), hint)
