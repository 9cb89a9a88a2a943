"""The chat of the default application: the WebSocket `/chat/{room}`, and its page over HTTP at the same path.

A connection is for the room in its path, and for one person: `/chat/lobby?name=Ada`. It speaks the subprotocol
"asgi-ws.v1", also if the client offers no subprotocol. Each message is one JSON object in a text message. A request has
an `id` of the client's choice, an integer or a string, and the answer repeats it:

    {"id": 1, "type": "sub", "room": "lobby"}      join; answer: sub {room, epoch, offset, recovered, messages}
    {"id": 2, "type": "pub", "room": "lobby", "data": {"text": "Hello"}}                            answer: ok
    {"id": 3, "type": "who", "room": "lobby"}      answer: who {room, members: [{name, connections}]}
    {"id": 4, "type": "unsub", "room": "lobby"}    leave; answer: ok
    {"id": 5, "type": "ping"}                      answer: ok

`messages` are the last ones of the room, oldest first, each {offset, data}. `offset` is that of the newest message. A
new `epoch` means that the server has lost the earlier messages. `recovered` is always false: the client compares
offsets to find missing messages. Messages to the members of a room have no `id`:

    {"type": "msg", "room": "lobby", "offset": 7, "data": {"name": "Ada", "text": "Hello", "time": 1790000000.123}}
    {"type": "join", "room": "lobby", "name": "Ada"}    and "leave"
    {"type": "gap", "room": "lobby"}                    this client was too slow, and messages are missing here
    {"type": "crowd", "room": "lobby"}                  further joins and leaves are not announced: send `who` later

The server sets `name` and `time` (seconds since 1970), so no client can speak in another's name. The author receives
the message like every member, in the same order.

A request that fails is answered by `error {id, code, message}`, and the connection stays open. `id` is null if the
request had no valid id. The codes: `invalid_json`, `invalid_message`, `invalid_id`, `unknown_type`, `invalid_name`,
`name_taken`, `invalid_room`, `wrong_room`, `already_subscribed`, `not_subscribed`, `invalid_data`, `rate_limited`. Only
a message that is too large (close code 1009) and a flood of messages (1008) close the connection.

Requests that cost the server more than their own answer are limited for each connection: `pub` on its own, and `sub`,
`unsub` and `who` together. A room also announces only a bounded number of joins and leaves a second, because one person
can open many connections.

A name belongs to one person at a time. The page sets a random cookie, and all connections of one browser under one
name, for instance from several tabs, are one person. This person joins with the first connection and leaves with the
last. Everyone else gets `name_taken` until then. Names are compared without regard to capitals, spaces, invisible
characters and different forms of one letter; letters of different scripts are different. A client without the cookie is
a new person on each connection. The chat has no accounts: a free name goes to the next person who uses it.
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
# In characters. A hub accepts room names of up to 255 bytes of UTF-8.
MAX_NAME: Final = 32
MAX_ROOM: Final = 50
MAX_TEXT: Final = 1000
MAX_ID: Final = 64
# JavaScript represents integers exactly below this bound.
MAX_NUMBER: Final = 2**53
# Requests above these rates are refused, and the connection stays open. The second is for `sub`, `unsub` and `who`
# together.
MESSAGES_PER_SECOND: Final = 5
ROOM_REQUESTS_PER_SECOND: Final = 5
# Joins and leaves in each room. Further ones are announced once, as a crowd.
ANNOUNCEMENTS_PER_SECOND: Final = 20
# Exceeding these closes the connection. A character takes up to 12 bytes, as two \uXXXX.
LIMITS: Final = Limits(messages_per_second=20, max_message_bytes=16 * KIB)
HISTORY: Final = History(messages=50, seconds=24 * 3600.0)
VISITOR_COOKIE: Final = "asgi_ws_visitor"
# The key of the hub in the application's state.
HUB: Final = "asgi_ws chat hub"
# The limits that the pages state.
NUMBERS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "max_name": MAX_NAME,
        "max_room": MAX_ROOM,
        "max_text": MAX_TEXT,
        "messages_per_second": MESSAGES_PER_SECOND,
        "messages_kept": HISTORY.messages,
    }
)


# Invisible characters that `str.isprintable` accepts: blanks that are letters or symbols, and the rest of Unicode's
# default ignorable code points.
_BLANK: Final = re.compile("[\u115f\u1160\u2800\u3164\uffa0\U00016fe4\U0001d159]")
_UNSEEN: Final = re.compile("[\u034f\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


class Visitor(NamedTuple):
    """The facts that identify a member.

    Attributes:
        id: of the browser.
        look: the name in the form that is compared.
    """

    id: str
    look: str


class ChatEncoder(Encoder):
    """The messages to the members of a room, in the formats above."""

    def __init__(self) -> None:
        # The current second, and the number of announcements in it by room.
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
    """Run the hub and put it into the state of connections. Each start has its own: it may be in another event loop."""
    # A slow client stays connected, misses messages, and receives a gap.
    async with Hub(overflow=Overflow.DROP_OLDEST, history=HISTORY, encoder=ChatEncoder()) as hub:
        yield {HUB: hub}


class ChatError(Exception):
    """A request that failed: `code` is for programs, `message` for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class Chat(WebSocketEndpoint):
    """One connection: the requests of one person to one room."""

    # The hub in the event loop of this connection.
    _hub: Hub

    def __init__(self) -> None:
        # None until the connection has joined its room.
        self._membership: Membership | None = None
        self._visitor = ""
        self._now = asyncio.get_running_loop().time
        self._messages = TokenBucket(MESSAGES_PER_SECOND, MESSAGES_PER_SECOND)
        self._room_requests = TokenBucket(ROOM_REQUESTS_PER_SECOND, ROOM_REQUESTS_PER_SECOND)

    async def on_connect(self, ws: WebSocket) -> None:
        offered = ws.subprotocols
        if offered and PROTOCOL not in offered:
            raise HTTPError(400, f"unsupported subprotocol: offer {PROTOCOL}, or none")
        if HUB not in ws.state:
            raise HTTPError(503, "the chat is not running: the application has stopped")
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
            raise ChatError("unknown_type", f"unknown type: expected one of {', '.join(self._answers)}")
        return await answer(self, ws, request)

    async def _subscribe(self, ws: WebSocket, request: Mapping[str, Any]) -> dict[str, Any]:
        room = self._check_room(ws, request)
        if self._membership is not None:
            raise ChatError("already_subscribed", "already subscribed: send unsub first")
        self._count_room_request()
        name = re.sub(" +", " ", _checked_text(ws.query_params.get("name", ""), "name", MAX_NAME))
        visitor = Visitor(self._visitor, look_of(name))
        # No await between the check and the join, or two clients could take one name.
        if any(_is_other(member, visitor) for member in self._hub.members(room)):
            raise ChatError("name_taken", "this name is taken in this room: choose another one")
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
            raise ChatError("rate_limited", f"message not sent: the limit is {MESSAGES_PER_SECOND} messages a second")
        membership = self._subscribed(ws, request)
        data = request.get("data")
        text = data.get("text") if isinstance(data, dict) else None
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT:
            raise ChatError("invalid_data", f'invalid data: expected {{"text": "..."}} with 1 to {MAX_TEXT} characters')
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
                "rate_limited", f"request refused: the limit is {ROOM_REQUESTS_PER_SECOND} sub, unsub and who a second"
            )

    def _check_room(self, ws: WebSocket, request: Mapping[str, Any]) -> str:
        room = _checked_text(request.get("room"), "room", MAX_ROOM)
        own = _checked_text(ws.path_params["room"], "room", MAX_ROOM)
        if room != own:
            raise ChatError("wrong_room", "wrong room: this connection is for the room in its path")
        return room

    def _subscribed(self, ws: WebSocket, request: Mapping[str, Any]) -> Membership:
        self._check_room(ws, request)
        if self._membership is None:
            raise ChatError("not_subscribed", "not subscribed: send sub first")
        return self._membership

    _answers: ClassVar[Mapping[str, Callable[["Chat", WebSocket, Mapping[str, Any]], Awaitable[dict[str, Any]]]]] = (
        MappingProxyType({"sub": _subscribe, "unsub": _unsubscribe, "pub": _publish, "who": _who, "ping": _ping})
    )


def _decoded(data: str | bytes) -> Mapping[str, Any]:
    if not isinstance(data, str):
        raise ChatError("invalid_message", "invalid message: expected text, not bytes")
    try:
        request = STANDARD_JSON.decode(data)
    except InvalidJSON:
        raise ChatError("invalid_json", "invalid message: expected JSON") from None
    if not isinstance(request, dict):
        raise ChatError("invalid_message", "invalid message: expected a JSON object")
    return request


def _checked_id(value: object) -> int | str:
    if isinstance(value, str) and 0 < len(value) <= MAX_ID:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < MAX_NUMBER:
        return value
    raise ChatError(
        "invalid_id", f"invalid id: expected a string of 1 to {MAX_ID} characters, or an integer below 2^53"
    )


def _checked_text(value: object, what: str, longest: int) -> str:
    """Return a name in Unicode's form NFC.

    Raises:
        ChatError: if it is empty, too long, invisible, or not printable on one line.
    """
    text = normalize("NFC", value).strip() if isinstance(value, str) else ""
    if not 0 < len(text) <= longest or not text.isprintable() or not look_of(text):
        raise ChatError(f"invalid_{what}", f"invalid {what}: expected 1 to {longest} printable characters")
    return text


def look_of(name: str) -> str:
    """Return the form of a name that is compared, like Unicode's NFKC_Casefold: equal for names that look the same.

    Letters of different scripts stay different, such as the Latin and the Cyrillic a.
    """
    # Folding can produce a letter that folds again.
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
    """Return the page, which is the same for every room, and set the cookie that identifies the browser."""
    if request.cookies.get(VISITOR_COOKIE):
        return _PAGE
    # Without a path attribute, the browser sends it only to the folder of this page (RFC 6265 section 5.1.4).
    cookie = f"{VISITOR_COOKIE}={token_urlsafe(16)}; HttpOnly; SameSite=Strict"
    return pages.html("chat.html", NUMBERS, {**pages.HEADERS, "set-cookie": cookie})
