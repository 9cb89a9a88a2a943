"""Events that break the ASGI text, once the application has accepted or begun to deny.

The contract suite has the valid ones.
"""

import pytest

from tests.wire.streams import BINARY

from .peer import asking, opened
from .served import Uvicorn


@pytest.mark.parametrize("script", ["send-bytearray", "send-memoryview"])
async def test_a_message_may_be_any_buffer(server: Uvicorn, script: str) -> None:
    async with opened(server, script, kind="bare") as peer:
        got = await peer.frame()
        assert (got.opcode, got.payload) == (BINARY, b"ab")
        assert await peer.message() == "still here"


_BAD = (
    "send-neither send-both-none send-int send-surrogate send-text-bytes send-bytes-str send-unknown-type "
    "send-type-int send-without-type accept-twice deny-late body-late"
).split()


@pytest.mark.parametrize("script", _BAD)
async def test_a_bad_event_is_an_error_at_the_call_and_nothing_is_sent(server: Uvicorn, script: str) -> None:
    async with opened(server, script, kind="bare") as peer:
        assert await peer.message() == "still here"
        assert await peer.close_frame() == (1000, "")
        events = await peer.probe.events()
    noted = [facts for word, *facts in events if word not in ("receive", "end")]
    # The script's last two steps succeed, and the one before them fails.
    assert [facts[0] for facts in noted[-2:]] == ["returned"] * 2
    assert noted[-3][0] in ("RuntimeError", "ValueError", "TypeError", "KeyError")


@pytest.mark.parametrize("script", ["send-early", "unknown-type-early", "body-early"])
async def test_a_bad_event_before_accept_is_a_runtime_error_and_accept_still_works(
    server: Uvicorn, script: str
) -> None:
    async with opened(server, script, kind="bare") as peer:
        assert await peer.message() == "still here"
        notes = await peer.notes()
    first = next(facts for word, facts in notes.items() if word not in ("receive", "websocket.accept"))
    assert first[0][0] == "RuntimeError"


_IN_A_DENIAL = "deny-accept deny-close deny-send deny-and-close deny-and-send deny-and-deny".split()


@pytest.mark.parametrize("script", _IN_A_DENIAL)
async def test_within_and_after_a_denial_other_events_are_runtime_errors(server: Uvicorn, script: str) -> None:
    async with asking(server, script, kind="bare") as peer:
        head = await peer.head()
        assert (head.status, await peer.rest()) == (401, b"who are you?")
        events = await peer.probe.events()
    errors = [facts[0] for word, *facts in events if word.startswith("websocket")]
    assert errors.count("RuntimeError") == 1
