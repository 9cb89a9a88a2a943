"""The tables of the hub's state machines."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import pytest

from asgi_ws.hub import state

TABLES = [
    (state.RuntimeState, state.RUNTIME_TRANSITIONS),
    (state.RoomState, state.ROOM_TRANSITIONS),
    (state.RecoveryState, state.RECOVERY_TRANSITIONS),
]


@pytest.mark.parametrize(("states", "table"), TABLES)
def test_a_table_has_a_row_for_each_state_and_each_is_reached(
    states: type[Enum], table: Mapping[Any, Mapping[str, Any]]
) -> None:
    assert set(table) == set(states)
    reached = {next(iter(states))}
    while more := {following for each in reached for following in table[each].values()} - reached:
        reached |= more
    assert reached == set(states)


@pytest.mark.parametrize("table", [table for _, table in TABLES])
def test_a_drawing_has_each_event_of_its_table(table: Mapping[Any, Mapping[str, Any]]) -> None:
    assert [event for row in table.values() for event in row if event not in str(state.__doc__)] == []
