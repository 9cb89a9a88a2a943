"""TokenBucket: what it holds at a moment, by the clock of its user."""

import pytest

from asgi_ws.token_bucket import TokenBucket

# Times are counted from a clock's reading that is not zero, as every monotonic clock has.
START = 1000.1


@pytest.mark.parametrize(
    ("rate", "capacity", "takings"),
    [
        # (when, tokens, whether they are to be had)
        pytest.param(2, 2, [(0, 2, True), (0.4, 1, False), (0.5, 1, True), (1, 1, True)], id="refills-at-its-rate"),
        pytest.param(2, 2, [(0, 1, True), (100, 2, True), (100, 1, False)], id="holds-no-more-than-its-capacity"),
        pytest.param(10, 10, [(0, 10, True), (0.1, 1, True), (0.1, 1, False)], id="what-is-refused-is-not-taken"),
        pytest.param(10, 10, [(0, 40, True), (2.9, 1, False), (4, 10, True)], id="a-full-one-can-go-into-debt"),
        pytest.param(10, 10, [(0, 1, True), (0, 11, False)], id="one-that-is-not-full-cannot"),
        pytest.param(10, 10, [(0, 40, True), (0, 0, True)], id="nothing-is-always-there"),
        pytest.param(0.5, 1, [(0, 1, True), (1.9, 1, False), (2, 1, True)], id="less-than-one-a-second"),
    ],
)
def test_tokens_are_taken_while_they_last(
    rate: float, capacity: float, takings: list[tuple[float, float, bool]]
) -> None:
    bucket = TokenBucket(rate, capacity)
    assert [bucket.take(START + when, tokens) for when, tokens, _ in takings] == [taken for _, _, taken in takings]


@pytest.mark.parametrize("start", [0.0, START, 12345.678, 1e6 + 0.1])
@pytest.mark.parametrize("rate", [3, 7, 10, 1000])
def test_rounding_takes_no_token_away(start: float, rate: int) -> None:
    bucket = TokenBucket(rate, rate)
    assert all(bucket.take(start) for _ in range(rate))
    assert not bucket.take(start)


def test_spending_goes_into_debt_and_says_how_long_it_takes_to_pay() -> None:
    bucket = TokenBucket(10, 20)
    assert bucket.spend(START, 20) == 0
    assert bucket.spend(START, 5) == pytest.approx(0.5)
    assert bucket.available(START) == 0
    assert bucket.spend(START + 0.5, 5) == pytest.approx(0.5)
    assert bucket.spend(START + 1, 0) == pytest.approx(0)


def test_what_is_available_grows_up_to_the_capacity() -> None:
    bucket = TokenBucket(0.01, 0.1)
    assert bucket.available(START) == pytest.approx(0.1)
    bucket.spend(START, 0.1)
    assert bucket.available(START) == pytest.approx(0, abs=1e-6)
    assert bucket.available(START + 3) == pytest.approx(0.03)
    assert bucket.available(START + 100) == pytest.approx(0.1)
