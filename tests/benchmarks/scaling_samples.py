"""Results with made-up figures that are round, so that what follows from them can be computed by hand."""

from typing import Final

from benchmarks.results import Figure, Results

ECHO_32: Final = "text of 32 B, 8 connections, 1 in flight"
ECHO_1024: Final = "text of 1 KiB, 8 connections, 1 in flight"
AT_RATE: Final = "text of 64 B to 1,000 members, 10 a second"

# (scenario, case, metric): a value for each contestant.
FIGURES: Final = {
    ("echo", ECHO_32, "cpu"): {"asgi_ws": 20.0, "starlette": 30.0},
    ("echo", "text of 32 B, 100 connections, 1 in flight", "cpu"): {"asgi_ws": 20.32, "starlette": 36.0},
    ("echo", "text of 32 B, 8 connections, 32 in flight", "cpu"): {"asgi_ws": 6.0, "starlette": 20.0},
    ("echo", "text of 32 B, 100 connections, 4,000 a second in all", "cpu_paced"): {"asgi_ws": 40.0, "starlette": 60.0},
    ("echo", ECHO_1024, "cpu"): {"asgi_ws": 30.24, "starlette": 46.0},
    ("echo", "JSON text of 1 KiB, 8 connections, 1 in flight, deflate", "cpu"): {"asgi_ws": 60.0, "starlette": 90.0},
    ("fanout", "text of 64 B to 1,000 members, one after the other", "cpu"): {"asgi_ws": 10.32, "starlette": 19.0},
    ("fanout", AT_RATE, "cpu_paced"): {"asgi_ws": 12.0, "starlette": 21.0},
    ("fanout", AT_RATE, "p50"): {"asgi_ws": 5.5, "starlette": 9.9},
    ("fanout", AT_RATE, "p99"): {"asgi_ws": 12.0, "starlette": 20.0},
    ("burst", "32 texts of 64 B at once to 1,000 members", "cpu"): {"asgi_ws": 4.32, "starlette": 18.0},
    ("handshake", "connect, one message, its answer, close; 16 at a time", "cpu"): {
        "asgi_ws": 500.0,
        "starlette": 700.0,
    },
    ("idle", "10,000 connections, a ping each 2 s", "cpu"): {"asgi_ws": 15.0, "starlette": 16.0},
    ("memory", "10,000 connections, idle", "memory"): {"asgi_ws": 20.0, "starlette": 27.0},
    ("memory", "10,000 connections, idle, deflate negotiated", "memory"): {"asgi_ws": 40.0, "starlette": 118.0},
}


def results(*, leave_out: tuple[str, ...] = ()) -> Results:
    """Return a run without the scenarios in `leave_out`."""
    return Results(
        command="python -m benchmarks all --json made-up.json",
        when="2025-11-22T19:48:11+00:00",
        machine={"processor": "made-up figures"},
        versions={},
        figures=[
            # The middle one counts.
            Figure(scenario, case, contestant, metric, (value * 2, value, value / 2))
            for (scenario, case, metric), values in FIGURES.items()
            for contestant, value in values.items()
            if scenario not in leave_out
        ],
    )
