"""The chat of the default application: its messages, and what it refuses."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import uuid4

import pytest

import asgi_ws
from asgi_ws import Hub
from asgi_ws.demo.chat import HUB
from asgi_ws.testing import LifespanManager, VirtualClock, WebSocketCommunicator, http_client
from tests.demo.talker import PROTOCOL, Message, connected, joined
from tests.outcomes import refusal, until

RATE: Final = 5


@pytest.fixture(autouse=True)
async def hub() -> AsyncIterator[Hub]:
    """Start the application and return its hub."""
    async with LifespanManager(asgi_ws.app) as lifespan:
        yield lifespan.state[HUB]


@pytest.fixture
def room() -> str:
    """Return a room that no other test uses, because rooms keep their messages."""
    return uuid4().hex


# -- messages


async def test_what_one_says_everyone_gets_in_one_order_with_the_server_s_name_and_time(room: str) -> None:
    async with joined(room, "Ada") as ada, joined(room, "Grace") as grace:
        assert await ada.hear() == {"type": "join", "room": room, "name": "Grace"}
        start = time.time()
        assert await ada.ask("pub", data={"text": "Grüße", "name": "Grace", "time": 1}) == {"type": "ok"}
        assert await grace.say("Hello") == {"type": "ok"}
        heard = [[await talker.hear(), await talker.hear()] for talker in (ada, grace)]
    assert heard[0] == heard[1]
    first, second = heard[0]
    assert {**first, "data": {**first["data"], "time": None}} == {
        "type": "msg",
        "room": room,
        "offset": 1,
        "data": {"name": "Ada", "text": "Grüße", "time": None},
    }
    assert start - 0.001 <= first["data"]["time"] <= time.time()
    assert (second["offset"], second["data"]["name"], second["data"]["text"]) == (2, "Grace", "Hello")


async def test_who_comes_late_gets_the_last_fifty_messages_and_then_what_is_new(hub: Hub, room: str) -> None:
    async with joined(room, "Ada") as ada:
        for number in range(60):
            await hub.publish_json(room, {"name": "Ada", "text": str(number), "time": 0})
        async with connected(room, "Grace") as grace:
            answer = await grace.ask("sub")
            await ada.say("new")
            new = await grace.hear()
    epoch = answer.pop("epoch")
    assert isinstance(epoch, str)
    assert epoch
    messages = answer.pop("messages")
    assert answer == {"type": "sub", "room": room, "offset": 60, "recovered": False}
    assert [message["offset"] for message in messages] == list(range(11, 61))
    assert [message["data"]["text"] for message in messages] == [str(number) for number in range(10, 60)]
    assert (new["offset"], new["data"]["text"]) == (61, "new")


async def test_a_room_is_not_heard_in_another_one(room: str) -> None:
    async with joined(room, "Ada") as ada, joined(f"{room} 2", "Ada") as other:
        await ada.say("here")
        await other.say("there")
        assert (await ada.hear())["data"]["text"] == "here"
        assert (await other.hear())["data"]["text"] == "there"


async def test_a_client_that_does_not_read_is_told_of_the_gap_and_stays(hub: Hub, room: str) -> None:
    async with joined(room, "Ada") as ada:
        ada.ws.pause_reading()
        for _ in range(80):
            await hub.publish_json(room, {"name": "Grace", "text": "x" * 8000, "time": 0})
        ada.ws.resume_reading()
        heard: list[Message] = []
        while not heard or heard[-1].get("offset") != 80:
            heard.append(await ada.hear())
        assert {"type": "gap", "room": room} in heard
        assert 2 < len(heard) < 80
        assert await ada.here() == {"Ada": 1}


# -- members


async def test_joining_and_leaving_is_told_to_the_others(room: str) -> None:
    async with joined(room, "Ada") as ada:
        async with joined(room, "Grace") as grace:
            assert await grace.here() == {"Ada": 1, "Grace": 1}
        assert await ada.hear() == {"type": "join", "room": room, "name": "Grace"}
        assert await ada.hear() == {"type": "leave", "room": room, "name": "Grace"}
        assert await ada.here() == {"Ada": 1}


async def test_several_connections_of_one_visitor_under_one_name_are_one_person(hub: Hub, room: str) -> None:
    async with joined(room, "Ada", "first") as ada:
        async with joined(room, "Grace", "second") as one:
            async with joined(room, "Grace", "second") as two:
                assert await two.here() == {"Ada": 1, "Grace": 2}
                await two.say("from the second")
                assert (await one.hear())["data"]["text"] == "from the second"
            await until(lambda: [member.connections for member in hub.members(room)] == [1, 1])
        assert [(await ada.hear())["type"] for _ in range(3)] == ["join", "msg", "leave"]
        assert await ada.here() == {"Ada": 1}


LOOK_ALIKES: Final = (
    ("Ada", "Ada"),
    ("Ada", "ADA"),
    ("Ada", " ada "),
    ("äda", "a\u0308da"),
    # Fullwidth letters, a ligature, a letter that folds into two, the Kelvin sign.
    ("Ada", "\uff21\uff44\uff41"),
    ("Griffin", "Gri\ufb03n"),
    ("Strauss", "Strauß"),
    ("kim", "\u212aim"),
    # Invisible characters: a variation selector, a grapheme joiner, fillers and the empty Braille pattern.
    ("Ada", "A\ufe0fda"),
    ("Ada", "A\u034fda\U000e0100"),
    ("Ada", "Ada\u3164"),
    ("Ada", "\u115fAda\uffa0"),
    ("Ada L", "Ada\u2800L"),
    ("Ada L", "Ada   L"),
    ("A\ufe0f  b", "a b"),
)


async def test_a_name_that_looks_like_somebody_else_s_is_taken_until_they_leave(hub: Hub, room: str) -> None:
    for taken, name in LOOK_ALIKES:
        await until(lambda: not hub.members(room))
        async with connected(room, name, "second") as other:
            async with joined(room, taken, "first"):
                answer = await other.ask("sub")
                assert (answer["type"], answer["code"]) == ("error", "name_taken")
            await until(lambda: not hub.members(room))
            assert (await other.ask("sub"))["type"] == "sub"


async def test_a_client_without_the_cookie_is_somebody_else_with_each_connection(room: str) -> None:
    async with joined(room, "Ada"), connected(room, "Ada") as other:
        assert (await other.ask("sub"))["code"] == "name_taken"


async def test_who_unsubscribes_hears_no_more_and_may_come_back(room: str) -> None:
    async with joined(room, "Ada") as ada, joined(room, "Grace") as grace:
        assert await ada.ask("unsub") == {"type": "ok"}
        assert (await ada.say("x"))["code"] == "not_subscribed"
        assert (await ada.ask("who"))["code"] == "not_subscribed"
        assert (await ada.ask("unsub"))["code"] == "not_subscribed"
        await grace.say("missed")
        assert [message["data"]["text"] for message in (await ada.ask("sub"))["messages"]] == ["missed"]
        await grace.say("heard")
        assert [await ada.hear() for _ in range(2)][-1]["data"]["text"] == "heard"


# -- what is refused, while the connection stays


UNANSWERABLE: Final = (
    ("", None, "invalid_json"),
    ("{", None, "invalid_json"),
    ('{"id": 1, "type": "ping", "x": NaN}', None, "invalid_json"),
    ("[" * 10_000, None, "invalid_json"),
    (b'{"id": 1, "type": "ping"}', None, "invalid_message"),
    ("[]", None, "invalid_message"),
    ("null", None, "invalid_message"),
    ('{"type": "ping"}', None, "invalid_id"),
    ('{"id": null, "type": "ping"}', None, "invalid_id"),
    ('{"id": true, "type": "ping"}', None, "invalid_id"),
    ('{"id": 1.5, "type": "ping"}', None, "invalid_id"),
    ('{"id": "", "type": "ping"}', None, "invalid_id"),
    ('{"id": {}, "type": "ping"}', None, "invalid_id"),
    (f'{{"id": "{"x" * 65}", "type": "ping"}}', None, "invalid_id"),
    (f'{{"id": {2**53}, "type": "ping"}}', None, "invalid_id"),
    ('{"id": 1}', 1, "unknown_type"),
    ('{"id": "a", "type": "bye"}', "a", "unknown_type"),
    ('{"id": -1, "type": ["sub"]}', -1, "unknown_type"),
    ('{"id": 1, "type": "sub"}', 1, "invalid_room"),
    ('{"id": 1, "type": "sub", "room": 5}', 1, "invalid_room"),
    ('{"id": 1, "type": "sub", "room": ""}', 1, "invalid_room"),
    ('{"id": 1, "type": "sub", "room": "another"}', 1, "wrong_room"),
    ('{"id": 1, "type": "pub", "room": "here", "data": {"text": "x"}}', 1, "not_subscribed"),
    ('{"id": 1, "type": "who", "room": "another"}', 1, "wrong_room"),
)


async def test_a_request_that_cannot_be_answered_gets_an_error_and_the_next_one_its_answer() -> None:
    for text, answered_id, code in UNANSWERABLE:
        async with connected("here", "Ada") as ada:
            await ada.ws.send(text)
            answer = await ada.ws.receive_json()
            assert (answer["type"], answer["id"], answer["code"]) == ("error", answered_id, code)
            assert answer["message"]
            assert await ada.ask("ping") == {"type": "ok"}


UNSHOWN: Final = ("   ", "a\nb", "a\u202eb", "a\u200bb", "\u2060", "a\x00b", "\u3164", "\ufe0f \u2800")


async def test_a_name_that_cannot_be_shown_is_refused_and_any_other_taken_as_it_is(room: str) -> None:
    for name in (None, "", "x" * 33, *UNSHOWN):
        async with connected(room, name) as talker:
            answer = await talker.ask("sub")
            assert (answer["type"], answer["code"]) == ("error", "invalid_name")
            assert answer["message"] == "invalid name: expected 1 to 32 printable characters"
    for number, name in enumerate(("x" * 32, "Zoë", "李", "<b>", "a b", "0", "😀")):
        async with joined(f"{room} {number}", name) as talker:
            assert await talker.here() == {name: 1}
    async with joined(room, " Ada   L ") as talker:
        assert await talker.here() == {"Ada L": 1}


async def test_a_room_that_cannot_be_shown_is_refused_and_any_other_is_a_room() -> None:
    for name in (" ", "x" * 51, "a\u202eb", "a\nb"):
        async with connected(name, "Ada") as ada:
            assert (await ada.ask("sub"))["code"] == "invalid_room"
    for name in ("Café & <b>?#%+", "x" * 50, "😀" * 50, "e\u0301"):
        async with joined(name, "Ada") as ada:
            assert await ada.here() == {"Ada": 1}


async def test_a_message_without_a_text_of_the_right_length_is_refused(room: str) -> None:
    wrong: list[Any] = [None, "text", [], {}, {"text": 5}, {"text": ""}, {"text": " \n"}, {"text": "x" * 1001}]
    for number, data in enumerate(wrong, 1):
        async with joined(room, "Ada", "visitor") as ada:
            assert (await ada.ask("pub", data=data))["code"] == "invalid_data"
            assert await ada.ask("pub", data={"text": "😀" * 1000}) == {"type": "ok"}
            assert (await ada.hear())["offset"] == number


async def test_half_a_character_is_passed_on_as_it_came(room: str) -> None:
    async with joined(room, "Ada") as ada:
        await ada.ws.send(f'{{"id": "x", "type": "pub", "room": "{room}", "data": {{"text": "\\ud800"}}}}')
        assert (await ada.hear())["data"]["text"] == "\ud800"


async def test_a_second_subscription_is_refused(room: str) -> None:
    async with joined(room, "Ada") as ada:
        assert (await ada.ask("sub"))["code"] == "already_subscribed"
        assert await ada.here() == {"Ada": 1}


async def test_past_the_rate_a_message_is_refused_and_a_second_later_the_next_one_passes(room: str) -> None:
    with VirtualClock() as clock:
        async with joined(room, "Ada") as ada:
            answers = [await ada.say(str(number)) for number in range(RATE + 1)]
            assert answers[:RATE] == [{"type": "ok"}] * RATE
            assert answers[RATE]["code"] == "rate_limited"
            assert f"the limit is {RATE} messages a second" in answers[RATE]["message"]
            await clock.advance(1 / RATE)
            assert await ada.say("later") == {"type": "ok"}
            assert [(await ada.hear())["data"]["text"] for _ in range(RATE + 1)] == ["0", "1", "2", "3", "4", "later"]


async def test_past_the_rate_a_room_is_not_left_joined_or_asked_for_and_a_second_later_it_is(room: str) -> None:
    with VirtualClock() as clock:
        async with joined(room, "Grace") as grace, joined(room, "Ada") as ada:
            answers = [await ada.ask(kind) for kind in ("unsub", "sub", "unsub", "sub", "unsub", "who")]
            assert [answer.get("code", answer["type"]) for answer in answers] == [
                *("ok", "sub", "ok", "sub"),
                *("rate_limited", "rate_limited"),
            ]
            assert f"the limit is {RATE} sub, unsub and who a second" in answers[-1]["message"]
            # Messages are counted apart from that.
            assert await ada.say("still here") == {"type": "ok"}
            await clock.advance(1 / RATE)
            assert await ada.here() == {"Grace": 1, "Ada": 1}
            told = [await grace.hear() for _ in range(6)]
    assert [message["type"] for message in told] == ["join", "leave", "join", "leave", "join", "msg"]


async def test_a_name_that_is_taken_is_not_tried_faster_than_the_rate(room: str) -> None:
    with VirtualClock():
        async with joined(room, "Ada"), connected(room, "Ada") as other:
            answers = [await other.ask("sub") for _ in range(RATE + 1)]
    assert [answer["code"] for answer in answers] == ["name_taken"] * RATE + ["rate_limited"]


async def test_of_a_crowd_that_comes_and_goes_a_room_is_told_once(room: str) -> None:
    with VirtualClock() as clock:
        async with joined(room, "Ada") as ada, joined(f"{room} 2", "Ada") as elsewhere:
            for number in range(15):
                async with joined(room, f"Visitor {number}"):
                    pass
            async with joined(f"{room} 2", "Grace"):
                assert (await elsewhere.hear())["type"] == "join"
            assert [(await ada.hear())["type"] for _ in range(20)] == ["join", "leave"] * 9 + ["join", "crowd"]
            await clock.advance(1)
            async with joined(room, "Grace"):
                assert await ada.hear() == {"type": "join", "room": room, "name": "Grace"}


# -- what ends the connection, or refuses it


async def test_a_flood_is_closed_with_1008(room: str) -> None:
    with VirtualClock():
        async with joined(room, "Ada") as ada:
            for _ in range(20):
                await ada.ws.send('{"id": 1, "type": "ping"}')
            assert await ada.ws.wait_closed() == (1008, "too many messages per second")


async def test_a_message_that_is_too_large_is_closed_with_1009(room: str) -> None:
    async with joined(room, "Ada") as ada:
        await ada.ws.send(" " * 16_385)
        assert await ada.ws.wait_closed() == (1009, "message too big")


async def test_a_page_of_another_origin_is_refused() -> None:
    async with WebSocketCommunicator(asgi_ws.app, "/chat/lobby?name=Ada", origin="http://elsewhere.example") as ws:
        assert await refusal(ws) == (403, b"origin not allowed")


async def test_the_subprotocol_is_agreed_on_where_it_is_offered() -> None:
    for offered, accepted in ([PROTOCOL], PROTOCOL), (["other", PROTOCOL], PROTOCOL), ([], None):
        async with connected("here", "Ada", subprotocols=offered) as talker:
            assert talker.ws.accepted_subprotocol == accepted
            assert await talker.ask("ping") == {"type": "ok"}


async def test_a_client_that_speaks_only_other_subprotocols_is_refused_with_400() -> None:
    async with WebSocketCommunicator(asgi_ws.app, "/chat/lobby?name=Ada", subprotocols=["asgi-ws.v2"]) as ws:
        assert await refusal(ws) == (400, b"unsupported subprotocol: offer asgi-ws.v1, or none")


async def test_who_connects_after_the_stop_is_refused_with_503() -> None:
    async with LifespanManager(asgi_ws.app):
        pass
    async with WebSocketCommunicator(asgi_ws.app, "/chat/lobby?name=Ada") as ws:
        assert await refusal(ws) == (503, b"the chat is not running: the application has stopped")


async def test_the_application_runs_in_several_loops_at_once_and_each_has_rooms_of_its_own(room: str) -> None:
    async def elsewhere() -> list[Message]:
        async with LifespanManager(asgi_ws.app), connected(room, "Ada", "another") as other:
            messages: list[Message] = (await other.ask("sub"))["messages"]
            return messages

    async with joined(room, "Ada") as ada:
        await ada.say("here")
        assert await asyncio.to_thread(asyncio.run, elsewhere()) == []
        assert await ada.here() == {"Ada": 1}


# -- the page


async def test_the_page_gives_a_browser_its_cookie_once() -> None:
    async with http_client(asgi_ws.app) as client:
        first = await client.get("/chat/lobby")
        second = await client.get("/chat/lobby")
    assert first.headers["set-cookie"].startswith("asgi_ws_visitor=")
    assert first.headers["set-cookie"].endswith("; HttpOnly; SameSite=Strict")
    assert "set-cookie" not in second.headers
    assert first.content == second.content


async def test_two_browsers_get_two_cookies() -> None:
    async with http_client(asgi_ws.app) as one, http_client(asgi_ws.app) as other:
        cookies = {(await client.get("/chat/lobby")).headers["set-cookie"] for client in (one, other)}
    assert len(cookies) == 2


async def test_the_page_tells_the_limits_that_the_server_holds() -> None:
    async with http_client(asgi_ws.app) as client:
        text = " ".join((await client.get("/chat/lobby")).text.split())
        front = (await client.get("/")).text
    assert f"Up to {RATE} messages a second, 1000 characters each. New members see the last 50 messages." in text
    assert "$" not in text
    assert 'maxlength="32"' in text
    assert 'maxlength="1000"' in text
    assert 'maxlength="50"' in front
    assert 'pattern="(?!\\.{1,2}$)[^\\/]+"' in front


async def test_there_is_no_room_without_a_name_or_below_another_one() -> None:
    async with http_client(asgi_ws.app) as client:
        assert [(await client.get(path)).status_code for path in ("/chat", "/chat/", "/chat/a/b")] == [404] * 3
