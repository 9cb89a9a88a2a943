"""`python -m asgi_ws [module:app] [uvicorn options]`: uvicorn with the package's WebSocket class.

Without an application it serves the default one. Every option is uvicorn's, and its environment variables count too;
`--ws auto` takes uvicorn's own choice of a WebSocket class.
"""

import sys
from collections.abc import Sequence

import uvicorn.main

DEFAULT_APP = "asgi_ws:app"
# Named and not imported: uvicorn imports it, in each worker process.
DEFAULT_WS = "asgi_ws.uvicorn_protocol:WebSocketProtocol"


def main(arguments: Sequence[str]) -> None:
    """Run uvicorn with these arguments; without an application first among them, with the default one."""
    own = list(arguments)
    if not own or own[0].startswith("-"):
        own.insert(0, DEFAULT_APP)
    uvicorn.main.main(own, prog_name="python -m asgi_ws", default_map={"ws": DEFAULT_WS})


if __name__ == "__main__":
    main(sys.argv[1:])
