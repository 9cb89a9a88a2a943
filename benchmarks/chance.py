"""How probable it is that samples of the same thing fall apart: the exact one-sided rank-sum test."""

import math
from collections.abc import Sequence
from functools import cache


@cache
def _ways(lower: int, higher: int, pairs: int) -> int:
    """Return the number of orders of the samples in which exactly `inversions` pairs are reversed."""
    if pairs < 0:
        return 0
    if not lower or not higher:
        return int(pairs == 0)
    return _ways(lower - 1, higher, pairs - higher) + _ways(lower, higher - 1, pairs)


def chance(lower: Sequence[float], higher: Sequence[float]) -> float:
    """Return the probability of samples at least this far apart if nothing changed.

    Equal samples count as the other way round, which makes a verdict rarer, never more frequent.
    """
    against = sum(low >= high for low in lower for high in higher)
    ways = sum(_ways(len(lower), len(higher), pairs) for pairs in range(against + 1))
    return ways / math.comb(len(lower) + len(higher), len(lower))


def smallest(lower: int, higher: int) -> float:
    """Return the least value of `chance`: all samples of one run are below all of the other."""
    return 1 / math.comb(lower + higher, lower)
