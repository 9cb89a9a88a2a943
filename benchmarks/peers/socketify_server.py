"""The peer on socketify, uWebSockets under Python: its publish and subscribe for the room, and its own event loop.

It is not a dependency of the benchmarks, because it needs the system's libuv 1.
"""

import importlib
from typing import Any, Final

from ..apps.flood import flood
from .options import HOST, Options, parse_options

NAME: Final = "socketify_server"
ROOM: Final = "room"
# uWebSockets drops what is past its bound; the default of 64 KiB is one message of the flood.
MAX_BACKPRESSURE: Final = 16 * 1024 * 1024
MAX_PAYLOAD: Final = 16 * 1024 * 1024
# Its clock ticks every 4 seconds, and its longest idle timeout is 960.
PING_INTERVALS: Final = (4, 944)

Behaviour = dict[str, Any]


def load() -> Any:
    """Return the package. If it does not load, print one line and exit with status 1."""
    try:
        return importlib.import_module("socketify")
    except ImportError as error:
        raise SystemExit(f"{NAME}: socketify is not installed: {error}") from None
    except OSError as error:
        raise SystemExit(f"{NAME}: socketify does not load (it needs libuv 1): {error}") from None


def behaviours(socketify: Any, compress: bool) -> dict[str, Behaviour]:
    """Register the handler of each path."""
    opcodes = socketify.OpCode

    def answer(ws: Any, _data: str | bytes, _opcode: Any) -> None:
        ws.send("OK!", opcodes.TEXT, compress)

    def echo(ws: Any, data: str | bytes, opcode: Any) -> None:
        ws.send(data, opcode, compress)

    def join(ws: Any) -> None:
        ws.subscribe(ROOM)

    def join_and_flood(ws: Any) -> None:
        join(ws)
        for message in flood():
            ws.send(message, opcodes.BINARY, compress)

    def publish(ws: Any, data: str | bytes, opcode: Any) -> None:
        ws.publish(ROOM, data, opcode, compress)

    return {
        "/ws": {"message": answer},
        "/echo": {"message": echo},
        "/fanout": {"open": join, "message": publish},
        "/stall": {"open": join_and_flood, "message": publish},
    }


def idle_timeout(ping_interval: float | None) -> int:
    """Return the idle time-out in seconds at which uWebSockets pings after this interval; 0 switches pings off.

    It pings 4, 8 or 16 seconds before the timeout, by the timeout's length (its WebSocketContextData.h).
    """
    if ping_interval is None:
        return 0
    shortest, longest = PING_INTERVALS
    if not shortest <= ping_interval <= longest:
        raise SystemExit(f"{NAME}: uWebSockets pings at intervals of {shortest} to {longest} seconds only")
    margin = 4 if ping_interval < 8 else 8 if ping_interval < 16 else 16
    return round(ping_interval) + margin


def main(options: Options) -> None:
    """Serve until the process is ended."""
    seconds = idle_timeout(options.ping_interval)
    socketify = load()
    # uWebSockets listens by itself, and socketify only prints a traceback where that fails.
    options.listen().close()
    compression = socketify.CompressOptions
    settings = {
        "compression": compression.SHARED_COMPRESSOR if options.deflate else compression.DISABLED,
        "max_payload_length": MAX_PAYLOAD,
        "max_backpressure": MAX_BACKPRESSURE,
        "send_pings_automatically": seconds > 0,
        "idle_timeout": seconds,
    }
    app = socketify.App()
    app.get("/hello", lambda response, _request: response.end("Hello, World!"))
    app.any("/*", lambda response, _request: response.write_status(404).end("Not Found"))
    for path, behaviour in behaviours(socketify, options.deflate).items():
        app.ws(path, {**settings, **behaviour})
    app.listen(socketify.AppListenOptions(port=options.port, host=HOST), lambda _config: None)
    app.run()


if __name__ == "__main__":
    main(parse_options(NAME))
