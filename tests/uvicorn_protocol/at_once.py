"""Bare applications that do all they do without waiting, for loops that begin a task in `create_task`."""

from asgi_ws._asgi import Receive, Scope, Send

# More than any system buffers for a client that does not read.
_FIRST_BYTES = 8 * 1024 * 1024
_MESSAGE_BYTES = 64 * 1024
_MESSAGES = 512

# How many messages of "flood" the server has taken after the first.
_sent = 0


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    global _sent  # noqa: PLW0603 -- one number of one process
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(_sent).encode()})
    elif scope["path"] == "/raise":
        raise ArithmeticError
    elif scope["path"] == "/deny":
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"who are you?"})
    elif scope["path"] == "/close":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000})
    elif scope["path"] == "/flood":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": bytes(_FIRST_BYTES)})
        for _ in range(_MESSAGES):
            await send({"type": "websocket.send", "bytes": bytes(_MESSAGE_BYTES)})
            _sent += 1
