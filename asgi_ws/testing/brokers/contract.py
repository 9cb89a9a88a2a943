"""The contract of brokers as tests that anyone can run on a broker of their own.

It needs a test runner that runs coroutines: pytest with pytest-asyncio or anyio, or `unittest.IsolatedAsyncioTestCase`.
"""

from .delivery import Delivery
from .histories import Histories


class BrokerContract(Delivery, Histories):
    """The promises of every broker, as tests. Subclass it, and let `make_broker` make yours.

    Three more hooks tell how time passes for the store, how it loses what it keeps, and how a broker is cut off. Each
    test uses rooms with names of its own, so a store may be shared and need not be empty.

    Attributes:
        timeout: real seconds that a test waits for an event.
        shortest_age: seconds; of the history in the test of what is too old.
    """
