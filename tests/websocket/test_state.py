"""The tables of the lifecycle, and a check that WebSocket follows them for calls in any order."""

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.strategies import sampled_from

from asgi_ws import ConnectionClosed, InvalidCloseCode, InvalidCloseReason, LifecycleError, WebSocket, WebSocketState
from asgi_ws._asgi import Scope
from asgi_ws.close_codes import as_private_code, check_close
from asgi_ws.websocket.state import APPLICATION_TRANSITIONS, PEER_TRANSITIONS

from ..asgi import websocket_scope

SENDABLE = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


def test_exactly_the_codes_of_the_rfc_and_the_registry_may_be_sent() -> None:
    for code in SENDABLE:
        check_close(code, "")
    for code in set(range(6000)) - SENDABLE:
        with pytest.raises(InvalidCloseCode):
            check_close(code, "")


def test_a_reason_of_123_bytes_fits_into_a_close_frame_and_one_of_124_does_not() -> None:
    check_close(1000, "x" * 123)
    with pytest.raises(InvalidCloseReason):
        check_close(1000, "x" * 124)


def test_private_codes_are_codes_that_may_be_sent_and_keep_apart() -> None:
    mapped = {code: as_private_code(code) for code in SENDABLE}
    assert all(code == 1000 or 3000 <= code <= 4999 for code in mapped.values())
    assert [mapped[code] for code in (1001, 1011, 1014)] == [4901, 4911, 4914]
    assert all(mapped[code] == code for code in SENDABLE if not 1001 <= code <= 1014)


@pytest.mark.parametrize("table", [PEER_TRANSITIONS, APPLICATION_TRANSITIONS])
def test_every_state_has_a_row_and_disconnected_is_the_end(table: Any) -> None:
    assert set(table) == set(WebSocketState)
    assert table[WebSocketState.DISCONNECTED] == {}


def test_every_state_but_the_start_can_be_reached_and_no_event_leads_back_to_it() -> None:
    for table in (PEER_TRANSITIONS, APPLICATION_TRANSITIONS):
        targets = {target for row in table.values() for target in row.values()}
        assert WebSocketState.CONNECTING not in targets
        assert WebSocketState.DISCONNECTED in targets


class Lifecycle(RuleBasedStateMachine):
    """Make calls and events in any order: the server gets legal events only, and each result fits the state."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.sent: list[str] = []
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        # The end that a call has raised; None before the first.
        self.told: tuple[int, str] | None = None

    def teardown(self) -> None:
        self.loop.close()

    async def send(self, event: Any) -> None:
        self.sent.append(event["type"])

    @initialize(scope=sampled_from([websocket_scope(server="uvicorn"), websocket_scope(server="daphne")]))
    def connect(self, scope: Scope) -> None:
        async def make() -> WebSocket:
            return WebSocket(dict(scope), self.inbox.get, self.send)

        self.ws = self.loop.run_until_complete(make())
        self.inbox.put_nowait({"type": "websocket.connect"})
        # The number of unread events in the queue behind the connect event.
        self.waiting = 1
        self.peer_left = False

    @precondition(lambda self: not self.peer_left)
    @rule()
    def peer_sends(self) -> None:
        self.inbox.put_nowait({"type": "websocket.receive", "text": "x"})

    @precondition(lambda self: not self.peer_left)
    @rule(code=sampled_from([1000, 1001, 1005, 1006, 4000, None]))
    def peer_leaves(self, code: int | None) -> None:
        self.peer_left = True
        self.inbox.put_nowait({"type": "websocket.disconnect", "code": code})

    def call(self, coroutine: Any) -> Any:
        """Run one call of the API, which ends at once or waits for an event that has not come."""

        async def bounded() -> Any:
            task = asyncio.ensure_future(coroutine)
            for _ in range(20):
                await asyncio.sleep(0)
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
                return "waits"
            try:
                return task.result()
            except (LifecycleError, ConnectionClosed) as error:
                return error

        before = self.ws.application_state
        result = self.loop.run_until_complete(bounded())
        if isinstance(result, ConnectionClosed):
            assert self.ws.closed
            assert (result.code, result.reason) == (self.ws.close_code, self.ws.close_reason)
        if isinstance(result, LifecycleError):
            assert before.name in str(result)
            assert self.ws.application_state is before
        return result

    @rule()
    def accept(self) -> None:
        before, left = self.ws.application_state, self.ws.client_state is WebSocketState.DISCONNECTED
        result = self.call(self.ws.accept())
        if before is not WebSocketState.CONNECTING:
            assert isinstance(result, ConnectionClosed if left else LifecycleError)

    @rule()
    def deny(self) -> None:
        self.call(self.ws.deny(401))

    @rule()
    def close(self) -> None:
        assert self.call(self.ws.close(4000, "bye")) is None
        assert self.ws.closed

    @rule()
    def abort(self) -> None:
        assert self.call(self.ws.abort()) is None
        assert self.ws.closed

    @rule()
    def send_message(self) -> None:
        before = self.ws.application_state
        result = self.call(self.ws.send("y"))
        expected: Any = {WebSocketState.CONNECTED: type(None), WebSocketState.CONNECTING: LifecycleError}
        assert type(result) is expected.get(before, ConnectionClosed)

    @rule()
    def receive(self) -> None:
        before = self.ws.application_state
        result = self.call(self.ws.receive())
        if before is WebSocketState.CONNECTED:
            assert result in ("x", "waits") or isinstance(result, ConnectionClosed)
        else:
            expected = LifecycleError if before is WebSocketState.CONNECTING else ConnectionClosed
            assert type(result) is expected

    @invariant()
    def what_was_sent_is_a_path_through_the_table(self) -> None:
        state = WebSocketState.CONNECTING
        for event_type in self.sent:
            state = APPLICATION_TRANSITIONS[state][event_type]
        if hasattr(self, "ws"):
            assert state is self.ws.application_state or self.ws.client_state is WebSocketState.DISCONNECTED

    @invariant()
    def the_end_is_told_once_and_for_all(self) -> None:
        if hasattr(self, "ws") and self.ws.closed:
            assert self.ws.close_code is not None
            assert self.ws.close_reason is not None
            told = self.ws.close_code, self.ws.close_reason
            assert self.told in (None, told)
            self.told = told


Lifecycle.TestCase.settings = settings(max_examples=200, stateful_step_count=20, deadline=None)
TestLifecycle = Lifecycle.TestCase
