"""Applications of ASGI 2, which are called with the scope first."""

import inspect
from collections.abc import Callable
from typing import Any

from .._asgi import ASGIApp, Receive, Scope, Send
from ..callables import signature_of


def single_callable(app: Any) -> ASGIApp:
    """Return an application that takes scope, receive and send; one of ASGI 2 is called with the scope first."""
    given: ASGIApp = app
    application: Callable[[Scope], Any] = app
    # A plain call's result is awaited: with one argument this is a handler that lacks its decorator.
    call = app if inspect.isroutine(app) else inspect.getattr_static(app, "__call__", None)
    if inspect.iscoroutinefunction(call) and not inspect.isclass(app):
        return given
    try:
        signature = signature_of(app)
    except (TypeError, ValueError):
        return given
    if _takes(signature, 3) or not _takes(signature, 1):
        return given

    async def called_twice(scope: Scope, receive: Receive, send: Send) -> None:
        await application(scope)(receive, send)

    return called_twice


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True
