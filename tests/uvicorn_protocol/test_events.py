"""Events that an application may send or not, once it has accepted or begun to deny."""

from tests.wire.streams import BINARY, TEXT

from .peer import asking, opened
from .served import Uvicorn

_GOOD = {
    "send-empty": [(TEXT, b""), (BINARY, b"")],
    "send-both-keys": [(TEXT, b"a"), (BINARY, b"b")],
    "send-bytearray": [(BINARY, b"ab")],
    "send-memoryview": [(BINARY, b"ab")],
}


async def test_a_message_of_each_kind_is_sent(server: Uvicorn) -> None:
    for script, expected in _GOOD.items():
        async with opened(server, script, kind="bare") as peer:
            for opcode, payload in [*expected, (TEXT, b"still here")]:
                got = await peer.frame()
                assert (got.opcode, got.payload) == (opcode, payload), script


_BAD = (
    "send-neither",
    "send-both-none",
    "send-int",
    "send-surrogate",
    "send-text-bytes",
    "send-bytes-str",
    "send-unknown-type",
    "send-type-int",
    "send-without-type",
    "accept-twice",
    "deny-late",
    "body-late",
)


async def test_a_bad_event_is_an_error_at_the_call_and_nothing_is_sent(server: Uvicorn) -> None:
    for script in _BAD:
        async with opened(server, script, kind="bare") as peer:
            assert await peer.message() == "still here", script
            assert await peer.close_frame() == (1000, "")
            events = await peer.probe.events()
        noted = [facts for word, *facts in events if word not in ("receive", "end")]
        # Of the script's last steps nothing failed, and of the one before them it did.
        assert [facts[0] for facts in noted[-2:]] == ["returned"] * 2
        assert noted[-3][0] in ("RuntimeError", "ValueError", "TypeError", "KeyError"), script


async def test_nothing_may_come_between_a_denial_s_head_and_body(server: Uvicorn) -> None:
    for script in ("deny-accept", "deny-close", "deny-send"):
        async with asking(server, script, kind="bare") as peer:
            head = await peer.head()
            assert (head.status, await peer.rest()) == (401, b"who are you?")
            notes = await peer.notes()
        errors = [facts[0] for word in notes if word.startswith("websocket") for facts in notes[word]]
        assert "RuntimeError" in errors, script


async def test_nothing_may_come_after_a_denial(server: Uvicorn) -> None:
    for script in ("deny-and-close", "deny-and-send", "deny-and-deny"):
        async with asking(server, script, kind="bare") as peer:
            head = await peer.head()
            assert (head.status, await peer.rest()) == (401, b"who are you?")
            events = await peer.probe.events()
        assert events[-2][1] == "RuntimeError", script
