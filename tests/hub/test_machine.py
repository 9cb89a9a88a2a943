"""The state machine of `machine`, with as many examples as there is time for."""

import os
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import Hubs

# `make test-long` asks for more of them.
EXAMPLES: Final = int(os.environ.get("ASGI_WS_EXAMPLES", "100"))
STEPS: Final = 30


@pytest.mark.usefixtures("impatient")
@pytest.mark.timeout(60 + EXAMPLES)
def test_a_hub_does_what_its_model_does_whatever_happens_to_its_connections() -> None:
    unhurried = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(Hubs, settings=unhurried)
