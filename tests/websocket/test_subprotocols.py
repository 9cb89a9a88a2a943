"""Which subprotocols may be accepted."""

import pytest

from asgi_ws import InvalidSubprotocol
from asgi_ws.security import check_subprotocol, offered_subprotocols

from ..asgi import websocket_scope


def test_the_offered_subprotocols_keep_their_order() -> None:
    for offer, expected in [(["a", "b"], ["a", "b"]), ([""], []), (None, []), ((), [])]:
        assert offered_subprotocols({**websocket_scope(), "subprotocols": offer}) == expected
    scope = websocket_scope()
    del scope["subprotocols"]
    assert offered_subprotocols(scope) == []


def test_a_subprotocol_may_be_accepted_that_was_offered_and_is_a_token() -> None:
    check_subprotocol("chat.v1", websocket_scope(subprotocols=["other", "chat.v1"]))
    scope = {**websocket_scope(), "subprotocols": ["chat", "a b", "chat\r\nset-cookie: a=1", ""]}
    for subprotocol in ("other", "CHAT", "", "a b", "chat\r\nset-cookie: a=1"):
        with pytest.raises(InvalidSubprotocol) as raised:
            check_subprotocol(subprotocol, scope)
        assert raised.value.subprotocol == subprotocol
