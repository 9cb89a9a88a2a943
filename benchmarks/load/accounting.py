"""The operating system's accounting: CPU and memory of the server's processes, and of the generator."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from .jobs import Failure
from .latency import Recorder

# /proc counts in ticks of 10 ms.
_TICKS = 0.03


class Cpu(NamedTuple):
    """CPU seconds of one process, and of those of its children that have ended and that it has waited for."""

    parent: int
    user: float
    system: float
    ended_user: float
    ended_system: float


@dataclass(frozen=True)
class Reading:
    """CPU of all the server's processes at one moment."""

    processes: Mapping[int, Cpu]

    def since(self, start: "Reading") -> tuple[float, float]:
        """User and system seconds from `start` to this.

        Raises:
            Failure: where a process has ended and nobody waited for it, so that the system has forgotten its share.
        """
        self._nothing_lost(start)
        (user, system), (user_before, system_before) = self.total(), start.total()
        # A tick may move from one column to the other, as the kernel scales both to the exact sum.
        return max(0.0, user - user_before), max(0.0, system - system_before)

    def total(self) -> tuple[float, float]:
        """User and system seconds of all."""
        cpus = self.processes.values()
        return sum(cpu.user + cpu.ended_user for cpu in cpus), sum(cpu.system + cpu.ended_system for cpu in cpus)

    def _nothing_lost(self, start: "Reading") -> None:
        gone: dict[int, float] = {}
        for pid in start.processes.keys() - self.processes.keys():
            cpu = start.processes[pid]
            gone[cpu.parent] = gone.get(cpu.parent, 0.0) + sum(cpu[1:])
        for parent, seconds in gone.items():
            before, after = start.processes.get(parent), self.processes.get(parent)
            if before is None or after is None:
                raise Failure("died", "a process of the server and its parent ended during the run")
            grown = after.ended_user + after.ended_system - before.ended_user - before.ended_system
            if grown + _TICKS < seconds:
                raise Failure("died", f"a child of the server's process {parent} ended, and its CPU time is lost")


class Server:
    """The server's processes.

    Attributes:
        peak: most bytes that `memory` has seen.
    """

    def __init__(self, pid: int) -> None:
        self.peak = 0
        try:
            self._root = psutil.Process(pid)
        except psutil.Error as error:
            raise Failure("died", f"there is no process {pid}, which should be the server") from error

    def alive(self) -> bool:
        """Return True if its first process is running."""
        try:
            return bool(self._root.is_running() and self._root.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False

    def cpu(self) -> Reading:
        """Return the CPU time used so far.

        Raises:
            Failure: where the server has ended.
        """
        processes = {}
        for process in self._processes():
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    cpu = Cpu(process.ppid(), times.user, times.system, times.children_user, times.children_system)
            except psutil.NoSuchProcess:
                continue
            processes[process.pid] = cpu
        return Reading(processes)

    def memory(self) -> int:
        """Return the bytes of memory that only these processes use (USS).

        Raises:
            Failure: where the server has ended.
        """
        total = 0
        for process in self._processes():
            try:
                total += process.memory_full_info().uss
            except psutil.NoSuchProcess:
                continue
            except psutil.AccessDenied as error:
                raise Failure("limits", f"the memory of process {process.pid} may not be read") from error
        self.peak = max(self.peak, total)
        return total

    def run_time(self) -> float | None:
        """Return the seconds that all its threads ran, to the nanosecond, or None if the system does not report it."""
        try:
            files = [file for each in self._processes() for file in Path(f"/proc/{each.pid}/task").glob("*/schedstat")]
            return sum(int(file.read_text().split()[0]) for file in files) / 1e9 if files else None
        except OSError:
            return None

    def _processes(self) -> list[psutil.Process]:
        if not self.alive():
            raise Failure("died", f"the server (process {self._root.pid}) has ended")
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess as error:
            raise Failure("died", f"the server (process {self._root.pid}) has ended") from error


def scaled(user: float, system: float, exact: float | None) -> tuple[float, float]:
    """Return the ticks of 10 ms scaled to the exact sum, where the sum is known and counts the same threads."""
    counted = user + system
    if exact is None or abs(exact - counted) > 2 * _TICKS:
        return user, system
    return (user * exact / counted, system * exact / counted) if counted else (exact, 0.0)


class Section:
    """The measured section, from its making to `end`.

    Attributes:
        began: when, by the clock of `time.perf_counter`.
        ended: likewise; infinite before its end.
        messages: whose replies came within.
        seconds: from `began` to `ended`.
        user: CPU seconds of the server.
        system: likewise.
        generator: share of a core that this process used.
        received: bytes on the wire for each message.
    """

    def __init__(self, server: Server, recorder: Recorder) -> None:
        self._server = server
        self._recorder = recorder
        self._cpu = server.cpu()
        self._run_time = server.run_time()
        self._first = len(recorder)
        self._extra = recorder.extra
        self._own = time.process_time()
        self.ended = math.inf
        self.began = time.perf_counter()

    def stop(self) -> None:
        """Mark the end. Reading the system's account takes milliseconds, so it comes after the last message."""
        self.ended = time.perf_counter()
        self.seconds = self.ended - self.began
        self.generator = (time.process_time() - self._own) / self.seconds
        self.messages = len(self._recorder) - self._first
        self.received = self._recorder.received(self.messages, self._recorder.extra - self._extra)

    def end(self) -> None:
        """Read everything again.

        Raises:
            Failure: where CPU time was lost, or the server.
        """
        if self.ended == math.inf:
            self.stop()
        user, system = self._server.cpu().since(self._cpu)
        run_time = self._server.run_time()
        exact = None if run_time is None or self._run_time is None else run_time - self._run_time
        self.user, self.system = scaled(user, system, exact)

    def figures(self) -> dict[str, Any]:
        """Return the fields of an `Outcome` that were read here."""
        names = ("messages", "seconds", "user", "system", "received", "generator")
        return {name: getattr(self, name) for name in names}

    @property
    def came(self) -> slice:
        """Which of the recorder's entries came within."""
        return slice(self._first, self._first + self.messages)
