"""Results as a run makes them, with figures of the size that a real one has."""

from typing import Final

from benchmarks.results import Figure, LeftOut, Results

COMMAND: Final = "python -m benchmarks all --json results.json"
_NOISE: Final = (1.0, 0.96, 1.05, 0.99, 1.02)

_CPU: Final = {
    "text of 32 B, 8 connections, 1 in flight": {
        "asgi_ws": (6.1, 7.2),
        "starlette": (20.4, 7.9),
        "fastapi": (21.3, 8.1),
        "bare": (17.0, 7.5),
        "websockets": (24.4, 8.3),
        "picows": (1.9, 6.7),
    },
    "text of 32 B, 8 connections, 32 in flight": {
        "asgi_ws": (4.2, 2.1),
        "starlette": (14.1, 5.2),
        "fastapi": (14.9, 5.4),
        "bare": (11.2, 5.0),
        "websockets": (11.9, 4.6),
        "picows": (1.6, 4.9),
    },
}
_AT_RATE: Final = "text of 32 B, 100 connections, 4,000 a second in all"
_LATENCY: Final = {
    "asgi_ws": (0.11, 0.42, 1.3),
    "starlette": (0.24, 1.9, 7.7),
    "fastapi": (0.25, 2.2, 8.4),
    "picows": (0.08, 0.31, 1.1),
}
_MEMORY: Final = {
    "10,000 connections, idle": {"asgi_ws": 19.4, "starlette": 27.3, "picows": 4.2},
    "10,000 connections, idle, deflate negotiated": {"asgi_ws": 21.0, "starlette": 118.8},
}
INSTRUCTIONS: Final = {
    "asgi_ws class endpoint, default limits": 8223.0,
    "asgi_ws class endpoint, rate limits": 14122.0,
    "Starlette's class endpoint": 17968.0,
    "bare ASGI loop": 4422.0,
}
MESSAGE: Final = "one message in and one out"


def results(*, count: int = 5) -> Results:
    """Return a run with `count` (up to five) repetitions of every scenario that differs in kind."""
    run = Results(
        command=COMMAND,
        when="2025-11-22T19:48:11+00:00",
        machine={
            "processor": "Example Processor 9000 @ 3.00GHz",
            "cores": "2",
            "memory": "8 GiB",
            "system": "Linux x86_64",
            "pinning": "server on core 0, generator on core 1",
        },
        versions={
            "CPython": "3.11.7",
            "asgi-websockets": "0.3.0",
            "starlette": "1.0.0",
            "uvicorn": "0.54.0",
            "websockets": "16.0",
            "picows": "2.3.0",
        },
        settings={name: {"seconds": 1.5, "repetitions": count} for name in ("echo", "memory", "instructions")},
        bases={
            "echo": ["starlette", "picows"],
            "memory": ["starlette", "picows"],
            "instructions": ["Starlette's class endpoint", "bare ASGI loop"],
        },
    )
    _add_echo(run, count)
    for case, sizes in _MEMORY.items():
        for place, (name, size) in enumerate(sizes.items()):
            run.figures.append(Figure("memory", case, name, "memory", samples(size, count, place)))
    for name, instructions in INSTRUCTIONS.items():
        run.figures.append(Figure("instructions", MESSAGE, name, "instructions", (instructions,)))
    run.left_out += [
        LeftOut("echo", "node-ws", "install Node.js"),
        LeftOut("memory", "picows", "it cannot negotiate permessage-deflate"),
    ]
    return run


def samples(middle: float, count: int, turn: int = 0) -> tuple[float, ...]:
    """Return `count` values around `middle`, in another order for each `turn`."""
    return tuple(middle * _NOISE[(index + turn) % len(_NOISE)] for index in range(count))


def _add_echo(run: Results, count: int) -> None:
    for case, costs in _CPU.items():
        for place, (name, (user, system)) in enumerate(costs.items()):
            for metric, middle in (
                ("cpu", user + system),
                ("cpu_user", user),
                ("cpu_system", system),
                ("rate", 1e6 / (user + system)),
                ("generator", 95.0 if name == "picows" else 41.0),
            ):
                run.figures.append(Figure("echo", case, name, metric, samples(middle, count, place)))
    for place, (name, latencies) in enumerate(_LATENCY.items()):
        for metric, middle in zip(("p50", "p99", "p99.9"), latencies, strict=True):
            run.figures.append(Figure("echo", _AT_RATE, name, metric, samples(middle, count, place)))
