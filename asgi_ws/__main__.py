"""`python -m asgi_ws [uvicorn options] [module:app]`: uvicorn with the package's WebSocket class.

It is uvicorn's own command with two other defaults: without an application it serves the default one, and `--ws auto`
takes uvicorn's own choice of a WebSocket class. Its environment variables count too.
"""

import sys
from collections.abc import Sequence

import uvicorn

DEFAULT_APP = "asgi_ws:app"
# Named and not imported: uvicorn imports it, in each worker process.
DEFAULT_WS = "asgi_ws.uvicorn_protocol:WebSocketProtocol"


def main(arguments: Sequence[str]) -> None:
    """Run uvicorn's command with these arguments."""
    uvicorn.main(list(arguments), prog_name="python -m asgi_ws", default_map={"app": DEFAULT_APP, "ws": DEFAULT_WS})


if __name__ == "__main__":
    main(sys.argv[1:])
