"""Cursors of pages: what is written is read, what is not ours is the first page."""

from datetime import UTC, datetime

import pytest
from django.http import QueryDict

from oms.backoffice.keyset import Cursor, Direction, count_words, encode, read_cursor


@pytest.mark.parametrize("direction", list(Direction))
def test_a_cursor_is_read_back_to_the_microsecond(direction: Direction) -> None:
    at = datetime(2026, 11, 22, 13, 44, 5, 123456, tzinfo=UTC)
    query = QueryDict(f"{direction.value}={encode(at, 42)}")
    assert read_cursor(query) == Cursor(direction, at, 42)


def test_orders_older_than_1970_have_cursors_too() -> None:
    at = datetime(1969, 12, 31, 23, 59, tzinfo=UTC)
    assert read_cursor(QueryDict(f"older={encode(at, 1)}")) == Cursor(Direction.OLDER, at, 1)


@pytest.mark.parametrize(
    "query",
    ["", "older=", "older=x.1", "older=1", "older=1.x", "older=9999999999999999999.1",
     "older=999999999999999999.1", "newer=1.-1", "older=²³.1", "older=1.1%00"],
)  # fmt: skip
def test_a_cursor_that_is_not_ours_is_the_first_page(query: str) -> None:
    assert read_cursor(QueryDict(query)) is None


def test_counts_beyond_the_limit_are_told_as_such() -> None:
    assert [count_words(count) for count in (0, 1000, 1001)] == ["0", "1,000", "1,000+"]
