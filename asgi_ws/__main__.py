"""`python -m asgi_ws [module:app] [uvicorn options]`: uvicorn, by default with the default application."""

import sys
from collections.abc import Sequence

import uvicorn.main

DEFAULT_APP = "asgi_ws:app"


def main(arguments: Sequence[str]) -> None:
    """Run uvicorn with these arguments; without an application first among them, with the default one."""
    own = list(arguments)
    if not own or own[0].startswith("-"):
        own.insert(0, DEFAULT_APP)
    uvicorn.main.main(own, prog_name="python -m asgi_ws")


if __name__ == "__main__":
    main(sys.argv[1:])
