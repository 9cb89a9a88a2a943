"""Read a token from a cookie, a subprotocol or the query, and refuse a wrong one."""

import hmac
from collections.abc import Mapping

from asgi_ws import App, HTTPError, WebSocket, WebSocketRoute, websocket_app

TOKENS: Mapping[str, str] = {"s3cret": "Ada"}


def user_of(token: str) -> str:
    """Return the user with this token. Compare in constant time."""
    for known, user in TOKENS.items():
        if hmac.compare_digest(known.encode(), token.encode()):
            return user
    raise HTTPError(401, "a valid token is needed")


async def greet(ws: WebSocket, user: str) -> None:
    await ws.send(f"Hello, {user}!")
    await ws.wait_closed()


@websocket_app
async def by_cookie(ws: WebSocket) -> None:
    user = user_of(ws.cookies.get("session", ""))
    await ws.accept()
    await greet(ws, user)


@websocket_app
async def by_subprotocol(ws: WebSocket) -> None:
    # In a browser: new WebSocket(url, ["chat.v1", "token.s3cret"])
    tokens = [
        name.removeprefix("token.")
        for name in ws.subprotocols
        if name.startswith("token.")
    ]
    user = user_of(tokens[0] if tokens else "")
    if "chat.v1" not in ws.subprotocols:
        raise HTTPError(400, "offer chat.v1")
    # Answer with the real subprotocol, never with the token.
    await ws.accept(subprotocol="chat.v1")
    await greet(ws, user)


@websocket_app
async def by_query(ws: WebSocket) -> None:
    user = user_of(ws.query_params.get("token", ""))
    await ws.accept()
    await greet(ws, user)


app = App(
    [
        WebSocketRoute("/cookie", by_cookie),
        WebSocketRoute("/subprotocol", by_subprotocol),
        WebSocketRoute("/query", by_query),
    ]
)
