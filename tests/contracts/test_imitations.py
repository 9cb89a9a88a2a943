"""The testing kit's imitations, held to the servers that they imitate.

The same application, bare of every class of the package, and the same client meet a server and its imitation; both
have to note and to see the same.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import pytest

from asgi_ws._asgi import Event, Receive, Scope, Send
from asgi_ws.extensions import ABORT_EXTENSION, DENIAL_EXTENSION
from asgi_ws.testing import WebSocketCommunicator
from asgi_ws.testing.servers.profiles import ServerProfile
from tests.servers.bare_handlers import IMPATIENT_MESSAGES, IMPATIENT_SECONDS, SCRIPTS
from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS, Server

from .conftest import Log
from .peers import ACCEPTED, PATIENCE, SLOW, Fact, ImitatedPeer, Peer, RealPeer

APP: Final = "tests.servers.probe_app:app"

# For a server that answers once the application has ended.
_LONG_PATIENCE: Final = 5.0
# Replaces a server's own text in a comparison.
_WORDS: Final = "(the server's words)"


async def _listens(peer: Peer) -> list[Fact]:
    return await peer.listen()


async def _sends(peer: Peer) -> list[Fact]:
    for message in ("t", b"b", ""):
        await peer.send(message)
    return await peer.listen()


async def _sends_late(peer: Peer) -> list[Fact]:
    """Send after the application has given up waiting for a message."""
    await peer.noted("ready")
    await peer.send("one")
    await peer.send("two")
    await peer.go()
    return await peer.listen()


async def _sends_and_closes(peer: Peer) -> list[Fact]:
    """Send and close before the application reads: it must not lose a message from before the close frame."""
    await peer.noted("ready")
    await peer.send_and_close(["one", "two"], 4001, "bye")
    await peer.go()
    return []


async def _does_not_read(peer: Peer) -> list[Fact]:
    await peer.noted("ready")
    await peer.stop_reading()
    await peer.go()
    await peer.noted("flood")
    return []


async def _sends_at_any_moment(peer: Peer) -> list[Fact]:
    for number in range(IMPATIENT_MESSAGES):
        await peer.send(str(number))
        # Other moments of the receiver's than those of its own rhythm.
        await asyncio.sleep(IMPATIENT_SECONDS * (number % 7) / 2)
    await peer.go()
    return []


async def _closes(peer: Peer) -> list[Fact]:
    await peer.close(4001, "bye")
    return await peer.listen()


async def _closes_without_code(peer: Peer) -> list[Fact]:
    await peer.close()
    return await peer.listen()


async def _closes_unheard(peer: Peer) -> list[Fact]:
    """Close, so that the application sends before it has received the disconnect."""
    await peer.noted("ready")
    await peer.close(4001, "bye")
    await peer.go()
    return []


async def _resets(peer: Peer) -> list[Fact]:
    await peer.reset()
    return []


async def _hangs_up(peer: Peer) -> list[Fact]:
    await peer.hang_up()
    return []


async def _answers(peer: Peer) -> list[Fact]:
    """Complete the closing handshake before the application goes on."""
    seen = await peer.listen()
    await peer.noted("ready")
    await peer.go()
    return seen


async def _sends_the_longest(peer: Peer) -> list[Fact]:
    await peer.send("x" * peer.longest)
    # It takes its time.
    await peer.noted("ready")
    await peer.go()
    return await peer.listen()


async def _sends_too_much(peer: Peer) -> list[Fact]:
    await peer.send("x" * (peer.longest + 1))
    return await peer.listen()


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A script for the application, and the client's half.

    Attributes:
        script: by its name.
        act: what the client does once the handshake is accepted; returns what it saw.
        subprotocols: that the client offers.
        patience: of the client with a server that answers once the application has ended, or not at all.
        but_for: servers that go on from here in ways of their own, which the imitation does not follow.
    """

    script: str
    act: Callable[[Peer], Awaitable[list[Fact]]] = _listens
    subprotocols: Sequence[str] = ()
    patience: float = PATIENCE
    but_for: frozenset[str] = frozenset()


# The scripts whose client does more than listen.
_ACTS: Final[Mapping[str, Scenario]] = {
    "receive": Scenario(script="receive", act=_sends),
    "receive after a receive that was cancelled": Scenario(script="receive-cancelled", act=_sends_late),
    "a client that does not read": Scenario(script="flood", act=_does_not_read),
    "receive what came before the close frame": Scenario(script="receive-after-go", act=_sends_and_closes),
    "receive the longest message": Scenario(script="receive-patiently", act=_sends_the_longest),
    "receive a message that is too long": Scenario(script="receive-and-close", act=_sends_too_much),
    "client closes": Scenario(script="watch", act=_closes),
    "client closes and the application does too": Scenario(script="close-at-disconnect", act=_closes),
    "client closes and the application does so later": Scenario(script="close-later", act=_closes),
    "client resets and the application closes": Scenario(script="close-at-disconnect", act=_resets),
    "client closes without a code": Scenario(script="watch", act=_closes_without_code),
    "client closes and the application sends": Scenario(script="unread", act=_closes_unheard),
    "client resets": Scenario(script="watch", act=_resets),
    "client hangs up": Scenario(script="watch", act=_hangs_up),
    "own-close-answered": Scenario(script="own-close-answered", act=_answers),
    "scope": Scenario(script="scope", subprotocols=("a", "b")),
    "accept-subprotocol": Scenario(script="accept-subprotocol", subprotocols=("a", "b")),
    "close-early": Scenario(script="close-early", patience=_LONG_PATIENCE),
    "deny": Scenario(script="deny", patience=_LONG_PATIENCE),
    # The two raise for the start, or for the body that follows.
    "deny-without-headers": Scenario(script="deny-without-headers", but_for=frozenset({"hypercorn", "granian"})),
}
_USED: Final = {"receive-impatiently", *(scenario.script for scenario in _ACTS.values())}
SCENARIOS: Final[Mapping[str, Scenario]] = {
    **_ACTS,
    **{name: Scenario(script=name) for name in SCRIPTS if name not in _USED},
}
# Where the servers' doing is a matter of luck, and the imitation's is not.
IMPATIENT: Final = Scenario(script="receive-impatiently", act=_sends_at_any_moment)
_EXTENSIONS: Final = (ABORT_EXTENSION, DENIAL_EXTENSION)
# Those after which a server logs a traceback.
RAISING: Final = ("raise-early", "deny-and-raise", "raise", "raise-after-close")


async def _observe(peer: Peer, scenario: Scenario) -> dict[str, Any]:
    handshake = await peer.connect(scenario.subprotocols)
    seen = await scenario.act(peer) if handshake[0] == ACCEPTED else []
    notes = await peer.notes()
    return {"handshake": handshake, "client": [_plain(fact) for fact in seen], "application": _compared(notes)}


def _plain(fact: Fact) -> Fact:
    """Replace the reason of a close frame that the server itself sends."""
    return [*fact[:2], _WORDS] if fact[:2] == ["closed", 1009] else fact


def _compared(notes: list[Fact]) -> list[Fact]:
    return [_note(note) for note in notes if note[0] not in ("ready", "go")]


def _note(note: Fact) -> Fact:
    """Reduce an error to OSError, for a peer that has left, or another; replace the server's own reasons."""
    word, *facts = note
    match facts:
        case [str(kind), str()]:
            return [word, kind if kind == "OSError" else "another error"]
        case [{"code": 1009, "reason": _} as event]:
            return [word, {**event, "reason": _WORDS}]
    return note


pytestmark = [
    # A server may log what it does not take.
    pytest.mark.server_complains,
    pytest.mark.parametrize(
        "process", [server for server in SERVERS if server.imitated], ids=lambda server: server.name, indirect=True
    ),
]


async def _compare(process: ServerProcess, scenario: Scenario, patience: float) -> str:
    """Compare what a server and its imitation do, more patiently if they seem to differ; return the name of the notes.

    A missing event shows only as a timeout, and a machine may be slow.
    """
    for slowness in (1, SLOW):
        peer = RealPeer(process, scenario.script, patience, slowness)
        imitation = ImitatedPeer.observe(
            lambda peer: _observe(peer, scenario),
            profile=process.server.profile,
            script=scenario.script,
            subprotocols=scenario.subprotocols,
            slowness=slowness,
        )
        seen, expected = await asyncio.gather(imitation, _observe(peer, scenario))
        if seen == expected:
            break
    assert seen == expected
    return peer.probe.id


def is_compared(*, process: Server, name: str) -> bool:
    """Return True if the imitation follows this server in this scenario, and the server has its extensions."""
    scenario = SCENARIOS[name]
    sent = [step["type"] for step in SCRIPTS[scenario.script] if not isinstance(step, str)]
    used = {extension for extension in _EXTENSIONS if any(kind.startswith(extension) for kind in sent)}
    return process.name not in scenario.but_for and used <= set(process.profile.extensions)


@pytest.mark.only_where(holds=is_compared)
@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in RAISING])
async def test_the_imitation_treats_an_application_as_the_server_does(process: ServerProcess, name: str) -> None:
    await _compare(process, SCENARIOS[name], SCENARIOS[name].patience)


@pytest.mark.handler_fails
@pytest.mark.only_where(holds=is_compared)
@pytest.mark.parametrize("name", RAISING)
async def test_the_imitation_treats_an_application_that_raises_as_the_server_does(
    process: ServerProcess, name: str, log: Log
) -> None:
    # daphne looks once a second for applications that have ended.
    probe_id = await _compare(process, SCENARIOS[name], _LONG_PATIENCE)
    assert await log.count(f"RuntimeError: {probe_id}") == 1


async def test_a_receive_cancelled_in_the_moment_of_a_message_loses_it_where_the_table_says(
    process: ServerProcess,
) -> None:
    real = await _observe(RealPeer(process, IMPATIENT.script), IMPATIENT)
    assert ["lost", not process.server.profile.cancelled_receive_keeps_message] in real["application"]


async def test_the_imitation_loses_a_message_in_one_moment_or_in_none(process: ServerProcess) -> None:
    profile = process.server.profile
    assert all([await _keeps_message(profile, turns) for turns in range(-_TURNS, 0)])
    assert all([await _keeps_message(profile, turns) for turns in range(_TURNS)]) == (
        profile.cancelled_receive_keeps_message
    )


# More event-loop iterations than a message takes from a client to an application.
_TURNS: Final = 8


async def _keeps_message(profile: ServerProfile, turns: int) -> bool:
    """Cancel a receive `turns` event-loop iterations after a message; return True if the message is still received."""
    received: list[Event] = []
    is_waiting, is_cancelled = asyncio.Event(), asyncio.Event()
    readers: list[asyncio.Task[Event]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def read() -> Event:
            return await receive()

        await receive()
        await send({"type": "websocket.accept"})
        readers.append(asyncio.create_task(read()))
        is_waiting.set()
        await is_cancelled.wait()
        with suppress(asyncio.CancelledError):
            received.append(await readers[0])
        received.append(await receive())
        await send({"type": "websocket.close"})

    async with WebSocketCommunicator(app, server=profile.name) as ws:
        await ws.connect()
        await is_waiting.wait()
        await asyncio.sleep(0)
        for turn in range(min(turns, 0), max(turns, 0) + 1):
            if turn == 0:
                await ws.send("message")
            if turn == turns:
                readers[0].cancel()
            await asyncio.sleep(0)
        is_cancelled.set()
        # The second message, or the disconnect, is what the second receive gets.
        await ws.send("another")
        await ws.wait_closed()
    return received[0].get("text") == "message"
