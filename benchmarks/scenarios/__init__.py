"""The scenarios in which a server is put under load: what is done, and what is read off it."""

from typing import Final

from . import echo, handshake, idle, rooms
from .base import Scenario

SCENARIOS: Final[tuple[Scenario, ...]] = (
    echo.SCENARIO,
    handshake.SCENARIO,
    rooms.FANOUT,
    rooms.BURST,
    rooms.STALL,
    idle.IDLE,
    idle.MEMORY,
)
