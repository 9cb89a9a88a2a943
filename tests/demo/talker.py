"""One person in the chat of the default application, in memory."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, cast
from urllib.parse import quote, urlencode

import asgi_ws
from asgi_ws.testing import WebSocketCommunicator

PROTOCOL: Final = "asgi-ws.v1"

Message = dict[str, Any]


class Talker:
    """Asks, and keeps apart what was answered and what was said unasked."""

    def __init__(self, ws: WebSocketCommunicator, room: str) -> None:
        self.ws = ws
        self.room = room
        self._heard: deque[Message] = deque()
        self._last_id = 0

    async def ask(self, kind: str, **fields: Any) -> Message:
        """Send a request and return its answer without the id."""
        self._last_id += 1
        await self.ws.send_json({"id": self._last_id, "type": kind, "room": self.room, **fields})
        answer = await self._next(is_answer=True)
        assert answer.pop("id") == self._last_id
        return answer

    async def say(self, text: str) -> Message:
        return await self.ask("pub", data={"text": text})

    async def hear(self) -> Message:
        """Return the next message that answers no request."""
        return self._heard.popleft() if self._heard else await self._next(is_answer=False)

    async def here(self) -> dict[str, int]:
        """Return the number of connections of each member."""
        answer = await self.ask("who")
        return {member["name"]: member["connections"] for member in answer["members"]}

    async def _next(self, *, is_answer: bool) -> Message:
        while True:
            message = cast("Message", await self.ws.receive_json())
            if ("id" in message) is is_answer:
                return message
            assert not is_answer or "id" not in message
            self._heard.append(message)


@asynccontextmanager
async def connected(room: str, name: str | None, visitor: str | None = None, **options: Any) -> AsyncIterator[Talker]:
    """Connect to a room without joining it."""
    headers = [] if visitor is None else [("cookie", f"asgi_ws_visitor={visitor}")]
    query = "" if name is None else f"?{urlencode({'name': name})}"
    path = f"/chat/{quote(room, safe='')}{query}"
    options = {"headers": headers, "subprotocols": [PROTOCOL], **options}
    async with WebSocketCommunicator(asgi_ws.app, path, **options) as ws:
        await ws.connect()
        yield Talker(ws, room)


@asynccontextmanager
async def joined(room: str, name: str, visitor: str | None = None) -> AsyncIterator[Talker]:
    """Join a room."""
    async with connected(room, name, visitor) as talker:
        answer = await talker.ask("sub")
        assert answer["type"] == "sub", answer
        yield talker
