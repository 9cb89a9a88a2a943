"""Brokers carry the events of a hub from where they are published to where they are wanted, and keep histories."""

from .base import (
    Broker,
    BrokerState,
    Envelope,
    History,
    HistoryPage,
    OnEvent,
    OnInterrupted,
    Position,
    RoomEvent,
)
from .memory import MemoryBroker, MemoryStore

__all__ = [
    "Broker",
    "BrokerState",
    "Envelope",
    "History",
    "HistoryPage",
    "MemoryBroker",
    "MemoryStore",
    "OnEvent",
    "OnInterrupted",
    "Position",
    "RoomEvent",
]
