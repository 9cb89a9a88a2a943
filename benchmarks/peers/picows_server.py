"""The peer on picows alone: its core API, which calls a listener with each frame and has no compression.

picows leaves it to its user to put fragments together. Nobody here sends any, so a message is one frame, and a
fragment ends the connection.
"""

from typing import Final

import uvloop
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from ..apps.flood import flood
from .options import BACKLOG, Options, parse_options

MESSAGE_TYPES: Final = (WSMsgType.TEXT, WSMsgType.BINARY)

room: set[WSTransport] = set()


class Listener(WSListener):
    """A listener that answers control frames and keeps the data of a client that reads slowly."""

    def on_other_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take part in the closing handshake. Pings and the pongs to ours have their answers from picows."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type != WSMsgType.PONG:
            transport.send_close(WSCloseCode.UNSUPPORTED_DATA, b"fragments")
            transport.disconnect()

    # Data that cannot be written is kept, as in the broadcast of websockets. picows would log a warning each time.

    def pause_writing(self) -> None:
        """Do nothing: no sender waits."""

    def resume_writing(self) -> None:
        """Do nothing: no sender waited."""


class Answer(Listener):
    """The same answer to every message."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type in MESSAGE_TYPES and frame.fin:
            transport.send(WSMsgType.TEXT, b"OK!")
        else:
            self.on_other_frame(transport, frame)


class Echo(Listener):
    """Every message back, as it came."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind in MESSAGE_TYPES and frame.fin:
            transport.send(kind, frame.get_payload_as_memoryview())
        else:
            self.on_other_frame(transport, frame)


class Member(Listener):
    """One of the room."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        room.add(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind in MESSAGE_TYPES and frame.fin:
            payload = frame.get_payload_as_memoryview()
            for member in room:
                member.send(kind, payload)
        else:
            self.on_other_frame(transport, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        room.discard(transport)


class FloodedMember(Member):
    """One of the room, who has to read the flood first."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        super().on_ws_connected(transport)
        for message in flood():
            transport.send(WSMsgType.BINARY, message)


LISTENERS = {b"/ws": Answer, b"/echo": Echo, b"/fanout": Member, b"/stall": FloodedMember}


def route(request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener | None:
    """Return the listener of a path, or None for 404."""
    listener = LISTENERS.get(request.path)
    if listener is not None:
        return listener()
    if request.path == b"/hello":
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(b"Hello, World!"), None)
    return None


async def main(options: Options) -> None:
    """Serve until the process is ended."""
    ping_interval = options.ping_interval or 0
    server = await ws_create_server(
        route,
        sock=options.listen(),
        backlog=BACKLOG,
        enable_auto_ping=options.ping_interval is not None,
        auto_ping_idle_timeout=ping_interval,
        # As long at most: picows refuses a longer one.
        auto_ping_reply_timeout=min(20, ping_interval),
    )
    await server.serve_forever()


if __name__ == "__main__":
    options = parse_options("picows_server")
    if options.deflate:
        raise SystemExit("picows_server: picows has no permessage-deflate")
    uvloop.run(main(options))
