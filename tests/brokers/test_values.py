"""The values that go through a broker."""

import math
from typing import Any

import pytest

from asgi_ws.brokers import Envelope, History, HistoryPage, Position, RoomEvent
from asgi_ws.errors import InvalidLimit


def event(offset: int, epoch: str = "e") -> RoomEvent:
    return RoomEvent(Envelope(str(offset)), Position(epoch, offset), Position(epoch, offset - 1))


def test_a_history_of_no_messages_or_no_seconds_is_refused() -> None:
    messages: list[Any] = [0, -1, 1.5, True, "1", None, math.nan]
    for value in messages:
        with pytest.raises(InvalidLimit) as refused:
            History(messages=value)
        assert str(refused.value) == f"History(messages={value!r}): expected a positive whole number"
    seconds: list[Any] = [0, -0.5, math.inf, math.nan, False, "1"]
    for value in seconds:
        with pytest.raises(InvalidLimit) as refused:
            History(seconds=value)
        assert str(refused.value) == f"History(seconds={value!r}): expected a positive number or None"


def test_a_history_keeps_a_hundred_messages_for_five_minutes_unless_told_otherwise() -> None:
    assert History() == History(messages=100, seconds=300.0)
    assert History(messages=1, seconds=None).seconds is None
    assert History(seconds=1) == History(seconds=1.0)


PAGES: list[tuple[list[int], int, int, bool]] = [
    ([3, 4], 4, 2, True),
    # Events beyond the limit can be read from there on.
    ([3, 4], 9, 2, True),
    ([4, 5], 5, 2, False),
    # Read from before `since`.
    ([2, 3], 3, 2, False),
    ([3, 5], 5, 2, False),
    ([], 2, 2, True),
    ([], 3, 2, False),
    # `since` is from nowhere.
    ([], 2, 3, False),
    ([1, 2], 2, 0, True),
    ([], 0, 0, True),
]


def test_a_page_follows_where_nothing_is_missing() -> None:
    for events, top, since, follows in PAGES:
        page = HistoryPage(tuple(map(event, events)), Position("e", top))
        assert page.follows(Position("e", since)) is follows, (events, top, since)


def test_a_page_of_another_epoch_or_of_no_history_follows_on_nothing() -> None:
    assert not HistoryPage((event(1),), Position("e", 1)).follows(Position("other", 0))
    assert not HistoryPage((), Position("e", 1)).follows(Position("other", 1))
    assert not HistoryPage((), None).follows(Position("e", 0))
    # A page put together wrongly: events of two epochs.
    assert not HistoryPage((event(1), event(2, "other")), Position("e", 2)).follows(Position("e", 0))


def test_the_values_can_be_compared_and_keys_of_a_dictionary_and_not_changed() -> None:
    assert {Position("e", 1): 1}[Position("e", 1)] == 1
    assert Envelope("a") != Envelope(b"a")
    with pytest.raises(AttributeError):
        Position("e", 1).offset = 2  # type: ignore[misc] # frozen
