"""The chat of the default application: the WebSocket `/chat/{room}`, and the page over HTTP at the same path.

A connection is for one room, that of its path, and for one person, whose name is its query parameter `name`:
`/chat/lobby?name=Ada`. It speaks the subprotocol "asgi-ws.v1"; a client that offers none is taken to speak it. Each
message is one JSON object in text. What a client asks has an `id` of its choice, a whole number or a text, which the
answer repeats:

    {"id": 1, "type": "sub", "room": "lobby"}      join; answer: sub {room, epoch, offset, recovered, messages}
    {"id": 2, "type": "pub", "room": "lobby", "data": {"text": "Hello"}}                            answer: ok
    {"id": 3, "type": "who", "room": "lobby"}      answer: who {room, members: [{name, connections}]}
    {"id": 4, "type": "unsub", "room": "lobby"}    leave; answer: ok
    {"id": 5, "type": "ping"}                      answer: ok

`messages` are the last ones of the room, oldest first, each {offset, data}; `offset` is that of the newest message, and
another `epoch` than before means that the server has lost what it kept. `recovered` is false: nothing is resumed. What
goes to the members of a room has no `id`:

    {"type": "msg", "room": "lobby", "offset": 7, "data": {"name": "Ada", "text": "Hello", "time": 1790000000.123}}
    {"type": "join", "room": "lobby", "name": "Ada"}, and "leave" likewise
    {"type": "gap", "room": "lobby"}               messages are missing here: this client was too slow for them
    {"type": "crowd", "room": "lobby"}             more come and go than is announced: ask `who` in a while

`name` and `time` (seconds since 1970) are the server's words: nobody can speak in another's name. Who talks gets the
message like everyone, in the one order of the room.

What cannot be done is answered by `error {id, code, message}`, and the connection stays. `id` is null where the request
had none that could be used. The codes: `invalid_json`, `invalid_message`, `invalid_id`, `unknown_type`, `invalid_name`,
`name_taken`, `invalid_room`, `wrong_room`, `already_subscribed`, `not_subscribed`, `invalid_data`, `rate_limited`. Only
a message that is too large (close code 1009) and a flood (1008) end it.

Each request that costs the others or the server more than its own answer is limited for each connection: `pub` by
itself, and `sub`, `unsub` and `who` together. Since anyone can open many connections, a room announces a bounded number
of joins and leaves a second.

A name is one person. The page's browser has a random cookie, and all its connections under one name, those of several
tabs for instance, are that person: it joins with the first of them and leaves with the last. Anyone else gets
`name_taken`, as long as the person is there. Capitals, runs of spaces, characters that cannot be seen and other forms
of the same letter make no difference; letters of different scripts do. A client without the cookie is somebody else
with each connection. There are no accounts: once a name is free, the next one to come has it.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from secrets import token_urlsafe
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple
from unicodedata import normalize

from ..brokers.base import History, RoomEvent
from ..endpoints import WebSocketEndpoint, http_app
from ..errors import HTTPError, InvalidJSON
from ..http.request import Request
from ..http.responses import Response
from ..hub.encoder import Encoder, Gap
from ..hub.hub import Hub
from ..hub.membership import Membership
from ..hub.overflow import Overflow
from ..hub.presence import Member
from ..json_codec import STANDARD_JSON
from ..limits import Limits
from ..sizes import KIB
from ..token_bucket import TokenBucket
from ..websocket.websocket import WebSocket
from . import pages

PROTOCOL: Final = "asgi-ws.v1"
# In characters. A hub takes room names of up to 255 bytes of UTF-8.
MAX_NAME: Final = 32
MAX_ROOM: Final = 50
MAX_TEXT: Final = 1000
MAX_ID: Final = 64
# What a browser holds exactly.
MAX_NUMBER: Final = 2**53
# A request past these is refused and the connection stays. The second is that of `sub`, `unsub` and `who` together.
MESSAGES_PER_SECOND: Final = 5
ROOM_REQUESTS_PER_SECOND: Final = 5
# Of joins and leaves, in each room. Those past it are announced once, as a crowd.
ANNOUNCEMENTS_PER_SECOND: Final = 20
# What is past these ends the connection. The longest text takes 12 bytes for a character, as two \uXXXX.
LIMITS: Final = Limits(messages_per_second=20, max_message_bytes=16 * KIB)
HISTORY: Final = History(messages=50, seconds=24 * 3600.0)
VISITOR_COOKIE: Final = "asgi_ws_visitor"
# The key of the hub in the application's state.
HUB: Final = "asgi_ws chat hub"
# What the pages are told of the above.
NUMBERS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "max_name": MAX_NAME,
        "max_room": MAX_ROOM,
        "max_text": MAX_TEXT,
        "messages_per_second": MESSAGES_PER_SECOND,
        "messages_kept": HISTORY.messages,
    }
)


# Characters that `str.isprintable` lets pass and that nobody sees: blanks that are letters or symbols, and the rest of
# Unicode's default ignorable code points.
_BLANK: Final = re.compile("[\u115f\u1160\u2800\u3164\uffa0\U00016fe4\U0001d159]")
_UNSEEN: Final = re.compile("[\u034f\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


class Visitor(NamedTuple):
    """The facts that are kept of a member.

    Attributes:
        id: tells one browser from another.
        look: the name in the form in which names are compared.
    """

    id: str
    look: str


class ChatEncoder(Encoder):
    """What the members of a room are told, in the shapes above."""

    def __init__(self) -> None:
        # The second that counts now, and how much was announced in it, by room.
        self._second = 0
        self._announced: Counter[str] = Counter()

    def message(self, room: str, event: RoomEvent) -> str:
        return STANDARD_JSON.encode_text({"type": "msg", "room": room, **_entry(event)})

    def gap(self, gap: Gap) -> str:
        return STANDARD_JSON.encode_text({"type": "gap", "room": gap.room})

    def join(self, room: str, member: Member) -> str | None:
        return self._announce("join", room, member)

    def leave(self, room: str, member: Member) -> str | None:
        return self._announce("leave", room, member)

    def _announce(self, kind: str, room: str, member: Member) -> str | None:
        second = int(asyncio.get_running_loop().time())
        if second != self._second:
            self._second = second
            self._announced.clear()
        self._announced[room] += 1
        past = self._announced[room] - ANNOUNCEMENTS_PER_SECOND
        if past > 1:
            return None
        named = {"name": member.identity} if past < 1 else {}
        return STANDARD_JSON.encode_text({"type": "crowd" if past == 1 else kind, "room": room, **named})


def _entry(event: RoomEvent) -> dict[str, Any]:
    offset = None if event.position is None else event.position.offset
    return {"offset": offset, "data": STANDARD_JSON.decode(event.envelope.data)}


@asynccontextmanager
async def chat_hub() -> AsyncIterator[dict[str, Hub]]:
    """The hub, which connections find in their state. One for each start: the application may run in several loops."""
    # Who is slow misses messages and is told so, and keeps the connection.
    async with Hub(overflow=Overflow.DROP_OLDEST, history=HISTORY, encoder=ChatEncoder()) as hub:
        yield {HUB: hub}


class ChatError(Exception):
    """A request that cannot be answered otherwise: the `code` for programs, the `message` for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class Chat(WebSocketEndpoint):
    """One connection: the requests of one person to one room."""

    # Of the loop that this connection is in.
    _hub: Hub

    def __init__(self) -> None:
        # None while the connection is not subscribed to its room.
        self._membership: Membership | None = None
        self._visitor = ""
        self._now = asyncio.get_running_loop().time
        self._messages = TokenBucket(MESSAGES_PER_SECOND, MESSAGES_PER_SECOND)
        self._room_requests = TokenBucket(ROOM_REQUESTS_PER_SECOND, ROOM_REQUESTS_PER_SECOND)

    async def on_connect(self, ws: WebSocket) -> None:
        offered = ws.subprotocols
        if offered and PROTOCOL not in offered:
            raise HTTPError(400, f"offer the subprotocol {PROTOCOL}, or none")
        if HUB not in ws.state:
            raise HTTPError(503, "the application has stopped")
        self._hub = ws.state[HUB]
        self._visitor = ws.cookies.get(VISITOR_COOKIE) or token_urlsafe(16)
        await ws.accept(PROTOCOL if offered else None)

    async def on_receive(self, ws: WebSocket, data: str | bytes) -> None:
        request_id: int | str | None = None
        try:
            request = _decoded(data)
            request_id = _checked_id(request.get("id"))
            answer = await self._answer(ws, request)
        except ChatError as error:
            answer = {"type": "error", "code": error.code, "message": error.message}
        await ws.send_json({"id": request_id, **answer})

    async def _answer(self, ws: WebSocket, request: Mapping[str, Any]) -> dict[str, Any]:
        kind = request.get("type")
        answer = self._answers.get(kind) if isinstance(kind, str) else None
        if answer is None:
            raise ChatError("unknown_type", f"type is one of {', '.join(self._answers)}")
        return await answer(self, ws, request)

    async def _subscribe(self, ws: WebSocket, request: Mapping[str, Any]) -> dict[str, Any]:
        room = self._check_room(ws, request)
        if self._membership is not None:
            raise ChatError("already_subscribed", "this connection is subscribed to its room")
        self._count_room_request()
        name = re.sub(" +", " ", _checked_text(ws.query_params.get("name", ""), "name", MAX_NAME))
        visitor = Visitor(self._visitor, look_of(name))
        # Nothing may be awaited between the look at the names and the joining.
        if any(_is_other(member, visitor) for member in self._hub.members(room)):
            raise ChatError("name_taken", "somebody else in this room has this name; choose another one")
        self._membership = self._hub.join(ws, room, identity=name, info=visitor)
        page = await self._hub.read(room, limit=HISTORY.messages)
        return {
            "type": "sub",
            "room": room,
            "epoch": "" if page.top is None else page.top.epoch,
            "offset": 0 if page.top is None else page.top.offset,
            "recovered": False,
            "messages": [_entry(event) for event in page.events],
        }

    async def _unsubscribe(self, ws: WebSocket, request: Mapping[str, Any]) -> dict[str, Any]:
        membership = self._subscribed(ws, request)
        self._count_room_request()
        membership.leave()
        self._membership = None
        return {"type": "ok"}

    async def _publish(self, ws: WebSocket, request: Mapping[str, Any]) -> dict[str, Any]:
        if not self._messages.take(self._now()):
            raise ChatError("rate_limited", f"not sent: at most {MESSAGES_PER_SECOND} messages a second are passed on")
        membership = self._subscribed(ws, request)
        data = request.get("data")
        text = data.get("text") if isinstance(data, dict) else None
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT:
            raise ChatError("invalid_data", f'data is {{"text": "..."}}, of 1 to {MAX_TEXT} characters')
        await membership.publish_json({"name": membership.identity, "text": text, "time": round(time.time(), 3)})
        return {"type": "ok"}

    async def _who(self, ws: WebSocket, request: Mapping[str, Any]) -> dict[str, Any]:
        membership = self._subscribed(ws, request)
        self._count_room_request()
        members = [{"name": member.identity, "connections": member.connections} for member in membership.members()]
        return {"type": "who", "room": membership.room, "members": members}

    async def _ping(self, ws: WebSocket, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": "ok"}

    def _count_room_request(self) -> None:
        if not self._room_requests.take(self._now()):
            raise ChatError(
                "rate_limited", f"at most {ROOM_REQUESTS_PER_SECOND} times a second a room is joined, left or asked for"
            )

    def _check_room(self, ws: WebSocket, request: Mapping[str, Any]) -> str:
        room = _checked_text(request.get("room"), "room", MAX_ROOM)
        own = _checked_text(ws.path_params["room"], "room", MAX_ROOM)
        if room != own:
            raise ChatError("wrong_room", "this connection is for the room of its path")
        return room

    def _subscribed(self, ws: WebSocket, request: Mapping[str, Any]) -> Membership:
        self._check_room(ws, request)
        if self._membership is None:
            raise ChatError("not_subscribed", "subscribe first")
        return self._membership

    _answers: ClassVar[Mapping[str, Callable[["Chat", WebSocket, Mapping[str, Any]], Awaitable[dict[str, Any]]]]] = (
        MappingProxyType({"sub": _subscribe, "unsub": _unsubscribe, "pub": _publish, "who": _who, "ping": _ping})
    )


def _decoded(data: str | bytes) -> Mapping[str, Any]:
    if not isinstance(data, str):
        raise ChatError("invalid_message", "messages are text")
    try:
        request = STANDARD_JSON.decode(data)
    except InvalidJSON:
        raise ChatError("invalid_json", "this is not valid JSON") from None
    if not isinstance(request, dict):
        raise ChatError("invalid_message", "a message is a JSON object")
    return request


def _checked_id(value: object) -> int | str:
    if isinstance(value, str) and 0 < len(value) <= MAX_ID:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < MAX_NUMBER:
        return value
    raise ChatError("invalid_id", f"id is a text of 1 to {MAX_ID} characters, or a whole number below 2^53")


def _checked_text(value: object, what: str, longest: int) -> str:
    """Return a name in one form (Unicode, NFC).

    Raises:
        ChatError: when it cannot be shown in one line, or nothing of it can be seen.
    """
    text = normalize("NFC", value).strip() if isinstance(value, str) else ""
    if not 0 < len(text) <= longest or not text.isprintable() or not look_of(text):
        raise ChatError(f"invalid_{what}", f"a {what} is 1 to {longest} printable characters")
    return text


def look_of(name: str) -> str:
    """Return the form in which names are compared: two that look the same have one (Unicode, NFKC_Casefold).

    Letters of different scripts that look alike are not the same, such as the Latin and the Cyrillic a.
    """
    # A letter in another form can fold into one that has yet another form.
    while True:
        seen = " ".join(_UNSEEN.sub("", _BLANK.sub(" ", name)).split())
        folded = normalize("NFKC", seen.casefold())
        if folded == name:
            return name
        name = folded


def _is_other(member: Member, visitor: Visitor) -> bool:
    """Return True for another person's membership under the same name."""
    other: Visitor = member.info
    return other.look == visitor.look and other.id != visitor.id


_PAGE: Final = pages.html("chat.html", NUMBERS)


@http_app
async def chat_page(request: Request) -> Response:
    """The page, which is the same for every room; and the cookie that tells this browser from another."""
    if request.cookies.get(VISITOR_COOKIE):
        return _PAGE
    # Without a path it is sent to this folder alone (RFC 6265 section 5.1.4), wherever the application is mounted.
    cookie = f"{VISITOR_COOKIE}={token_urlsafe(16)}; HttpOnly; SameSite=Strict"
    return pages.html("chat.html", NUMBERS, {**pages.HEADERS, "set-cookie": cookie})
