"""The price of compression with each library and setting: CPU, size and memory.

    python -m benchmarks.deflate_settings

It shows what the defaults of `asgi_ws.wire.deflate` were chosen by. The libraries isal and zlib-ng are compared where
they are installed (`pip install isal zlib-ng`). Sizes are of the payload; a context is kept from message to message,
as it is by default, and the last rows make a new one for each message.
"""

import contextlib
import importlib
import multiprocessing
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import psutil

from asgi_ws.wire.deflate import Deflate
from asgi_ws.wire.negotiation import Parameters

from .load.payloads import payloads_of

WINDOW_BITS: Final = 12
# Messages, and how often the ring of them is sent in a round.
CONTENTS: Final = (("json", 32, 20), ("json", 1024, 5), ("json", 65536, 1), ("random", 1024, 5), ("random", 65536, 1))
ROUNDS: Final = 3
# Contexts that are made at a time to see what one takes.
CONTEXTS: Final = 400
_TAIL: Final = b"\x00\x00\xff\xff"


@dataclass(frozen=True)
class Setting:
    """A library and how it is told to compress; `asgi_ws` goes by the message.

    Attributes:
        module: its name for an import.
        takeover: the context is kept.
    """

    name: str
    module: str
    level: int = 0
    memory_level: int = 5
    takeover: bool = True

    def __str__(self) -> str:
        own = "" if self.module == "asgi_ws" else f" level {self.level}, memory level {self.memory_level}"
        return f"{self.name}{own}{'' if self.takeover else ', no takeover'}"


# The first is what websockets does, and uvicorn with it: the others are shown in proportion to it.
SETTINGS: Final = (
    Setting("zlib", "zlib", 6),
    Setting("asgi_ws", "asgi_ws"),
    *(Setting("zlib", "zlib", level) for level in (1, 2, 3, 4, 5)),
    *(Setting("zlib", "zlib", level, memory_level) for level in (4, 6) for memory_level in (4, 8)),
    *(Setting("isal", "isal.isal_zlib", level) for level in (1, 2, 3)),
    *(Setting("zlib-ng", "zlib_ng.zlib_ng", level) for level in (1, 2, 3, 6)),
    *(Setting("zlib", "zlib", level, takeover=False) for level in (6, 4)),
    Setting("asgi_ws", "asgi_ws", takeover=False),
)


class Context:
    """Compresses and inflates as one connection does."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._library: Any = None if setting.module == "asgi_ws" else importlib.import_module(setting.module)
        parameters = Parameters(not setting.takeover, not setting.takeover, WINDOW_BITS, WINDOW_BITS)
        self._own = Deflate(parameters)
        self._compressor: Any = None
        self._inflater: Any = None

    def compress(self, payload: bytes) -> bytes | None:
        """Compress a message; None where it should not be."""
        if self._library is None:
            return self._own.compress(payload)
        if self._compressor is None or not self._setting.takeover:
            self._compressor = self._library.compressobj(
                self._setting.level, zlib.DEFLATED, -WINDOW_BITS, self._setting.memory_level
            )
        data: bytes = self._compressor.compress(payload) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        return data[: -len(_TAIL)]

    def inflate(self, payload: bytes) -> None:
        """Inflate a message, which is at most a mebibyte."""
        if self._library is None:
            self._own.inflate(payload, final=True, room=1 << 20)
            return
        if self._inflater is None or not self._setting.takeover:
            self._inflater = self._library.decompressobj(wbits=-WINDOW_BITS)
        self._inflater.decompress(payload + _TAIL, 1 << 20)


@dataclass(frozen=True)
class Cost:
    """Of one message: microseconds of CPU and bytes."""

    compress: float
    size: float
    inflate: float


def cost(setting: Setting, payloads: Sequence[bytes], times: int) -> Cost:
    """Return the time of the fastest round, after one round of warm-up."""
    compress = inflate = float("inf")
    size = 0.0
    for _ in range(ROUNDS):
        context = Context(setting)
        for payload in payloads:
            context.compress(payload)
        start = time.process_time_ns()
        messages = [context.compress(payload) for _ in range(times) for payload in payloads]
        compress = min(compress, (time.process_time_ns() - start) / len(messages) / 1000)
        size = sum(
            len(payload if message is None else message)
            for payload, message in zip([*payloads] * times, messages, strict=True)
        ) / len(messages)
        inflate = min(inflate, _inflating(setting, payloads, times))
    return Cost(compress, size, inflate)


def _inflating(setting: Setting, payloads: Sequence[bytes], times: int) -> float:
    """Return the size of messages compressed as a browser does."""
    sender, receiver = Context(Setting("zlib", "zlib", 6, takeover=setting.takeover)), Context(setting)
    messages = [sender.compress(payload) or b"" for _ in range(times) for payload in payloads]
    start = time.process_time_ns()
    for message in messages:
        receiver.inflate(message)
    return (time.process_time_ns() - start) / len(messages) / 1000


def memory(setting: Setting, payload: bytes, *, inflating: bool) -> float:
    """KiB of a context that has compressed, or inflated, a message. To be run in a fresh process."""
    if not inflating:
        return _resident(lambda context: context.compress(payload), setting)
    message = Context(Setting("zlib", "zlib", 6)).compress(payload) or b""
    return _resident(lambda context: context.inflate(message), setting)


def _resident(use: Callable[[Context], object], setting: Setting) -> float:
    process = psutil.Process()
    contexts = [Context(setting) for _ in range(CONTEXTS)]
    # The library allocates once for all contexts.
    use(Context(setting))
    before = process.memory_info().rss
    for context in contexts:
        use(context)
    return float(process.memory_info().rss - before) / CONTEXTS / 1024


def installed(settings: Sequence[Setting]) -> list[Setting]:
    """Return the settings whose libraries are installed."""
    there = {"asgi_ws"}
    for module in {setting.module for setting in settings} - there:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
            there.add(module)
    return [setting for setting in settings if setting.module in there]


def tables(settings: Sequence[Setting], contents: Sequence[tuple[str, int, int]] = CONTENTS) -> Iterator[str]:
    """Return the lines to show."""
    for content, size, times in contents:
        yield f"\n{content} of {size:,} bytes"
        yield f"{'':44}{'compress, µs':>18}{'bytes':>20}{'inflate, µs':>18}"
        payloads = payloads_of(size, content)
        base: Cost | None = None
        for setting in settings:
            taken = cost(setting, payloads, times)
            base = base or taken
            yield f"{setting!s:44}" + "".join(
                f"{value:{width},.{digits}f} {f'({value / of:.2f})':>7}"
                for value, of, width, digits in (
                    (taken.compress, base.compress, 10, 1),
                    (taken.size, base.size, 12, 1),
                    (taken.inflate, base.inflate, 10, 1),
                )
            )
    yield f"\n{'KiB for each connection':44}{'to compress':>18}{'to inflate':>18}"
    payload = payloads_of(1024, "json")[0]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as fresh:
        for setting in settings:
            both = [fresh.submit(memory, setting, payload, inflating=inflating) for inflating in (False, True)]
            yield f"{setting!s:44}" + "".join(f"{each.result():18.1f}" for each in both)


if __name__ == "__main__":
    for line in tables(installed(SETTINGS)):
        print(line, flush=True)
