"""Fuzzing of the bytes of a client, for hours or for seconds: `python -m tests.wire.fuzz --seconds 600`.

Inputs are mutated from the seeds and the committed corpus. An input with a new outcome is kept and mutated further. The
inserted pieces are frames and header lines, so masks and lengths need no instrumentation.

A failing input is made smaller and written to a file, which `python -m tests.wire.fuzz FILE` reads again. After the fix
the file goes into the corpus.
"""

import argparse
import hashlib
import itertools
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from .handshakes import NEEDED, request
from .streams import BINARY, CLOSE, CONT, PING, PONG, RSV1, TEXT, close, deflated, fragments, frame
from .targets import DEFLATE, HANDSHAKE, NO_TAKEOVER, SMALL_LIMITS, check

CORPUS: Final = Path(__file__).parent / "corpus"
FINDINGS: Final = Path("build", "fuzz")
# Longer inputs find nothing more.
LARGEST: Final = 3000
_EDGES: Final = b"\x00\x01\x7d\x7e\x7f\x80\xfe\xff ,;:\r\n"
# CPU seconds of an input: some hundred times the usual.
SECONDS: Final = 5.0
# The memory of one input in so many is measured.
TRACED: Final = 50

FRAMES: Final = (
    *(frame(opcode, b"x") for opcode in (CONT, TEXT, BINARY, PING, PONG, 3, 11)),
    *(frame(opcode, b"y", fin=False) for opcode in (CONT, TEXT, BINARY)),
    *(frame(BINARY, bytes(size)) for size in (0, 125, 126, 200, 201)),
    frame(TEXT, "\u20ac\U0001f600".encode()),
    frame(TEXT, b"\xed\xa0", fin=False),
    *fragments(TEXT, [b"\xf0\x9f", b"", b"\x98\x80"]),
    *(frame(PING, bytes(size)) for size in (125, 126)),
    frame(BINARY, b"x", size=2),
    frame(BINARY, b"x", size=8),
    frame(BINARY, length=2**63),
    frame(BINARY, bytes(4), length=5),
    frame(TEXT, mask=None),
    frame(CLOSE),
    close(1000, b"bye"),
    close(1006),
    close(1000, b"\xff"),
    frame(TEXT, deflated(b"Hello"), rsv=RSV1),
    frame(BINARY, deflated(bytes(300)), rsv=RSV1),
    frame(BINARY, deflated(bytes(2**21)), rsv=RSV1),
    *fragments(TEXT, [deflated(b"Hello" * 9)[:4], deflated(b"Hello" * 9)[4:]], rsv=RSV1),
    frame(BINARY, b"\xff", rsv=RSV1),
    frame(PING, rsv=RSV1),
)
LINES: Final = (
    *(line + b"\r\n" for line in NEEDED),
    b"Connection: keep-alive, Upgrade\r\n",
    b"Connection: close\r\n",
    b"Upgrade: h2c\r\n",
    b"Origin: http://example.org\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Sec-WebSocket-Protocol: chat, v1.json\r\n",
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
    b'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits="10"; server_no_context_takeover\r\n',
    b"Host: [::1]:8000\r\n",
    b"X: \xff\r\n",
    b" folded\r\n",
    b": \r\n",
    b"\r\n",
    b"GET http://a/b?c HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.0\r\n",
    *(b"x", b"\x0b", b"\x0c", b"\x85", b"\xa0", b"\n", b"\r", b"%0d%0a", b"a" * 2500),
)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def seeds() -> list[bytes]:
    """Return every frame and header line beside valid ones, with each set of flags, and the corpus."""
    streams = [frame(TEXT, b"1") + each + frame(TEXT, b"2") for each in FRAMES]
    streams += [frame(BINARY, b"1", fin=False) + each + frame(CONT, b"2") for each in FRAMES]
    ways = (0, DEFLATE, SMALL_LIMITS, DEFLATE | SMALL_LIMITS, DEFLATE | NO_TAKEOVER)
    found = [bytes((way,)) + stream for way in ways for stream in streams]
    requests = [request(line.removesuffix(b"\r\n")) for line in LINES]
    requests += [request(without=needed.partition(b":")[0]) for needed in NEEDED]
    requests += [request(line=b"GET %b HTTP/1.1" % target) for target in (b"/a?b", b"http://a/b?c", b"*", b"a")]
    found += [bytes((HANDSHAKE,)) + each for each in requests]
    return found + [path.read_bytes() for path in sorted(CORPUS.iterdir())]


def mutated(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Return `data` with a few changes."""
    for _ in range(chance.choice((1, 1, 2, 3, 5))):
        start = chance.randrange(1, len(data) + 1)
        stop = min(start + chance.choice((1, 1, 2, 4, 16, 200)), len(data))
        kind = chance.randrange(8)
        if kind == 0:
            data = data[:start] + chance.choice(LINES if data[0] & HANDSHAKE else FRAMES) + data[start:]
        elif kind == 1:
            data = data[:start] + data[stop:]
        elif kind == 2:
            data = data[:start] + data[start:stop] * chance.choice((2, 3, 10)) + data[stop:]
        elif kind == 3:
            data = data[:start] + chance.randbytes(stop - start) + data[stop:]
        elif kind == 4 and start < len(data):
            data = data[:start] + bytes((data[start] ^ 1 << chance.randrange(8),)) + data[start + 1 :]
        elif kind == 5 and start < len(data):
            data = data[:start] + bytes((chance.choice(_EDGES),)) + data[start + 1 :]
        elif kind == 6:
            other = chance.choice(others)
            data = data[:start] + other[chance.randrange(1, len(other) + 1) :]
        else:
            data = bytes((data[0] ^ (chance.choice((DEFLATE, SMALL_LIMITS, NO_TAKEOVER))),)) + data[1:]
    return data[:LARGEST]


@contextmanager
def limited_cpu(seconds: float) -> Iterator[None]:
    """Raise in a block that takes longer, where the system can."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"more than {seconds} s of CPU")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def failure(data: bytes, *, traced: bool = True) -> Exception | None:
    """Return the error of an input."""
    try:
        with limited_cpu(SECONDS):
            check(data, traced=traced)
    except Exception as error:  # noqa: BLE001 - any that comes out is a finding
        return error
    return None


def smaller(data: bytes, is_finding: Callable[[bytes], bool]) -> bytes:
    """Remove every part of a finding that it does not need."""
    size = len(data) // 2
    while size:
        start = 1
        while start < len(data):
            without = data[:start] + data[start + size :]
            if is_finding(without):
                data = without
            else:
                start += size
        size //= 2
    return data


def fuzz(seconds: float, seed: int, findings: Path = FINDINGS) -> Path | None:
    """Search for this time. Return the file of the first finding, or None."""
    chance = random.Random(seed)
    inputs: list[bytes] = []
    known: set[tuple[object, ...]] = set()
    waiting = seeds()
    until = time.monotonic() + seconds
    for count in itertools.count():
        data = waiting.pop() if waiting else mutated(chance.choice(inputs), inputs, chance)
        try:
            with limited_cpu(SECONDS):
                outcome = check(data, traced=count % TRACED == 0)
        except Exception as error:  # noqa: BLE001 - any that comes out is a finding
            return _written(data, error, findings)
        if outcome not in known or len(inputs) < 100:
            known.add(outcome)
            inputs.append(data)
        if time.monotonic() > until and not waiting:
            say(f"{count + 1} inputs, {len(known)} outcomes, nothing found")
            return None
    raise AssertionError("unreachable")


def _written(data: bytes, error: Exception, findings: Path) -> Path:
    kind = type(error)
    small = smaller(data, lambda other: isinstance(failure(other), kind))
    findings.mkdir(parents=True, exist_ok=True)
    path = findings / hashlib.sha256(small).hexdigest()[:16]
    path.write_bytes(small)
    say(f"{error!r}\n{small!r}\nagain: python -m tests.wire.fuzz {path}")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.wire.fuzz", description="Fuzz the readers of the wire.")
    parser.add_argument("files", nargs="*", type=Path, help="read these inputs again, and nothing else")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to look (default: 60)")
    parser.add_argument("--seed", type=int, default=None, help="of the mutations, to have a run again")
    arguments = parser.parse_args()
    for path in arguments.files:
        check(path.read_bytes(), traced=True)
    if arguments.files:
        return 0
    seed = random.randrange(2**32) if arguments.seed is None else arguments.seed
    say(f"seed {seed}")
    return 1 if fuzz(arguments.seconds, seed) else 0


if __name__ == "__main__":
    sys.exit(main())
