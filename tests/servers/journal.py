"""Notes of handlers, by connection, which a test reads from the same server over HTTP."""

import asyncio
import logging
import sys
from collections import defaultdict
from collections.abc import Awaitable
from typing import Any

from asgi_ws import ConnectionClosed, JSONResponse, Request, Response, UsageError, WebSocket
from tests.hanging import HANGING

# Less than a test waits for the note of it.
_HANG_SECONDS = HANGING / 2

logger = logging.getLogger("probe")


def show_log() -> None:
    """Log lines of the package and of journals to stderr, once each, whatever the server sets up for its own."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    for each in (logging.getLogger("asgi_ws"), logger):
        each.addHandler(handler)
        each.setLevel(logging.INFO)
        each.propagate = False


class Journal:
    """Notes of the handlers, each a list: a word, and facts that JSON can carry."""

    def __init__(self) -> None:
        self._notes: defaultdict[str, list[list[Any]]] = defaultdict(list)
        # The events that wait for the next note of a connection.
        self._waiting: defaultdict[str, list[asyncio.Event]] = defaultdict(list)

    def note(self, source: WebSocket | str, word: str, *facts: Any) -> None:
        """Note something of one connection, which the query parameter `id` names."""
        name = source if isinstance(source, str) else source.query_params.get("id", "")
        self._notes[name].append([word, *facts])
        # A server that is being stopped answers no more: its log is what is left.
        logger.info("%s: %s %s", name, word, facts)
        for event in self._waiting.pop(name, ()):
            event.set()

    def of(self, name: str) -> list[list[Any]]:
        return self._notes[name]

    async def until(self, name: str, word: str) -> None:
        """Wait until there is a note of that word."""
        while not any(note[0] == word for note in self.of(name)):
            event = asyncio.Event()
            self._waiting[name].append(event)
            await event.wait()

    async def read(self, request: Request) -> Response:
        """Serve `/events/{id}?until=WORD&seconds=S`: the notes once one has that word; 504 if none comes in time."""
        name = request.path_params["id"]
        status = 200
        try:
            async with asyncio.timeout(float(request.query_params.get("seconds", HANGING))):
                await self.until(name, request.query_params["until"])
        except TimeoutError:
            status = 504
        return JSONResponse(self.of(name), status=status)

    async def go(self, request: Request) -> Response:
        """Serve `/go/{id}`: the client's signal to a script that waits for it."""
        self.note(request.path_params["id"], "go")
        return Response(status=204)


async def outcome(call: Awaitable[object]) -> str:
    """Return the outcome of a call: the name of its exception, with the close code; "hung" if it did not return."""
    try:
        async with asyncio.timeout(_HANG_SECONDS):
            await call
    except TimeoutError:
        return "hung"
    except ConnectionClosed as error:
        return f"ConnectionClosed {error.code}"
    except UsageError as error:
        return type(error).__name__
    return "returned"
