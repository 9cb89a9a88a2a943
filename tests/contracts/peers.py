"""A client of a bare application, on a real server and on the testing kit's imitation of it: two of one Protocol."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed as WebSocketsClosed, InvalidStatus, WebSocketException

from asgi_ws import CloseCode, ConnectionClosed
from asgi_ws.testing import ApplicationEnded, Denied, WaitTimeout, WebSocketCommunicator
from asgi_ws.testing.servers.profiles import ServerProfile
from tests.servers.bare_handlers import bare_app
from tests.servers.client import SECONDS, Probe, hang_up, http, reset
from tests.servers.journal import Journal
from tests.servers.launch import ServerProcess

# How many seconds a client listens to a connection that stays open, or waits for an answer that may not come.
PATIENCE: Final = 0.7
# How many times as long both sides wait when a machine was perhaps too slow for that.
SLOW: Final = 10

_T = TypeVar("_T")

# An event that a client saw or an application noted, as a JSON list.
Fact: TypeAlias = list[Any]

ACCEPTED: Final = "accepted"
_FAILED: Final[Fact] = ["failed"]
_STILL_OPEN: Final[Fact] = ["still open"]


class Peer(Protocol):
    """The client's half of a scenario."""

    # How many bytes the server takes in a message.
    longest: int

    # How the handshake is answered; nothing more can be done where that does not begin with `accepted`.
    async def connect(self, subprotocols: Sequence[str]) -> Fact: ...
    # Send a message, or as much of it as the server takes.
    async def send(self, message: str | bytes) -> None: ...
    # Read nothing from now on.
    async def stop_reading(self) -> None: ...
    # Send a close frame, and wait for the server's, which may not come.
    async def close(self, code: int | None = None, reason: str = "") -> None: ...
    # Send messages and a close frame at once, and wait for nothing.
    async def send_and_close(self, messages: Sequence[str], code: int, reason: str) -> None: ...
    # End the connection with RST.
    async def reset(self) -> None: ...
    # End the connection with FIN, without a close frame.
    async def hang_up(self) -> None: ...
    # Return the messages up to the server's close frame, or until no more arrive.
    async def listen(self) -> list[Fact]: ...
    # Wait until the application has noted this.
    async def noted(self, word: str) -> None: ...
    # Let the application go on.
    async def go(self) -> None: ...
    # Return the notes of the application, up to its end.
    async def notes(self) -> list[Fact]: ...


def _message(message: str | bytes) -> Fact:
    return ["message", repr(message)]


def _denied(status: int, probes: Sequence[str], body: bytes) -> Fact:
    # The body of a server's own refusal is not compared.
    return ["denied", status, list(probes), body.decode() if probes else ""]


class RealPeer:
    """A client of a server that runs."""

    def __init__(self, process: ServerProcess, script: str, patience: float = PATIENCE, slowness: int = 1) -> None:
        self.longest = process.server.profile.max_message_bytes or 0
        self.probe = Probe(process, script, kind="bare")
        self._process = process
        self._patience = patience * slowness
        self._slowness = slowness
        self._open: ClientConnection | None = None

    @property
    def _ws(self) -> ClientConnection:
        assert self._open is not None
        return self._open

    async def connect(self, subprotocols: Sequence[str]) -> Fact:
        offered = list(subprotocols) or None
        try:
            ws = await self.probe.connect(
                query={"patience": self._slowness}, subprotocols=offered, open_timeout=self._patience
            )
        except InvalidStatus as error:
            response = error.response
            return _denied(response.status_code, response.headers.get_all("x-probe"), bytes(response.body))
        except (WebSocketException, OSError):
            return _FAILED
        assert ws.response is not None
        self._open = ws
        return [ACCEPTED, ws.subprotocol, ws.response.headers.get_all("x-probe")]

    async def send(self, message: str | bytes) -> None:
        with suppress(WebSocketsClosed):
            await self._ws.send(message)

    async def stop_reading(self) -> None:
        self._ws.transport.pause_reading()

    async def close(self, code: int | None = None, reason: str = "") -> None:
        self._write_close(code, reason)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await self._ws.wait_closed()

    def _write_close(self, code: int | None, reason: str) -> None:
        protocol = self._ws.protocol
        protocol.send_close(code, reason)
        self._ws.transport.write(b"".join(protocol.data_to_send()))

    async def send_and_close(self, messages: Sequence[str], code: int, reason: str) -> None:
        for message in messages:
            self._ws.protocol.send_text(message.encode())
        self._write_close(code, reason)

    async def reset(self) -> None:
        reset(self._ws)

    async def hang_up(self) -> None:
        hang_up(self._ws)

    async def listen(self) -> list[Fact]:
        seen: list[Fact] = []
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    seen.append(_message(await self._ws.recv()))
        except WebSocketsClosed as error:
            code, reason = (1006, "") if error.rcvd is None else (error.rcvd.code, error.rcvd.reason)
            return [*seen, ["closed", code, reason]]
        except TimeoutError:
            return [*seen, _STILL_OPEN]

    async def noted(self, word: str) -> None:
        await self.probe.events(until=word)

    async def go(self) -> None:
        async with http(self._process) as client:
            response = await client.post(f"/go/{self.probe.id}")
        assert response.status_code == 204

    async def notes(self) -> list[Fact]:
        if self._open is not None:
            hang_up(self._open)
        return await self.probe.events()


class ImitatedPeer:
    """A client of the testing kit's imitation."""

    ID: Final = "imitated"

    def __init__(self, communicator: WebSocketCommunicator, profile: ServerProfile, journal: Journal) -> None:
        self._communicator = communicator
        self.longest = profile.max_message_bytes or 0
        self._stays_open = profile.code_of_return is None
        self._journal = journal

    @classmethod
    async def observe(
        cls,
        use: Callable[["ImitatedPeer"], Awaitable[_T]],
        *,
        profile: ServerProfile,
        script: str,
        subprotocols: Sequence[str] = (),
        root_path: str = "",
        slowness: int = 1,
    ) -> _T:
        """Let a client meet a script."""
        journal = Journal()
        communicator = WebSocketCommunicator(
            bare_app(journal),
            f"/bare/{script}?id={cls.ID}&patience={slowness}",
            server=profile.name,
            subprotocols=subprotocols,
            root_path=root_path,
            timeout=PATIENCE * slowness,
            raise_server_exceptions=False,
        )
        async with communicator:
            return await use(cls(communicator, profile, journal))

    async def connect(self, subprotocols: Sequence[str]) -> Fact:
        try:
            answer = await self._communicator.connect()
        except (ConnectionClosed, WaitTimeout):
            return _FAILED
        probes = answer.headers.getlist("x-probe")
        if isinstance(answer, Denied):
            return _denied(answer.status, probes, answer.body)
        return [ACCEPTED, answer.subprotocol, probes]

    async def send(self, message: str | bytes) -> None:
        with suppress(ConnectionClosed):
            await self._communicator.send(message)

    async def stop_reading(self) -> None:
        self._communicator.pause_reading()

    async def close(self, code: int | None = None, reason: str = "") -> None:
        await self._communicator.close(code, reason)

    async def send_and_close(self, messages: Sequence[str], code: int, reason: str) -> None:
        for message in messages:
            await self._communicator.send(message)
        await self._communicator.close(code, reason)

    async def reset(self) -> None:
        await self._communicator.abort()

    async def hang_up(self) -> None:
        await self._communicator.abort()

    async def listen(self) -> list[Fact]:
        seen: list[Fact] = []
        try:
            while True:
                seen.append(_message(await self._communicator.receive()))
        except ApplicationEnded as error:
            # The kit raises at once for what would have its user wait for ever.
            return [
                *seen,
                _STILL_OPEN if self._stays_open and error.code == CloseCode.ABNORMAL else ["closed", error.code, ""],
            ]
        except ConnectionClosed as error:
            return [*seen, ["closed", error.code, error.reason]]
        except WaitTimeout:
            return [*seen, _STILL_OPEN]

    async def go(self) -> None:
        self._journal.note(self.ID, "go")

    async def notes(self) -> list[Fact]:
        await self.noted("end")
        return self._journal.of(self.ID)

    async def noted(self, word: str) -> None:
        async with asyncio.timeout(SECONDS):
            await self._journal.until(self.ID, word)
