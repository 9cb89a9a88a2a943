"""TokenBucket: a rate with a burst, for whatever is counted, by whatever clock is read."""

from typing import Final

# In seconds: more than a clock's reading and a sum of many small times can be off by.
_ROUNDING: Final = 1e-6


class TokenBucket:
    """A number of tokens that refills at a rate, up to a capacity; it is full at first.

    It is kept as the moment at which it will be full again: one number, which needs no refilling.

    Args:
        rate: tokens that come back each second.
        capacity: tokens that it holds when it is full.
    """

    __slots__ = ("_full_at", "_seconds_to_fill", "_token_seconds")

    def __init__(self, rate: float, capacity: float) -> None:
        self._token_seconds = 1.0 / rate
        self._seconds_to_fill = capacity / rate
        # By the clock of its user.
        self._full_at = 0.0

    def take(self, now: float, tokens: float = 1.0) -> bool:
        """Take tokens if it holds them; return False, and take none, if it does not.

        Tokens beyond the capacity can be taken while it is full, and leave a debt. To take none is always possible.
        """
        full_at = self._full_at
        # The usual case, and the first comparison of each message where a rate is set.
        if now >= full_at:
            self._full_at = now + tokens * self._token_seconds
            return True
        full_at += tokens * self._token_seconds
        if full_at - now - self._seconds_to_fill > _ROUNDING and tokens:
            return False
        self._full_at = full_at
        return True

    def spend(self, now: float, tokens: float) -> float:
        """Take tokens, also those that it does not hold; return the seconds until such a debt is paid."""
        self._full_at = max(self._full_at, now) + tokens * self._token_seconds
        return max(0.0, self._full_at - now - self._seconds_to_fill)

    def available(self, now: float) -> float:
        """Return the tokens that it holds; 0.0 while it is in debt."""
        return max(0.0, self._seconds_to_fill - max(0.0, self._full_at - now)) / self._token_seconds
