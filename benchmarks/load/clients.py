"""Connections: opening many of them, watching over them, and checking what comes on each."""

import asyncio
import contextlib
import errno
import gc
import itertools
import logging
import resource
import socket
import zlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit

from picows import WSCloseCode, WSError, WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

from .alarm import Alarm
from .jobs import Failure
from .payloads import OFFER, Agreed, Inflater, Ring, wire_size

T = TypeVar("T")

# Fewer at a time than any server's backlog of connections that wait to be accepted.
LANES: Final = 64
# Descriptors that the generator needs besides its connections.
_SPARE: Final = 64
# Each address of the client's has some 28,000 ports.
_ADDRESSES: Final = 64
_IP_BIND_ADDRESS_NO_PORT: Final = 24

# The outcome already says what picows would log about a broken connection.
logging.getLogger("picows").setLevel(logging.CRITICAL + 1)


def shortened(data: bytes) -> str:
    """Return the bytes as text for an error message."""
    return repr(data) if len(data) <= 40 else f"{data[:40]!r}... ({len(data)} bytes)"


class Client(WSListener):
    """One connection that checks what comes.

    A subclass's `on_ws_frame` compares the usual frame at once and has `understand` look at all others.

    Attributes:
        transport: picows' side of it, once it is open.
        closed: done when the connection is gone.
        leaving: whether it may close, since nothing more is to come.
    """

    transport: WSTransport

    def __init__(self, alarm: Alarm, *, deflate: bool) -> None:
        self.alarm = alarm
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.leaving = False
        self.agreed: Agreed | None = None  # what was agreed on compression; None without
        self._deflate = deflate
        self._inflater: Inflater | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Read what the server accepted."""
        self.transport = transport
        self.alarm.connections.add(self)
        try:
            if self._deflate:
                self.agreed = Agreed.read(transport.response.headers)
                self._inflater = Inflater(self.agreed)
        except Failure as failure:
            self.alarm.fail(failure)

    def understand(self, frame: WSFrame, kind: WSMsgType, expected: bytes | None) -> int | None:
        """Handle a frame that does not equal the expected reply: compressed, the end, or wrong.

        Returns:
            The bytes on the wire of a right message. None for another frame, which has been reported.
        """
        data = frame.get_payload_as_bytes()
        if frame.msg_type == WSMsgType.CLOSE:
            self._on_close(frame)
            return None
        if frame.msg_type == WSMsgType.PING:
            self.transport.send_pong(data)
            return None
        if frame.msg_type == WSMsgType.PONG:
            return None
        try:
            message = self._inflater.inflate(data) if self._inflater is not None and frame.rsv1 else data
        except zlib.error as error:
            self._wrong(f"a reply cannot be inflated ({error}): {shortened(data)}")
            return None
        if expected is None:
            self._wrong(f"a reply came that nothing was sent for: {shortened(message)}")
        elif frame.msg_type != kind:
            found, due = WSMsgType(frame.msg_type).name.lower(), WSMsgType(kind).name.lower()
            self._wrong(f"a {found} frame came where {due} was due: {shortened(message)}")
        elif message != expected:
            self._wrong(f"the reply {shortened(message)} came where {shortened(expected)} was due")
        elif not frame.fin:
            self._wrong(f"a reply came in fragments, which are not put together here: {shortened(message)}")
        elif frame.rsv1 and self._inflater is None:
            self._wrong(f"a reply came with reserved bit 1, which was not negotiated: {shortened(message)}")
        else:
            return wire_size(len(data))
        return None

    def _wrong(self, error: str) -> None:
        self.alarm.fail(Failure("wrong_reply", error))

    def _on_close(self, frame: WSFrame) -> None:
        if not self.leaving:
            code, reason = int.from_bytes(frame.get_payload_as_bytes()[:2]) or "none", frame.get_close_reason()
            self.alarm.fail(
                Failure("died", f"the server closed a connection with code {code}, {reason or 'no reason'}")
            )
        if not self.transport.is_close_frame_sent:
            self.transport.send_close(WSCloseCode.OK)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Report it, unless it was to be."""
        self.alarm.connections.discard(self)
        if not self.closed.done():
            self.closed.set_result(None)
        if not self.leaving:
            self.alarm.start(self._say_why(transport))

    async def _say_why(self, transport: WSTransport) -> None:
        try:
            await transport.wait_disconnected()
        except WSError as error:
            raise Failure("wrong_reply", f"the server broke the protocol: {error}") from error
        raise Failure("died", "the server closed a connection that was in use")

    def pause_writing(self) -> None:
        """Do nothing: data that the server does not read waits here."""

    def resume_writing(self) -> None:
        """See `pause_writing`."""

    def drop(self) -> None:
        """End it at once."""
        self.leaving = True
        self.transport.disconnect(graceful=False)

    def leave(self) -> None:
        """Begin the close handshake."""
        self.leaving = True
        self.transport.send_close(WSCloseCode.OK)


C = TypeVar("C", bound=Client)


class Connector(Generic[C]):
    """Opens connections to one URL, from as many addresses as it takes.

    Args:
        make: of the listener.
        url: where to.
        patience: seconds for each connection.
        deflate: whether to offer compression.
    """

    def __init__(self, make: Callable[[], C], url: str, patience: float, *, deflate: bool = False) -> None:
        self._make = make
        self._url = url
        self._patience = patience
        self._headers = {"Sec-WebSocket-Extensions": OFFER} if deflate else None
        self._sockets = Sockets(url)

    async def open(self) -> C:
        """Open one connection.

        Raises:
            Failure: where none could be opened.
        """
        used = self._sockets.make()
        with explained(self._url, self._patience), ended_on_error(used):
            async with asyncio.timeout(self._patience):
                await asyncio.get_running_loop().sock_connect(used, self._sockets.address)
                _, listener = await ws_connect(
                    # picows calls it with request and response; an error in it must not look like another signature.
                    lambda _request, _response: self._make(),
                    self._url,
                    extra_headers=self._headers,
                    max_redirects=0,
                    websocket_handshake_timeout=None,
                    socket_factory=lambda _url: used,
                    use_aiofastnet=False,
                    max_frame_size=2**31,
                    enable_auto_pong=False,  # picows would not say that a ping was the last frame of what it read
                )
        return listener  # type: ignore[return-value]  # what `make` made

    async def open_all(self, number: int, alarm: Alarm) -> list[C]:
        """Open that many connections, some at a time.

        Raises:
            Failure: where one could not be opened, or something was reported meanwhile.
        """
        allow(number)
        opened: list[C] = []
        numbers = iter(range(number))

        async def lane() -> None:
            for _ in numbers:
                opened.append(await self.open())
                alarm.check()

        await together([lane() for _ in range(min(LANES, number))])
        await alarm.sleep(0)
        return opened


class Sockets:
    """Unconnected sockets for one URL, bound to changing addresses of 127.0.0.0/8 where that is where it leads."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.address = (parts.hostname or "", parts.port or 0)
        local = self.address[0].startswith("127.") and hasattr(socket, "SO_REUSEPORT")
        self._sources = itertools.cycle([f"127.0.0.{last}" for last in range(2, 2 + _ADDRESSES)] if local else [None])

    def make(self, receive_buffer: int | None = None) -> socket.socket:
        """Open one of the connections."""
        made = socket.socket(socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if (source := next(self._sources)) is not None:
            # Some systems have 127.0.0.1 alone: the ports of that one must do there.
            with contextlib.suppress(OSError):
                # The port is chosen by connect, which knows that one port can lead to several servers.
                made.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                made.bind((source, 0))
        return made


@contextlib.contextmanager
def explained(url: str, patience: float) -> Iterator[None]:
    """Turn what goes wrong while connecting into a `Failure`."""
    try:
        yield
    except TimeoutError as error:
        raise Failure("timeout", f"{url} did not complete the handshake within {patience:g} s") from error
    except WSHandshakeError as error:
        status = error.response and getattr(error.response, "status", None)
        answer = f"answered {int(status)} {status.phrase}" if status else f"did not complete the handshake: {error}"
        raise Failure("unreachable", f"{url} {answer}") from error
    except WSError as error:
        raise Failure("unreachable", f"{url} did not complete the handshake: {error}") from error
    except OSError as error:
        limit = error.errno in (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM)
        reason = error.strerror or str(error) or type(error).__name__
        raise Failure("limits" if limit else "unreachable", f"no connection to {url}: {reason}") from error


@contextlib.contextmanager
def ended_on_error(used: socket.socket) -> Iterator[None]:
    """Close every socket at the end. picows leaves one open when its handshake is cancelled."""
    try:
        yield
    except BaseException:
        try:
            used.shutdown(socket.SHUT_RDWR)
        except OSError:
            used.close()  # it was never connected, and no transport has it
        raise


def allow(number: int) -> None:
    """Raise this process's limit of open files for that many connections.

    Raises:
        Failure: where the system does not allow it.
    """
    needed = number + _SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        text = f"{number} connections need {needed} open files, and RLIMIT_NOFILE allows this process {hard}"
        raise Failure("limits", text)
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


async def together(work: Sequence[Awaitable[T]]) -> list[T]:
    """Do all of it at once; the first failure ends the rest."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Switch garbage collection off in the block. Its pauses would count as latency of the server."""
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


async def leave_all(clients: Sequence[Client], alarm: Alarm, patience: float) -> None:
    """Close them, which shows what the server had to say beyond what was asked; who does not answer is dropped.

    Raises:
        Failure: where a reply came that nothing was sent for.
    """
    for client in clients:
        client.leave()
    done = [client.closed for client in clients]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await asyncio.gather(*map(asyncio.shield, done))
    for client in clients:
        client.drop()
    await alarm.sleep(0)


def write(client: Client, ring: Ring, first: int, number: int) -> None:
    """Send messages `first`, `first + 1`, ... in one write."""
    frames = ring.frames
    transport = client.transport.underlying_transport
    if number == 1:
        transport.write(frames[first % len(frames)])
    else:
        transport.write(b"".join([frames[each % len(frames)] for each in range(first, first + number)]))
