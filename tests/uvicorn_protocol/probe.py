"""The probe application: bare ASGI handlers for WebSockets, and the journal of what they noted by HTTP."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from asgi_ws import App, Request, Response, Route, http_app
from asgi_ws._asgi import Receive, Scope, Send
from tests.servers.bare_handlers import bare_app
from tests.servers.journal import Journal

from .call import Call, failure
from .handlers import HANDLERS


def _show_notes() -> None:
    """Write the notes into the log, for when the server has ended and answers no more."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logger = logging.getLogger("probe")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


_show_notes()
journal: Final = Journal()


@http_app
async def hello(request: Request) -> Response:
    return Response("Hello, World!")


@http_app
async def tasks(request: Request) -> Response:
    return Response(str(len(asyncio.all_tasks())))


@asynccontextmanager
async def lifespan() -> AsyncIterator[dict[str, str]]:
    yield {"greeting": "hello"}
    journal.note("lifespan", "stopped")


_http = App(
    [
        Route("/hello", hello),
        Route("/tasks", tasks),
        Route("/events/{id}", http_app(journal.read)),
        Route("/go/{id}", http_app(journal.go), methods=["POST"]),
    ],
    lifespan=[lifespan],
)
# `/bare/<script>`: the scripts of the contract suite, which also are bare ASGI.
_scripts = bare_app(journal)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`/ws/<handler>?id=<name of the notes>`, and what a handler takes from the query beside it."""
    if scope["type"] != "websocket":
        await _http(scope, receive, send)
    elif "/bare/" in scope["path"]:
        await _scripts(scope, receive, send)
    else:
        call = Call(journal, scope, receive, send)
        try:
            await HANDLERS[scope["path"].rpartition("/ws/")[2].partition("/")[0]](call)
        except BaseException as error:
            call.note("end", failure(error)[0])
            raise
        call.note("end", "returned")
