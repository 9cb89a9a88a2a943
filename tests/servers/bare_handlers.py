"""Bare ASGI applications, one script for each thing that servers do differently, and what they meet noted.

A script calls the server without any class of the package, so the notes show only the server's behaviour.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs

from asgi_ws._asgi import ASGIApp, Event, Receive, Scope, Send
from asgi_ws.extensions import ABORT_EXTENSION

from .journal import Journal

# Long enough for `receive` to hang for certain, short enough for all scripts on all servers.
HANG_SECONDS: Final = 0.5
# Long enough for anything to come on a busy machine.
PATIENT_SECONDS: Final = 5.0
# How often a receive is given up, and how many messages come meanwhile.
IMPATIENT_SECONDS: Final = 0.001
IMPATIENT_MESSAGES: Final = 300
# A longer value is noted by its length.
_LONG: Final = 200

# A step of a script is an event to send, or one of these.
RECEIVE: Final = "receive"
GO: Final = "wait until the client says go"
RAISE: Final = "raise"
# For what takes its time to come.
RECEIVE_PATIENTLY: Final = "receive patiently"
# More than any system buffers for a client that does not read.
FLOOD: Final = "send 32 MiB"
# Receives, giving up again and again until the client says go, and notes whether a message was lost.
RECEIVE_IMPATIENTLY: Final = "receive impatiently"
Step: TypeAlias = Mapping[str, Any] | str

ACCEPT: Final[Step] = {"type": "websocket.accept"}


def accept(**keys: Any) -> Step:
    return {"type": "websocket.accept", **keys}


def send(**keys: Any) -> Step:
    return {"type": "websocket.send", **keys}


def close(code: int | str | None = 1000, **keys: Any) -> Step:
    return {"type": "websocket.close", "code": code, **keys}


def start(**keys: Any) -> Step:
    return {"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-probe", b"denied")], **keys}


def body(data: bytes, **keys: Any) -> Step:
    return {"type": "websocket.http.response.body", "body": data, **keys}


def _without(step: Step, key: str) -> Step:
    assert not isinstance(step, str)
    return {name: value for name, value in step.items() if name != key}


# Shows that the connection is still good, and ends it.
_FINISH: Final[Sequence[Step]] = (send(text="still here"), close())

CLOSE_CODES: Final = (1000, *range(1001, 1004), *range(1007, 1015), 3000, 4999)
BAD_CLOSE_CODES: Final = (999, 1004, 1005, 1006, 1015, 2999, 5000)
LONG_REASON: Final = "x" * 124

# After `websocket.connect` has been received.
SCRIPTS: Final[Mapping[str, Sequence[Step]]] = {
    # -- the handshake
    "scope": (ACCEPT, *_FINISH),
    "accept-headers": (accept(headers=[(b"x-probe", b"one"), (b"x-probe", b"two")]), *_FINISH),
    "accept-subprotocol": (accept(subprotocol="b"), *_FINISH),
    "receive-early": (RECEIVE, ACCEPT, *_FINISH),
    "accept-upper-case": (accept(headers=[(b"X-Probe", b"one")]), *_FINISH),
    "close-early": (close(4001, reason="no"), RECEIVE, RECEIVE),
    "close-early-list": (close(4001, reason=["no"]), RECEIVE),
    "deny": (start(), body(b"who are you?"), RECEIVE, RECEIVE),
    "deny-in-two": (start(), body(b"who ", more_body=True), body(b"are you?")),
    "deny-and-return": (start(),),
    "deny-and-raise": (start(), RAISE),
    "deny-without-headers": (_without(start(), "headers"), body(b"who are you?")),
    "deny-upper-case": (start(headers=[(b"X-Probe", b"denied")]), body(b"who are you?")),
    "deny-without-body": (start(), _without(body(b""), "body")),
    "return-early": (),
    "raise-early": (RAISE,),
    # -- messages
    "receive": (ACCEPT, RECEIVE_PATIENTLY, RECEIVE_PATIENTLY, RECEIVE_PATIENTLY, close()),
    "receive-cancelled": (ACCEPT, RECEIVE, GO, RECEIVE_PATIENTLY, RECEIVE_PATIENTLY, close()),
    "receive-impatiently": (ACCEPT, RECEIVE_IMPATIENTLY, close()),
    "receive-and-close": (ACCEPT, RECEIVE_PATIENTLY, RECEIVE, close(4002)),
    "receive-patiently": (ACCEPT, RECEIVE_PATIENTLY, GO, close(4002)),
    "receive-after-go": (ACCEPT, GO, RECEIVE_PATIENTLY, RECEIVE_PATIENTLY, RECEIVE_PATIENTLY),
    "flood": (ACCEPT, GO, FLOOD),
    "send-empty": (ACCEPT, send(text=""), send(bytes=b""), *_FINISH),
    "send-both-keys": (ACCEPT, send(text="a", bytes=None), send(text=None, bytes=b"b"), *_FINISH),
    # -- the client's end
    "watch": (ACCEPT, RECEIVE_PATIENTLY, RECEIVE, send(text="late"), close(4002)),
    "close-at-disconnect": (ACCEPT, RECEIVE_PATIENTLY, close(4002)),
    "close-later": (ACCEPT, RECEIVE_PATIENTLY, RECEIVE, close(4002)),
    "unread": (ACCEPT, GO, send(text="late"), send(text="later"), close(4002), RECEIVE_PATIENTLY, RECEIVE),
    # -- the application's end
    "abort": (ACCEPT, {"type": ABORT_EXTENSION}, RECEIVE, RECEIVE),
    "own-close": (ACCEPT, close(4001, reason="done"), RECEIVE_PATIENTLY, RECEIVE),
    "own-close-answered": (ACCEPT, close(4001), GO, RECEIVE_PATIENTLY, RECEIVE),
    "close-without-code": (ACCEPT, {"type": "websocket.close"}),
    "close-reason-none": (ACCEPT, close(4001, reason=None)),
    **{f"close-{code}": (ACCEPT, close(code, reason="done")) for code in CLOSE_CODES},
    "return": (ACCEPT,),
    "raise": (ACCEPT, RAISE),
    "raise-after-close": (ACCEPT, close(4001), RAISE),
}

# Those that break the ASGI text. Each server treats them in its own way.
MISUSES: Final[Mapping[str, Sequence[Step]]] = {
    "accept-twice": (ACCEPT, ACCEPT, *_FINISH),
    "send-early": (send(text="early"), ACCEPT, *_FINISH),
    "deny-accept": (start(), ACCEPT, body(b"who are you?")),
    "deny-close": (start(), close(4001), body(b"who are you?")),
    "deny-send": (start(), send(text="early"), body(b"who are you?")),
    "deny-and-close": (start(), body(b"who are you?"), close(4001)),
    "deny-and-send": (start(), body(b"who are you?"), send(text="late")),
    "deny-and-deny": (start(), body(b"who are you?"), start()),
    "deny-late": (ACCEPT, start(), *_FINISH),
    "body-early": (body(b"early"), ACCEPT, *_FINISH),
    "body-late": (ACCEPT, body(b"late"), *_FINISH),
    "unknown-type-early": ({"type": "websocket.unknown"}, ACCEPT, *_FINISH),
    "send-both-none": (ACCEPT, send(text=None, bytes=None), *_FINISH),
    "send-neither": (ACCEPT, send(), *_FINISH),
    "send-surrogate": (ACCEPT, send(text="\ud800"), *_FINISH),
    "send-bytearray": (ACCEPT, send(bytes=bytearray(b"ab")), *_FINISH),
    "send-memoryview": (ACCEPT, send(bytes=memoryview(b"ab")), *_FINISH),
    "send-text-bytes": (ACCEPT, send(text=b"ab"), *_FINISH),
    "send-bytes-str": (ACCEPT, send(bytes="ab"), *_FINISH),
    "send-int": (ACCEPT, send(text=1), *_FINISH),
    "send-unknown-type": (ACCEPT, {"type": "websocket.unknown"}, *_FINISH),
    "send-type-int": (ACCEPT, {"type": 1}, *_FINISH),
    "send-without-type": (ACCEPT, {"text": "a"}, *_FINISH),
    "close-str": (ACCEPT, close("4001"), *_FINISH),
    "close-reason-list": (ACCEPT, close(4001, reason=["done"]), *_FINISH),
    "close-reason-long": (ACCEPT, close(4001, reason=LONG_REASON), *_FINISH),
    **{f"close-{code}": (ACCEPT, close(code), *_FINISH) for code in BAD_CLOSE_CODES},
}
_ALL: Final = {**SCRIPTS, **MISUSES}


def _noted(value: object) -> int | str:
    # Some servers give a close code as a member of an enumeration.
    if isinstance(value, int):
        return int(value)
    return shown if len(shown := repr(value)) <= _LONG else f"{type(value).__name__} of {len(shown)} characters"


def _failure(error: Exception) -> list[str]:
    """Return the name of the nearest built-in class of an error, and its own type and text."""
    builtin = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")
    return [builtin, f"{type(error).__module__}.{type(error).__qualname__}: {error}"]


def _types(value: Sequence[object] | None) -> list[str] | None:
    return None if value is None else [type(part).__name__ for part in value]


def described(scope: Scope) -> dict[str, Any]:
    """Describe a scope without the values that differ between runs."""
    return {
        "keys": sorted(scope),
        "asgi": dict(scope.get("asgi", {})),
        "client": _types(scope["client"]),
        "server": _types(scope["server"]),
        "extensions": sorted(scope.get("extensions", ())),
        "path": scope["path"],
        "root_path": scope.get("root_path"),
        "raw_path": repr(scope.get("raw_path")),
        "http_version": scope.get("http_version"),
        "scheme": scope.get("scheme"),
        "subprotocols": list(scope["subprotocols"]),
    }


class _Run:
    """One connection to one script."""

    def __init__(self, journal: Journal, scope: Scope, receive: Receive, send: Send) -> None:
        self._journal = journal
        self._receive = receive
        self._send = send
        self._name = scope["path"].rpartition("/")[2]
        query = parse_qs(scope["query_string"].decode())
        self._id = query["id"][0]
        # How many times as long as usual everything is waited for.
        self._patience = float(query.get("patience", ["1"])[0])
        self._scope = scope

    async def __call__(self) -> None:
        if self._name == "scope":
            self._note("scope", described(self._scope))
        await self._receive_event()
        for step in _ALL[self._name]:
            if step is RECEIVE:
                await self._receive_event()
            elif step is RECEIVE_PATIENTLY:
                await self._receive_event(PATIENT_SECONDS)
            elif step is GO:
                self._note("ready")
                await self._journal.until(self._id, "go")
            elif step is FLOOD:
                await self._flood()
            elif step is RECEIVE_IMPATIENTLY:
                await self._receive_impatiently()
            elif step is RAISE:
                self._note("end")
                raise RuntimeError(self._id)
            elif not isinstance(step, str):
                await self._send_event(step)
        self._note("end")

    def _note(self, word: str, *facts: Any) -> None:
        self._journal.note(self._id, word, *facts)

    async def _receive_event(self, seconds: float = HANG_SECONDS) -> None:
        try:
            async with asyncio.timeout(seconds * self._patience):
                event = await self._receive()
        except TimeoutError:
            self._note("receive", "hangs")
        except Exception as error:  # noqa: BLE001 -- what a server raises here is what is to be known
            self._note("receive", *_failure(error))
        else:
            self._note("receive", {key: _noted(value) for key, value in sorted(event.items())})

    async def _flood(self) -> None:
        try:
            for _ in range(32):
                async with asyncio.timeout(HANG_SECONDS * self._patience):
                    await self._send({"type": "websocket.send", "bytes": bytes(1024 * 1024)})
        except TimeoutError:
            self._note("flood", "blocks")
        else:
            self._note("flood", "is taken")

    async def _receive_impatiently(self) -> None:
        received = 0
        while True:
            is_over = any(note[0] == "go" for note in self._journal.of(self._id))
            try:
                async with asyncio.timeout(HANG_SECONDS if is_over else IMPATIENT_SECONDS):
                    event = await self._receive()
            except TimeoutError:
                if is_over:
                    break
            else:
                if event["type"] == "websocket.disconnect":
                    break
                received += 1
        self._note("lost", received < IMPATIENT_MESSAGES)

    async def _send_event(self, event: Mapping[str, Any]) -> None:
        name = event.get("type", "no type")
        sent: Event = dict(event)
        try:
            async with asyncio.timeout(HANG_SECONDS * self._patience):
                await self._send(sent)
        except TimeoutError:
            self._note(name, "hangs")
        except Exception as error:  # noqa: BLE001 -- as above
            self._note(name, *_failure(error))
        else:
            self._note(name, "returned")


def bare_app(journal: Journal) -> ASGIApp:
    """Return an application that runs the script named by the last part of the path."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await _Run(journal, scope, receive, send)()

    return app
