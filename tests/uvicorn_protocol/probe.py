"""The probe application: bare ASGI handlers for WebSockets, and the journal of their notes by HTTP."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from asgi_ws import App, Request, Response, Route, http_app
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.sizes import MIB
from tests.servers.bare_handlers import bare_app
from tests.servers.journal import Journal

from . import handlers, pressure
from .call import Call, failure

LARGE: Final = 8 * MIB
journal: Final = Journal()


def _show_notes() -> None:
    """Write the notes to the log too, for when the server has ended."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logger = logging.getLogger("probe")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


_show_notes()


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
# `/bare/<script>`: the scripts of the contract suite, which are bare ASGI too.
_scripts = bare_app(journal)
_HANDLERS: Final = {**vars(handlers), **vars(pressure)}


async def app(scope: Scope, receive: Receive, send: Send) -> object:
    """Run `/ws/<handler>?id=<notes>`; by HTTP `/large?<notes>` and `/slow?<notes>` too. `<notes>` names the notes."""
    name = scope.get("query_string", b"").decode()
    if scope["type"] == "websocket" and "/bare/" in scope["path"]:
        await _scripts(scope, receive, send)
    elif scope["type"] == "websocket":
        return await _run(Call(journal, scope, receive, send))
    elif scope.get("path") == "/large":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % LARGE)]})
        await send({"type": "http.response.body", "body": bytes(LARGE)})
        journal.note(name, "responded")
    elif scope.get("path") == "/slow":
        await _slow(receive, send, name)
    else:
        await _http(scope, receive, send)
    return None


async def _run(call: Call) -> object:
    try:
        result: object = await _HANDLERS[call.scope["path"].rpartition("/ws/")[2].partition("/")[0]](call)
    except BaseException as error:
        call.note("end", failure(error)[0])
        raise
    call.note("end", "returned")
    return result


async def _slow(receive: Receive, send: Send, name: str) -> None:
    """Respond at the client's signal, unless it leaves before. Note the end."""
    await receive()
    journal.note(name, "asked")
    go = asyncio.ensure_future(journal.until(name, "go"))
    leaving = asyncio.ensure_future(receive())
    await asyncio.wait([go, leaving], return_when=asyncio.FIRST_COMPLETED)
    if leaving.done():
        go.cancel()
        journal.note(name, "end", leaving.result()["type"])
        return
    leaving.cancel()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"slow"})
