"""Tests of ASGI applications without a server: every wait has a bound, and every failure says where it stands.

Needs the extra `testing`, which brings asgiref and httpx2.
"""

from .brokers.contract import BrokerContract
from .client import TestClient, TestClock
from .clock import VirtualClock
from .communicator import WebSocketCommunicator
from .errors import (
    ApplicationCancelled,
    ApplicationEnded,
    ContractBroken,
    HandshakeDenied,
    HandshakeFailed,
    LeakedTasks,
    ProtocolViolation,
    TaskFailed,
    Unanswered,
    WaitTimeout,
)
from .http import http_client
from .lifespan import LifespanManager
from .servers.handshake import Accepted, Denied
from .session import WebSocketDenialResponse, WebSocketTestSession

__all__ = [
    "Accepted",
    "ApplicationCancelled",
    "ApplicationEnded",
    "BrokerContract",
    "ContractBroken",
    "Denied",
    "HandshakeDenied",
    "HandshakeFailed",
    "LeakedTasks",
    "LifespanManager",
    "ProtocolViolation",
    "TaskFailed",
    "TestClient",
    "TestClock",
    "Unanswered",
    "VirtualClock",
    "WaitTimeout",
    "WebSocketCommunicator",
    "WebSocketDenialResponse",
    "WebSocketTestSession",
    "http_client",
]
