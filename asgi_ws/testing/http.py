"""HTTP to an application, by the HTTP client library: its own transport, around the application under watch."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from .._asgi import ASGIApp, Event, Receive, Scope, Send
from .checked import CheckedRun
from .clock import checked_bound
from .conformance_http import (
    BODY,
    DEBUG_EXTENSION,
    START,
    TRAILERS,
    TRAILERS_EXTENSION,
    ResponseState,
    after,
    settled,
    violation,
)
from .errors import Unanswered, show
from .libraries import httpx2
from .manners import SPEC, Manners, manners_of
from .scopes import connection_scope, paths

# A failing test shows its own line and the message, and none of these calls (pytest).
__tracebackhide__ = True

_PORTS: Final = {"http": 80, "https": 443}
_UNANSWERED: Final = {
    ResponseState.START: (START, "http.response.start"),
    ResponseState.BODY: (BODY, "an http.response.body without more_body"),
    ResponseState.TRAILERS: (TRAILERS, "http.response.trailers"),
}
# A response is collected whole: an endless one must not take the memory that there is.
_MOST_COLLECTED: Final = 64 * 1024 * 1024


class _Exchange(CheckedRun):
    """One request to the application, and its response, which goes on to the transport.

    Attributes:
        notes: what came by way of an extension, by its name.
    """

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        manners: Manners,
        timeout: float,
        raise_server_exceptions: bool,
        check_leaks: bool,
        is_body_whole: bool,
    ) -> None:
        super().__init__(
            app, scope, timeout=timeout, raise_server_exceptions=raise_server_exceptions, check_leaks=check_leaks
        )
        self.notes: dict[str, Any] = {}
        self._receive = self._read
        self._send = self._check
        self._receive_of_transport = receive
        self._send_of_transport = send
        self._lowers_names = manners is not SPEC
        self._state = ResponseState.START
        self._has_trailers = False
        # How many bytes of a body there are, and whether more than fits has come.
        self._collected = 0
        self._is_full = False
        # The request's body is one piece, which the transport follows with an end of its own.
        self._is_body_whole = is_body_whole

    async def _read(self) -> Event:
        await self._turn()
        event = await self._receive_of_transport()
        if self._is_body_whole and event.get("more_body", False):
            # Servers give such a body and its end as one event.
            await self._receive_of_transport()
            event = {**event, "more_body": False}
        self._given.append(show(event))
        return event

    async def _turn(self) -> None:
        # The transport never waits: an application that always has something to do would keep the loop, and every
        # bound of a wait needs it.
        await asyncio.sleep(0)

    async def _check(self, event: Event) -> None:
        await self._turn()
        event = settled(event, lowers_names=self._lowers_names)
        broken = violation(event, self._state, self.scope)
        if broken is not None:
            self._refuse(broken)
        self._taken.append(show(event))
        await self._until_room(event)
        kind = event["type"]
        if kind == "http.response.start":
            self._has_trailers = bool(event.get("trailers", False))
        elif kind == TRAILERS_EXTENSION:
            self.notes.setdefault(kind, []).extend(event.get("headers", ()))
        elif kind == DEBUG_EXTENSION:
            self.notes[kind] = event["info"]
        self._state = after(event, self._state, has_trailers=self._has_trailers)
        await self._send_of_transport(event)

    async def _until_room(self, event: Event) -> None:
        self._is_full = self._collected >= _MOST_COLLECTED
        if self._is_full:
            await asyncio.get_running_loop().create_future()
        if self.scope["method"] != "HEAD":
            self._collected += len(event.get("body", b""))

    def _report(self) -> str:
        report = super()._report()
        if not self._is_full:
            return report
        return f"  send waits: a response is collected whole, and no more than {_MOST_COLLECTED} bytes of it\n{report}"

    async def finish(self) -> None:
        """Wait for the application to end, which has to have answered.

        Raises:
            WaitTimeout: it does not end in time.
            ProtocolViolation: it sent what the ASGI text forbids.
            Unanswered: it returned before its response was complete.
            Exception: what it raised.
        """
        task = self.future
        await self._until(lambda: task.done() or self._violation is not None, "the application to answer and end")
        self._raise_unmet()
        if self._state is ResponseState.NOTHING:
            return
        if self.error is None:
            clause, missing = _UNANSWERED[self._state]
            raise Unanswered(clause, f"the application returned without {missing}")
        # As servers do: 500, unless the response has begun. Then its end is missing, which is not to be seen here.
        if self._state is ResponseState.START:
            await self._send_of_transport({"type": "http.response.start", "status": 500, "headers": []})
        if self._state is not ResponseState.TRAILERS:
            await self._send_of_transport({"type": "http.response.body", "body": b""})


class ApplicationTransport(httpx2.AsyncBaseTransport):
    """The library's transport to an application, which is watched.

    `state` is read at each request, so it may be filled later.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        state: Mapping[str, Any] | None,
        extensions: Mapping[str, Any] | None,
        client: tuple[str, int] | None,
        root_path: str,
        timeout: float,
        raise_server_exceptions: bool,
        check_leaks: bool,
        server: str,
    ) -> None:
        self._app = app
        self._state: Mapping[str, Any] = {} if state is None else state
        self._extensions = extensions or {}
        self._client = client
        self._root_path = root_path
        self._timeout = checked_bound(timeout)
        self._raise_server_exceptions = raise_server_exceptions
        self._check_leaks = check_leaks
        self._manners = manners_of(server)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, and return its response, whole, after the application has ended.

        Raises:
            WaitTimeout: the application does not end in time.
            ProtocolViolation: it sent what the ASGI text forbids.
            Unanswered: it returned before its response was complete.
            LeakedTasks: it left tasks running.
            ValueError: the URL is none of HTTP.
            Exception: what it raised, unless that is to be a response with the status 500.
        """
        if request.url.scheme not in _PORTS:
            raise ValueError(
                f"url {str(request.url)!r}: expected http:// or https://; a WebSocket is for "
                "TestClient.websocket_connect, or for a WebSocketCommunicator"
            )
        notes: dict[str, Any] = {}

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            async with _Exchange(
                self._app,
                self._completed(scope),
                receive,
                send,
                manners=self._manners,
                timeout=self._timeout,
                raise_server_exceptions=self._raise_server_exceptions,
                check_leaks=self._check_leaks,
                is_body_whole=isinstance(request.stream, httpx2.ByteStream),
            ) as exchange:
                await exchange.finish()
            notes.update(exchange.notes)

        # What the application raises is dealt with in there: asked to answer with 500, the library would hide the
        # kit's own errors as well.
        response = await httpx2.ASGITransport(watched).handle_async_request(request)
        response.extensions.update(notes)
        return response

    def _completed(self, scope: Scope) -> Scope:
        """The library's scope, as a server of these manners has it."""
        manners = self._manners
        host, port = scope["server"]
        return {
            **scope,
            **paths(scope["path"], scope["raw_path"], self._root_path, manners),
            **connection_scope(
                manners,
                server=(host, port or _PORTS[scope["scheme"]]),
                client=self._client,
                state=self._state,
                offers=[DEBUG_EXTENSION] if manners is SPEC else [],
                extensions=self._extensions,
            ),
        }


def http_client(
    app: ASGIApp,
    *,
    base_url: str = "http://testserver",
    state: Mapping[str, Any] | None = None,
    extensions: Mapping[str, Any] | None = None,
    client: tuple[str, int] | None = ("127.0.0.1", 50000),
    root_path: str = "",
    timeout: float = 5.0,
    raise_server_exceptions: bool = True,
    check_leaks: bool = True,
    server: str = "spec",
    **options: Any,
) -> httpx2.AsyncClient:
    """The HTTP client library's asynchronous client, whose requests go to an application in this process.

        async with http_client(app) as client:
            response = await client.get("/")

    A response comes when the application has ended, so an endless one is for a `TestClient` no more than for this: it
    ends in `WaitTimeout`. What `ApplicationTransport.handle_async_request` raises, each call of the client raises.

    Args:
        app: the application.
        base_url: of relative URLs; its host is that of the requests.
        state: what the lifespan has left, as `LifespanManager.state` has it.
        extensions: further entries of `scope["extensions"]`. With "http.response.trailers" among them a response has
            its trailers in `response.extensions`.
        client: the peer's address and port; None for a server that does not know them.
        root_path: where the application is mounted.
        timeout: the bound of every request, in seconds of real time; the library's own has no meaning here.
        raise_server_exceptions: False to get the response with the status 500 that a server gives.
        check_leaks: False if tasks of the application's may outlive a request.
        server: whose scope the application gets: "spec", "uvicorn", "asgi_ws", "hypercorn", "daphne" or "granian".
            Under a name header names in upper case are let through, as those servers do and Django needs.
        **options: of `httpx2.AsyncClient`: `headers`, `cookies`, `auth`, `follow_redirects` and others.

    Raises:
        ValueError: for a server that there is not, and a timeout that is no bound.
    """
    transport = ApplicationTransport(
        app,
        state=state,
        extensions=extensions,
        client=client,
        root_path=root_path,
        timeout=timeout,
        raise_server_exceptions=raise_server_exceptions,
        check_leaks=check_leaks,
        server=server,
    )
    return httpx2.AsyncClient(transport=transport, base_url=base_url, **options)
