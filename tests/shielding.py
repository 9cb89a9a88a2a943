"""asyncio.shield as Python 3.14 has it: what a future raises after its caller was cancelled is reported to the loop."""

import asyncio
from collections.abc import Awaitable
from typing import Any


def reporting_shield(awaitable: Awaitable[Any]) -> "asyncio.Future[Any]":
    inner = asyncio.ensure_future(awaitable)
    outer = inner.get_loop().create_future()

    def on_inner(done: "asyncio.Future[Any]") -> None:
        error = None if done.cancelled() else done.exception()
        if outer.cancelled():
            if error is not None:
                message = f"{type(error).__name__} exception in shielded future"
                done.get_loop().call_exception_handler({"message": message, "exception": error, "future": done})
        elif done.cancelled():
            outer.cancel()
        elif error is not None:
            outer.set_exception(error)
        else:
            outer.set_result(done.result())

    inner.add_done_callback(on_inner)
    return outer
