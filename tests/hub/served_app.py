"""An application with a hub, served by real servers: members run the commands of their clients."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from asgi_ws import (
    App,
    ConnectionClosed,
    Hub,
    JSONResponse,
    Membership,
    Request,
    Response,
    Route,
    WebSocket,
    WebSocketRoute,
    http_app,
    websocket_app,
)
from tests.servers.journal import Journal, show_log

# Fills a message up to the wanted length.
PADDING: Final = "."


show_log()


def numbered(publisher: str, number: int, size: int = 0) -> str:
    """Return a message that names its publisher and its number."""
    return f"{publisher} {number} ".ljust(size, PADDING)


class Commands:
    """The commands of a client: each message is the name of a method, and its arguments."""

    def __init__(self, hub: Hub, ws: WebSocket, membership: Membership, name: str) -> None:
        self._hub = hub
        self._ws = ws
        self._membership = membership
        self._name = name
        self._number = 0
        self.is_over = False

    async def finale(self, *, count: int, size: int, how: str) -> None:
        """Publish large messages and two small ones, say so to the journal, and end: by a close or by returning."""
        for text in (*["large".ljust(size, PADDING)] * count, "see", "bye"):
            await self._membership.publish(text)
        journal.note(self._ws, "published")
        self.is_over = True
        if how == "close":
            await self._ws.close(4001, "done")

    async def publish(self, *, count: int = 1, size: int = 0, own: bool = False) -> None:
        """Publish `count` numbered messages, each followed by one of the handler's own if that is asked for."""
        for _ in range(count):
            number, self._number = self._number, self._number + 1
            await self._membership.publish(numbered(self._name, number, size))
            if own:
                await self._ws.send(numbered("own", number))

    async def leave(self) -> None:
        """Leave the room, and say so."""
        self._membership.leave()
        await self._ws.send("left")

    async def close(self) -> None:
        """End by a close of the server's."""
        await self._ws.close(4001, "asked for")

    async def show(self) -> None:
        """Send the statistics of the hub, and the members of the room."""
        who = names(self._hub, self._membership.room)
        await self._ws.send(json.dumps({**asdict(self._hub.statistics()), "who": who}))


def names(hub: Hub, room: str) -> list[str]:
    return sorted(member.identity for member in hub.members(room))


class Served:
    """A hub with its members, and pages that report on both.

    Args:
        note: takes what a member's handler saw.
    """

    def __init__(self, hub: Hub, note: Callable[..., None]) -> None:
        self._hub = hub
        self._note = note
        self.routes = [
            Route("/statistics", http_app(self.statistics)),
            Route("/who/{room}", http_app(self.who)),
            WebSocketRoute("/room/{room}", websocket_app(self.member)),
        ]

    async def member(self, ws: WebSocket) -> None:
        """Serve `/room/{room}?id=ID&overflow=POLICY`: a member until the connection ends."""
        name, room = ws.query_params["id"], ws.path_params["room"]
        await ws.accept()
        try:
            async with self._hub.join(ws, room, overflow=ws.query_params.get("overflow"), identity=name) as membership:
                commands = Commands(self._hub, ws, membership, name)
                await ws.send("joined")
                self._note(ws, "joined")
                while not commands.is_over:
                    word, arguments = json.loads(await ws.receive_text())
                    await getattr(commands, word)(**arguments)
            self._note(ws, "end", "returned", "")
        except ConnectionClosed as error:
            self._note(ws, "end", error.code, error.reason)
        except BaseException as error:
            self._note(ws, "end", type(error).__name__, str(error))
            raise

    async def statistics(self, request: Request) -> Response:
        """Return the statistics of the hub, and the names of all tasks but this one."""
        tasks = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        return JSONResponse({**asdict(self._hub.statistics()), "tasks": tasks})

    async def who(self, request: Request) -> Response:
        """Serve `/who/{room}`: the identities of its members."""
        return JSONResponse(names(self._hub, request.path_params["room"]))


hub = Hub()
journal = Journal()
served = Served(hub, journal.note)
app = App([*served.routes, Route("/events/{id}", http_app(journal.read))], lifespan=[hub])
