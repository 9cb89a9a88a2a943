"""How many worker processes a server runs, as far as one of them can see."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

# uvicorn and gunicorn read the first of these where no option says it, uvicorn the second and granian the third.
_VARIABLES: Final = ("WEB_CONCURRENCY", "UVICORN_WORKERS", "GRANIAN_WORKERS")
# `--workers 4`, `--workers=4`, `-w 4` and `-w4` of a command line, its arguments joined by NUL.
_OPTION: Final = re.compile(r"(?:^|\0)(?:--workers[\0=]|-w\0?)(\d+)(?=\0|$)")


def worker_processes(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """The number of worker processes that a command line or else the environment asks for; 1 where neither does."""
    options = _OPTION.findall("\0".join(arguments))
    if options:
        return int(options[-1])
    values = [environment.get(name, "") for name in _VARIABLES]
    return max([1, *(int(value) for value in values if value.isdecimal())])
