"""Faults of the hub, its outboxes and the memory broker."""

from typing import Final

from . import Mutation

ROWS: Final = (
    Mutation(
        "exclude ignored",
        "delivery.py",
        "if recipient.active and recipient.origin != exclude:",
        "if recipient.active:",
        "tests/hub/test_machine.py",
    ),
)
