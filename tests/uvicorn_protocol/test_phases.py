"""The phases of a connection, as a table."""

import itertools

import pytest

from asgi_ws.errors import LifecycleError
from asgi_ws.uvicorn_protocol.phases import DONE, ENDING, TRANSITIONS, Phase, check_transition


def test_a_transition_that_is_not_in_the_table_raises() -> None:
    for before, after in itertools.product(Phase, Phase):
        if after in TRANSITIONS[before]:
            check_transition(before, after)
        else:
            with pytest.raises(LifecycleError, match=f"to {after.name} is not allowed in state {before.name}"):
                check_transition(before, after)


def test_a_connection_only_goes_forward() -> None:
    assert all(before.value < after.value for before, phases in TRANSITIONS.items() for after in phases)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.LOST])
def test_each_phase_may_lose_its_transport(phase: Phase) -> None:
    assert Phase.LOST in TRANSITIONS[phase]
    assert phase in DONE or Phase.DRAINING in TRANSITIONS[phase]


def test_what_has_begun_to_end_does_not_open_again() -> None:
    assert all(after in ENDING for phase in ENDING for after in TRANSITIONS[phase])
