"""An endpoint's own `max_message_bytes`, which the class keeps as soon as the handshake is accepted."""

from collections import Counter

import pytest

from asgi_ws.sizes import KIB
from tests.wire.streams import BINARY, CONT, NO_MASK, RSV1, bomb, close, frame

from .conftest import Serve
from .limited import LARGEST
from .peer import DEFLATE, opened
from .served import Uvicorn

_APP = "tests.uvicorn_protocol.limited:app"
_TOO_BIG = (1009, "message too big")


@pytest.fixture
def limited(serve: Serve) -> Uvicorn:
    return serve(app=_APP)


async def _refused(server: Uvicorn) -> Counter[str]:
    return Counter((await server.get("/statistics")).json())


@pytest.mark.parametrize(
    ("extension", "data"),
    [
        (b"", frame(BINARY, length=LARGEST + 1)),
        (b"", frame(BINARY, bytes(LARGEST), fin=False) + frame(CONT, length=1)),
        (DEFLATE, frame(BINARY, bomb(1), rsv=RSV1, fin=False, mask=NO_MASK)),
    ],
    ids=["one frame", "fragments", "compressed"],
)
async def test_a_message_past_it_is_refused_before_it_is_there(limited: Uvicorn, extension: bytes, data: bytes) -> None:
    before = await _refused(limited)
    async with opened(limited, "limited", extension) as peer:
        peer.send(frame(BINARY, bytes(LARGEST)))
        assert len((await peer.frame()).payload) in range(1, LARGEST + 1)
        peer.send(data)
        assert await peer.close_frame() == _TOO_BIG
        assert (await peer.notes())["closed"] == [[*_TOO_BIG]]
    assert await _refused(limited) - before == {"MESSAGE_BYTES": 1}


async def test_a_client_s_own_1009_is_not_counted_as_a_refusal(limited: Uvicorn) -> None:
    before = await _refused(limited)
    async with opened(limited, "limited") as peer:
        peer.send(close(1009, "yours"))
        assert (await peer.notes())["closed"] == [[1009, "yours"]]
    assert await _refused(limited) == before


async def test_a_server_s_lower_limit_is_not_counted_as_the_endpoint_s(serve: Serve) -> None:
    server = serve("--ws-max-size=500", app=_APP)
    async with opened(server, "limited") as peer:
        peer.send(frame(BINARY, length=501))
        assert await peer.close_frame() == _TOO_BIG
        assert (await peer.notes())["closed"] == [[*_TOO_BIG]]
    assert not await _refused(server)


async def test_an_endpoint_without_one_has_the_server_s(limited: Uvicorn) -> None:
    async with opened(limited, "unlimited") as peer:
        peer.send(frame(BINARY, bytes(64 * KIB), fin=False), frame(CONT, bytes(64 * KIB)))
        assert await peer.message() == str(128 * KIB)
