"""The state machines of `machine`, with as many examples as there is time for."""

import os
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import EagerHubs, HastyHubs, Hubs

# `make test-long` asks for more of them.
EXAMPLES: Final = int(os.environ.get("ASGI_WS_EXAMPLES", "40"))
STEPS: Final = 30

pytestmark = [pytest.mark.usefixtures("impatient"), pytest.mark.timeout(900 + EXAMPLES)]


def run(machine: type[Hubs]) -> None:
    unhurried = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(machine, settings=unhurried)


# A broker reports its recovery: the hub does not ask in between.
@pytest.mark.usefixtures("no_retries")
@pytest.mark.parametrize("machine", [Hubs, EagerHubs])
def test_a_hub_does_what_its_model_does_whatever_happens_to_its_connections(machine: type[Hubs]) -> None:
    run(machine)


@pytest.mark.usefixtures("one_member_a_slice", "no_slice")
def test_a_hub_does_what_its_model_does_also_in_the_middle_of_a_message() -> None:
    run(HastyHubs)
