"""HTTP to an application, by the HTTP client library: its own transport, around the application under watch."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, cast

from .._asgi import ASGIApp, Scope
from .clock import checked_bound
from .conformance.http import DEBUG_EXTENSION
from .exchange import Exchange
from .libraries import httpx2
from .servers.profiles import SPEC, profile_of
from .servers.scopes import connection_scope, paths

# A failing test shows its own line and the message, and none of these calls (pytest).
__tracebackhide__ = True

_PORTS: Final = {"http": 80, "https": 443}
# The extension of a request whose response the test reads piece by piece.
STREAMED: Final = "asgi_ws.testing.streamed"


class _Body(httpx2.AsyncByteStream):
    """The body of a response that is read piece by piece."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (part := await self._exchange.next_part()) is not None:
            yield part

    async def aclose(self) -> None:
        await self._exchange.close()


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
        carries_context: bool = False,
    ) -> None:
        self._app = app
        self._state: Mapping[str, Any] = {} if state is None else state
        self._extensions = extensions or {}
        self._client = client
        self._root_path = root_path
        self._timeout = checked_bound(timeout)
        self._raise_server_exceptions = raise_server_exceptions
        self._check_leaks = check_leaks
        self._profile = profile_of(server)
        self._carries_context = carries_context

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, and return its response: whole, after the application has ended, unless it is streamed.

        Raises:
            WaitTimeout: the application does not answer, or end, in time.
            ProtocolViolation: it sent what the ASGI text forbids.
            Unanswered: it returned before its response was complete.
            LeakedTasks: it left tasks running.
            ValueError: the URL is none of HTTP.
            Exception: what it raised, unless that is to be a response with the status 500.
        """
        response, exchange = await self.respond(request)
        if exchange is not None:
            response.stream = _Body(exchange)
        return response

    async def respond(self, request: httpx2.Request) -> tuple[httpx2.Response, Exchange | None]:
        """Send a request, and return its response, with the exchange that goes on where the response is streamed."""
        is_streamed = bool(request.extensions.get(STREAMED))
        exchange = self._exchange(request, is_streamed=is_streamed)
        await exchange.__aenter__()
        try:
            await (exchange.until_started() if is_streamed else exchange.finish())
        except BaseException as error:
            await exchange.close(error)
            raise
        if not is_streamed:
            await exchange.close()
        response = httpx2.Response(
            exchange.status, headers=exchange.headers, stream=httpx2.ByteStream(exchange.collected()), request=request
        )
        exchange.add_notes_to(response.extensions)
        return response, exchange if is_streamed else None

    def _exchange(self, request: httpx2.Request, *, is_streamed: bool) -> Exchange:
        if request.url.scheme not in _PORTS:
            raise ValueError(
                f"url {str(request.url)!r}: expected http:// or https://; a WebSocket is for "
                "TestClient.websocket_connect, or for a WebSocketCommunicator"
            )
        # The library refuses a body of another kind before it comes here.
        body = cast(httpx2.AsyncByteStream, request.stream)
        return Exchange(
            self._app,
            self._scope(request),
            aiter(body),
            profile=self._profile,
            is_body_whole=isinstance(request.stream, httpx2.ByteStream),
            is_streamed=is_streamed,
            carries_context=self._carries_context,
            timeout=self._timeout,
            raise_server_exceptions=self._raise_server_exceptions,
            check_leaks=self._check_leaks,
        )

    def _scope(self, request: httpx2.Request) -> Scope:
        """Return the scope of a request as a server of this profile makes it."""
        profile, url = self._profile, request.url
        return {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": url.scheme,
            "query_string": url.query,
            **paths(url.path, url.raw_path.partition(b"?")[0], self._root_path, profile),
            **connection_scope(
                profile,
                spec_version=profile.http_spec_version,
                server=(url.host, _PORTS[url.scheme] if url.port is None else url.port),
                client=self._client,
                state=self._state,
                offers=[DEBUG_EXTENSION] if profile is SPEC else [],
                extensions=self._extensions,
            ),
        }


class _Client(httpx2.AsyncClient):
    """The library's client, which tells the transport whether a response is streamed."""

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        request.extensions[STREAMED] = stream
        return await super().send(request, stream=stream, **options)


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
    """Return an asynchronous HTTP client whose requests go to an application in this process.

        async with http_client(app) as client:
            response = await client.get("/")

    A response comes when the application has ended, so an endless one is for a `TestClient` no more than for this: it
    ends in `WaitTimeout`. Each call of the client raises the errors of `ApplicationTransport.handle_async_request`.

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
        ValueError: unknown server, or a timeout that is not a time limit.
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
    return _Client(transport=transport, base_url=base_url, **options)
