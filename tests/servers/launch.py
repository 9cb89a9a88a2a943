"""Start a server program with an application."""

import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .program import PROJECT, Program
from .table import Server


class ServerProcess(Program):
    """One server program on a port of 127.0.0.1, for as long as the `with` block runs.

    Args:
        server: which program.
        app: the application as an import string.
        port: where it listens; 0 is any free port, a new one at each start.
        options: further options of the program.
        python: the interpreter that has the program installed.
        cwd: where it runs, and what the application is imported from.
        env: set on top of this process's environment.

    Attributes:
        tls: how its clients connect; None is without TLS.
    """

    tls: ssl.SSLContext | None = None

    def __init__(
        self,
        server: Server,
        app: str,
        *,
        port: int = 0,
        options: Sequence[str] = (),
        python: str = sys.executable,
        cwd: Path = PROJECT,
        env: Mapping[str, str] | None = None,
    ) -> None:
        arguments = [part.replace("{app}", app) for part in server.arguments]
        super().__init__(server.name, [python, "-m", *arguments, *options], port=port, cwd=cwd, env=env)
        self.server = server
