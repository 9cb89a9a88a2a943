"""The contract of brokers, kept by MemoryBroker and by brokers that can be out of reach of their store."""

import unittest
from collections.abc import Awaitable, Callable

import pytest

from asgi_ws.brokers import Broker, MemoryBroker, MemoryStore
from asgi_ws.testing import BrokerContract, VirtualClock

from .stores import KnowsNoEmptyRooms, WrapperContract

PROMISES = sorted(name for name in dir(BrokerContract) if name.startswith("test_"))


class Memory(BrokerContract):
    timeout = 2.0

    def setup_method(self) -> None:
        self.store = MemoryStore()

    async def make_broker(self) -> Broker:
        return MemoryBroker(self.store)

    async def let_time_pass(self, seconds: float) -> None:
        with VirtualClock() as clock:
            await clock.advance(seconds)

    async def lose_store(self) -> None:
        self.store.clear()


class TestMemoryBroker(Memory):
    # A broker in memory has no connection to interrupt.
    test_after_an_interruption_the_broker_says_so_and_goes_on = None  # type: ignore[assignment] # removes the test


class Plain(BrokerContract):
    """The least that a subclass has to say."""

    shortest_age = 0.02

    def __init__(self) -> None:
        self.store = MemoryStore()

    async def make_broker(self) -> Broker:
        return MemoryBroker(self.store)


@pytest.mark.parametrize("promise", PROMISES)
async def test_a_broker_that_can_be_cut_off_and_knows_no_empty_rooms_keeps_the_contract_too(promise: str) -> None:
    await of(WrapperContract(KnowsNoEmptyRooms), promise)()


def of(contract: BrokerContract, promise: str) -> Callable[[], Awaitable[None]]:
    test: Callable[[], Awaitable[None]] = getattr(contract, promise)
    return test


async def test_tests_whose_hook_is_not_given_are_skipped_and_no_others() -> None:
    skipped = {}
    for promise in PROMISES:
        try:
            await of(Plain(), promise)()
        except unittest.SkipTest as reason:
            skipped[promise] = str(reason)
    assert skipped == {
        "test_a_store_that_lost_everything_has_another_epoch": "lose_store() is not given",
        "test_after_an_interruption_the_broker_says_so_and_goes_on": "interruption() is not given",
    }


def test_the_contract_runs_under_unittest_too() -> None:
    class Case(Memory, unittest.IsolatedAsyncioTestCase):
        def setUp(self) -> None:
            self.setup_method()

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
    assert result.testsRun == len(PROMISES)
    assert (result.errors, result.failures) == ([], [])
    assert [reason for _, reason in result.skipped] == ["interruption() is not given"]
