"""How probable it is that samples of the same thing fall apart: the exact one-sided rank-sum test."""

import math
from collections.abc import Sequence
from functools import cache


@cache
def _ways(lower: int, higher: int, pairs: int) -> int:
    """In how many orders of so many samples exactly so many pairs are the other way round."""
    if pairs < 0:
        return 0
    if not lower or not higher:
        return int(pairs == 0)
    return _ways(lower - 1, higher, pairs - higher) + _ways(lower, higher - 1, pairs)


def chance(lower: Sequence[float], higher: Sequence[float]) -> float:
    """The probability of samples that are apart as much as these, or more, if nothing had changed.

    Equal samples count as the other way round, which makes a verdict rarer, never more frequent.
    """
    against = sum(low >= high for low in lower for high in higher)
    ways = sum(_ways(len(lower), len(higher), pairs) for pairs in range(against + 1))
    return ways / math.comb(len(lower) + len(higher), len(lower))


def smallest(lower: int, higher: int) -> float:
    """The least that `chance` can give for so many samples: all of the one are below all of the other."""
    return 1 / math.comb(lower + higher, lower)
