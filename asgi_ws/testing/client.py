"""Tests without await: HTTP and WebSockets to an application that runs in a background loop."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Literal, Self

from .._asgi import ASGIApp
from .clock import VirtualClock
from .communicator import WebSocketCommunicator
from .conformance.http import DEBUG_EXTENSION, TRAILERS_EXTENSION
from .exchange import Exchange
from .http import STREAMED, ApplicationTransport
from .libraries import httpx2
from .lifespan import LifespanManager
from .portal import BlockingPortal, PortalProvider, beside
from .servers.profiles import SPEC, profile_of
from .servers.scopes import HANDSHAKE
from .session import WebSocketTestSession

# A failing test shows its own line and the message, and none of these calls (pytest).
__tracebackhide__ = True

_WEBSOCKET_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
# The extension of a request that is a handshake.
_HANDSHAKE_MARK: Final = "asgi_ws.testing.handshake"


class _PutTogether(Exception):
    """Ends the sending of a handshake, which the library has put together: no hook takes it for a response."""

    def __init__(self, request: httpx2.Request) -> None:
        super().__init__(request)
        self.request = request


class TestClient(httpx2.Client):
    """The HTTP client library's client, whose requests and WebSockets go to an application in this process.

        with TestClient(app) as client:
            assert client.get("/hello").status_code == 200
            with client.websocket_connect("/ws") as websocket:
                websocket.send_text("hello")
                assert websocket.receive_text() == "OK!"

    The block runs the application's lifespan. It does not run without the block, nor with a server that has none. The
    application runs in an event loop in a thread of its own, from the first use until the block is left, the client is
    closed, or it is garbage-collected.

    Every wait has a time limit. The error of a wait that times out shows the events so far, and the line at which the
    application is waiting or blocks the loop. In the second case the thread is left behind. Calls block, so use
    `http_client` and `WebSocketCommunicator` in tests that are coroutines.

    Args:
        app: the application.
        base_url: the base of relative URLs, of requests and WebSockets.
        raise_server_exceptions: False to get the response with the status 500 that a server gives.
        root_path: where the application is mounted.
        backend: "asyncio", here for the order of Starlette's arguments.
        backend_options: None, the same.
        cookies: of every request and handshake.
        headers: the same.
        follow_redirects: False to see the redirects.
        client: the peer's address and port; None for a server that does not know them.
        extensions: further entries of `scope["extensions"]`, of requests and handshakes. Under "spec" a request has
            "http.response.trailers" among them, as with Starlette's client. Trailers, early hints
            ("http.response.early_hint") and debug information are in `response.extensions`.
        server: the server that is imitated: "spec", "uvicorn", "asgi_ws", "hypercorn", "daphne" or
            "granian"; "asgi_ws" is uvicorn with this package's WebSocket class.
        timeout: the limit of every wait, in seconds of real time.
        check_leaks: False if tasks of the application may outlive a request or a connection.

    Attributes:
        app: the application.
        app_state: the state that the lifespan leaves for the connections.

    Raises:
        ValueError: unknown server, another backend, or a timeout that is not positive.
    """

    __test__ = False

    def __init__(  # noqa: PLR0917 -- Starlette's order
        self,
        app: ASGIApp,
        base_url: str = "http://testserver",
        raise_server_exceptions: bool = True,
        root_path: str = "",
        backend: Literal["asyncio"] = "asyncio",
        backend_options: None = None,
        cookies: Any = None,
        headers: Mapping[str, str] | None = None,
        follow_redirects: bool = True,
        client: tuple[str, int] | None = ("testclient", 50000),
        *,
        extensions: Mapping[str, Any] | None = None,
        server: str = "spec",
        timeout: float = 5.0,
        check_leaks: bool = True,
    ) -> None:
        if backend != "asyncio" or backend_options is not None:
            raise ValueError(f"{backend=}, {backend_options=}: this client needs asyncio, without options")
        self.app = app
        self.app_state: dict[str, Any] = {}
        self._bound = timeout
        self._check_leaks = check_leaks
        self._portals = PortalProvider(timeout)
        self._has_lifespan = profile_of(server).has_lifespan
        # Where the block runs, and its lifespan; None outside the block, and for a server that has none.
        self._portal: BlockingPortal | None = None
        self._lifespan: LifespanManager | None = None
        self._options: dict[str, Any] = {
            "state": self.app_state,
            "client": client,
            "root_path": root_path,
            "timeout": timeout,
            "raise_server_exceptions": raise_server_exceptions,
            "check_leaks": check_leaks,
            "server": server,
        }
        self._extensions = dict(extensions or {})
        offers: dict[str, Any] = {TRAILERS_EXTENSION: {}} if server == SPEC.name else {}
        self._requests = _Transport(
            ApplicationTransport(app, extensions=offers | self._extensions, carries_context=True, **self._options),
            self._portals,
        )
        super().__init__(
            base_url=base_url,
            headers={"user-agent": "testclient", **(headers or {})},
            transport=self._requests,
            follow_redirects=follow_redirects,
            cookies=cookies,
        )

    # -- WebSockets

    def websocket_connect(
        self, url: str, subprotocols: Sequence[str] | None = None, **kwargs: Any
    ) -> WebSocketTestSession:
        """Return a WebSocket. Entering it with `with` connects.

        Args:
            url: relative to the client's `base_url`, or a ws:// or wss:// URL.
            subprotocols: that the client offers, in its order.
            **kwargs: of `httpx2.Client.get`: `headers`, `params`, `cookies`, `auth` and others.
        """
        merged = self._merge_url(httpx2.URL(url))
        scheme = _WEBSOCKET_SCHEMES.get(merged.scheme)
        if scheme is None:
            raise ValueError(f"url {url!r}: expected a path, or a ws:// or wss:// URL")
        headers = httpx2.Headers(list(HANDSHAKE))
        if subprotocols:
            headers["sec-websocket-protocol"] = ", ".join(subprotocols)
        headers.update(kwargs.pop("headers", None))
        extensions = {**(kwargs.pop("extensions", None) or {}), _HANDSHAKE_MARK: True}
        request = self._put_together(merged.copy_with(scheme=scheme), headers=headers, extensions=extensions, **kwargs)
        return WebSocketTestSession(self._portals, self._communicator(request))

    def _put_together(self, url: httpx2.URL, **kwargs: Any) -> httpx2.Request:
        """Send a request as the library does, with the client's cookies and credentials."""
        try:
            return super().request("GET", url, **kwargs).request
        except _PutTogether as handshake:
            return handshake.request

    def _communicator(self, request: httpx2.Request) -> WebSocketCommunicator:
        url = request.url
        target = b"%s://%s%s" % (url.raw_scheme, url.netloc, url.raw_path)
        communicator = WebSocketCommunicator(
            self.app,
            target.decode("ascii"),
            headers=[(name.lower(), value) for name, value in request.headers.raw],
            extensions=self._extensions,
            **self._options,
        )
        communicator.carries_context = True
        return communicator

    # -- requests

    def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send a request, as `httpx2.Client.send` does. With `stream` the response is read piece by piece."""
        request.extensions[STREAMED] = stream
        return super().send(request, stream=stream, **options)

    # -- time

    @contextmanager
    def virtual_time(self) -> "Iterator[TestClock]":
        """Stop the loop's time, and move it as the test says, as `VirtualClock` does.

            with client.virtual_time() as clock, client.websocket_connect("/ws") as websocket:
                clock.advance(60)
                assert websocket.wait_closed() == (4408, "idle")

        Enter it before the application runs, and leave it after. A move of the clock is a wait like any other.
        """
        self._check_open()
        portal, clock = self._portals.running(), VirtualClock(patience=self._bound)

        async def stop() -> None:
            clock.__enter__()

        async def run_on() -> None:
            clock.__exit__(None, None, None)

        portal.call(stop, "a turn of the loop")
        portal.kept.add(clock)
        failed: BaseException | None = None
        try:
            yield TestClock(portal, clock)
        except BaseException as error:
            failed = error
            raise
        finally:
            portal.kept.discard(clock)
            with beside(failed):
                portal.call(run_on, "a turn of the loop")

    # -- the lifespan

    def __enter__(self) -> Self:
        """Start the application.

        Raises:
            Exception: as `LifespanManager`.
            RuntimeError: the client is closed, or its block entered already.
        """
        self._check_open()
        if self._portal is not None:
            raise RuntimeError("this client is already entered")
        portal = self._portals.running()
        if self._has_lifespan:
            self._start(portal)
        self._portal = portal
        return self

    def _check_open(self) -> None:
        if self.is_closed:
            raise RuntimeError("this client is closed: make another one")

    def _start(self, portal: BlockingPortal) -> None:
        lifespan = LifespanManager(self.app, timeout=self._bound, check_leaks=self._check_leaks)
        lifespan.carries_context = True
        portal.kept.add(lifespan)
        try:
            portal.call(lifespan.__aenter__, "lifespan.startup.complete")
        except BaseException as error:
            with beside(error):
                self._portals.stop()
            raise
        self._lifespan = lifespan
        self.app_state.update(lifespan.state)

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Stop the application and the loop. The client can be used, and entered, again.

        Raises:
            Exception: as `LifespanManager`.
            WaitTimeout: the event loop is blocked. Beside an error of the block's own it is a note to that.
        """
        portal, self._portal = self._portal, None
        lifespan, self._lifespan = self._lifespan, None
        failed = exc_value
        try:
            with beside(exc_value):
                self._requests.cancel()
            if portal is not None and lifespan is not None:
                with beside(exc_value):
                    portal.call(
                        lambda: lifespan.__aexit__(exc_type, exc_value, traceback), "lifespan.shutdown.complete"
                    )
        except BaseException as error:
            failed = error
            raise
        finally:
            self.app_state.clear()
            with beside(failed):
                self._portals.stop()

    def close(self) -> None:
        """Stop the application and the loop, for good."""
        try:
            self.__exit__()
        finally:
            super().close()


class TestClock:
    """A `VirtualClock` in the test client's loop."""

    __test__ = False

    def __init__(self, portal: BlockingPortal, clock: VirtualClock) -> None:
        self._portal = portal
        self._clock = clock

    def time(self) -> float:
        """Return the loop's time, as `loop.time()`."""
        return self._clock.time()

    @property
    def elapsed(self) -> float:
        """Virtual seconds since the block was entered."""
        return self._clock.elapsed

    @property
    def next_timer(self) -> float | None:
        """Seconds until the next timer of the loop is due; None where there is none."""

        async def asked() -> float | None:
            return self._clock.next_timer

        return self._portal.call(asked, "a turn of the loop")

    def advance(self, seconds: float) -> None:
        """Move time by `seconds`, as `VirtualClock.advance` does."""
        self._portal.call(lambda: self._clock.advance(seconds), f"advance({seconds!r})")

    def settle(self) -> None:
        """Let the loop run until nothing is ready, as `VirtualClock.settle` does."""
        self._portal.call(self._clock.settle, "settle()")


class _Transport(httpx2.BaseTransport):
    """The asynchronous transport, in the background loop."""

    def __init__(self, transport: ApplicationTransport, portals: PortalProvider) -> None:
        self._transport = transport
        self._portals = portals
        # Responses that the test reads piece by piece and has not closed.
        self._open: set[_Body] = set()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.extensions.get(_HANDSHAKE_MARK):
            raise _PutTogether(request)
        # An iterator of the test runs here, and not in the loop.
        request.read()
        portal = self._portals.running()
        response, exchange = portal.call(
            lambda: self._transport.respond(request), f"the response to {request.method} {request.url}"
        )
        if exchange is not None:
            response.stream = body = _Body(exchange, portal, self._open.discard)
            self._open.add(body)
        # Starlette's and Jinja's tests look for them here.
        debug = response.extensions.get(DEBUG_EXTENSION, {})
        for name in ("template", "context"):
            if name in debug:
                setattr(response, name, debug[name])
        return response

    def cancel(self) -> None:
        """Cancel the applications whose responses are still open, as a server does that stops."""
        while self._open:
            self._open.pop().cancel()


class _Body(httpx2.SyncByteStream):
    """The body of a response that is read piece by piece."""

    def __init__(self, exchange: Exchange, portal: BlockingPortal, closed: Callable[["_Body"], None]) -> None:
        self._exchange = exchange
        self._portal = portal
        self._closed = closed
        portal.kept.add(exchange)

    def __iter__(self) -> Iterator[bytes]:
        while (part := self._portal.call(self._exchange.next_part, "more of the response")) is not None:
            yield part

    def close(self) -> None:
        self._closed(self)
        if self._exchange not in self._portal.kept:
            return
        try:
            self._portal.call(self._exchange.close, "the application to end")
        finally:
            self._portal.kept.discard(self._exchange)

    def cancel(self) -> None:
        self._exchange.stop(exceptions=False)
        self.close()
