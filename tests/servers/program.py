"""Start a program that listens on a port, wait until it accepts connections, read its log, stop it."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.hanging import HANGING

PROJECT: Final = Path(__file__).resolve().parents[2]

_POLL_SECONDS: Final = 0.02
# Between the moment a free port is known and the moment the program binds it another program may take it.
_ATTEMPTS: Final = 3


class Program:
    """One program on a port of 127.0.0.1, for as long as the `with` block runs.

    Args:
        name: of the log file, and in what is said of the program.
        command: what is started; `{port}` is filled in.
        port: where it listens; 0 is any free port, a new one at each start.
        cwd: where it runs, and what Python programs import from.
        env: set on top of this process's environment.

    Raises:
        RuntimeError: at the start of the block, when the port is taken, or, with the log, when nothing is accepted.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        port: int = 0,
        cwd: Path = PROJECT,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.port = port
        self._any_port = port == 0
        self._command = list(command)
        self._cwd = cwd
        self._env = {**os.environ, "PYTHONPATH": str(cwd), "PYTHONUNBUFFERED": "1", **(env or {})}
        self._log = tempfile.NamedTemporaryFile("ab", prefix=f"{name.replace('/', '-')}-", suffix=".log")  # noqa: SIM115 -- closed by __exit__
        self._process: subprocess.Popen[bytes] | None = None
        self._is_asked = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} on port {self.port}>"

    def __enter__(self) -> Self:
        if not self._any_port:
            self._refuse_taken_port()
        try:
            for _ in range(_ATTEMPTS):
                self._start()
                if self._accepts():
                    return self
                self.stop()
        except BaseException:
            # `__exit__` does not run after an interrupt here, and the program has a session of its own.
            self.kill()
            self._log.close()
            raise
        log = self.log()
        self._log.close()
        raise RuntimeError(f"{self.name} accepts no connections; its log:\n{log}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._log.close()

    def _refuse_taken_port(self) -> None:
        # Otherwise another process on this port would be taken for the program.
        try:
            socket.create_server(("127.0.0.1", self.port)).close()
        except OSError as error:
            self._log.close()
            why = os.strerror(error.errno or 0)
            raise RuntimeError(f"{self.name} cannot listen on port {self.port}: {why}") from None

    def _start(self) -> None:
        if self._any_port:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]
        self._is_asked = False
        self._process = subprocess.Popen(
            [part.replace("{port}", str(self.port)) for part in self._command],
            cwd=self._cwd,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            # A group of its own, so that worker processes can be ended with it.
            start_new_session=True,
        )

    def _accepts(self) -> bool:
        deadline = time.monotonic() + HANGING
        while self.running and time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return True
            except OSError:
                time.sleep(_POLL_SECONDS)
        return False

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process that was started, which may have others under it.

        Raises:
            RuntimeError: when it was not started.
        """
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    def url(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def log(self, since: int = 0) -> str:
        """Return the output of the program to stdout and stderr, from the byte `since` on."""
        return Path(self._log.name).read_bytes()[since:].decode(errors="replace")

    def log_size(self) -> int:
        return Path(self._log.name).stat().st_size

    def terminate(self) -> None:
        """Ask the program to stop, and return at once; not again, for a second signal would cut its way out short."""
        if self._process is not None and self.running and not self._is_asked:
            self._is_asked = True
            self._process.terminate()

    def kill(self) -> None:
        """End the program by force, and return when it has ended."""
        if self._process is not None:
            # Also where the program itself has ended: a worker may have outlived it.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def wait(self, seconds: float) -> bool:
        """Wait until the program has ended; whether it did so in time."""
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> bool:
        """Stop the program, by force if it does not end when asked; whether it ended when asked."""
        if self._process is None:
            return True
        self.terminate()
        ended = self.wait(HANGING)
        self.kill()
        self._process = None
        return ended
