"""
Tells a key that walks the order list as if it were a feed from one that looks something up. Pure.

Each worker sees only those requests of a key that came to it, so nothing here depends on seeing
all of them: dates advance, pages start again and intervals stay even in a sample as well.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Final

from oms.orders.documents.errors import NotTaken
from oms.orders.documents.kinds import parse_moment

_DATE_RANGE: Final = re.compile(r"\[\s*(\S+)\s+TO\s+(\S+)\s*\]", re.IGNORECASE)
LONGEST_LOOKED_AT: Final = 200
_PAGING: Final = frozenset({"page", "per_page", "cursor"})


class Pattern(StrEnum):
    """The habits that a feed replaces."""

    DATES = "advancing dates"
    PAGES = "page by page"
    REPEATING = "again and again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When a habit counts as one. A range that ends longer ago than `near_now` is history."""

    span: timedelta = timedelta(seconds=60)
    near_now: timedelta = timedelta(hours=1)
    date_advances: int = 4
    page_restarts: int = 2
    pages: int = 3
    repeats: int = 10
    longest_interval: timedelta = timedelta(minutes=15)


THRESHOLDS: Final = Thresholds()


@dataclass(frozen=True, slots=True)
class ListRequest:
    """One request of the order list. `filters` is what it asks for apart from dates and page."""

    at: datetime
    filters: frozenset[tuple[str, str]] = frozenset()
    starts: datetime | None = None
    ends: datetime | None = None
    page: int = 1

    @property
    def has_dates(self) -> bool:
        return self.starts is not None or self.ends is not None

    @property
    def names(self) -> str:
        """The names of its filters, without values: these may be a person's."""
        return ", ".join(sorted(name for name, _ in self.filters)) or "none"


class RecentRequests:
    """
    The last requests of one key, oldest first: all while they come seldom, a sample while often.

    What comes many times a second, or walks a hundred pages at a time, would otherwise fill the
    memory within a moment and show no habit.
    """

    def __init__(self, kept: int, span: timedelta) -> None:
        self._requests: list[ListRequest] = []
        self._kept = kept
        self._span = span
        self._every = 1
        self._passed = 0

    def and_then(self, request: ListRequest) -> list[ListRequest]:
        """This function will return what is remembered with a request after it, and remember it."""
        known = [*self._requests, request]
        self._passed += 1
        if self._passed >= self._every:
            self._passed = 0
            self._requests.append(request)
        if len(self._requests) > self._kept:
            self._make_room()
        return known

    def _make_room(self) -> None:
        covered = self._requests[-1].at - self._requests[0].at
        if covered < self._span:
            del self._requests[1::2]
            self._every *= 2
            return
        del self._requests[0]
        if self._every > 1 and covered > 4 * self._span:
            self._every //= 2


def classify(
    requests: Sequence[ListRequest], thresholds: Thresholds = THRESHOLDS
) -> Pattern | None:
    """
    This function will name the habit that the last of these requests, oldest first, belongs to.

    Only requests with the filters of the last one count.
    """
    if not requests:
        return None
    same = [request for request in requests if request.filters == requests[-1].filters]
    if same[-1].at - same[0].at < thresholds.span:
        return None
    if _dates_advance(same, thresholds):
        return Pattern.DATES
    if _pages_start_again(same, thresholds):
        return Pattern.PAGES
    return Pattern.REPEATING if _repeats_evenly(same, thresholds) else None


def read_request(params: Mapping[str, str], at: datetime) -> ListRequest:
    """This function will reduce the query of a list request to what its habit shows in."""
    starts = ends = None
    filters = []
    for name, value in params.items():
        # The pattern takes the square of a hostile text's length.
        if (match := _DATE_RANGE.search(value[:LONGEST_LOOKED_AT])) is not None:
            starts, ends = _moment(match[1]), _moment(match[2])
            filters.append((name, ""))
        elif name not in _PAGING:
            filters.append((name, value[:LONGEST_LOOKED_AT]))
    page = params.get("page", "1")
    number = int(page) if page.isascii() and page.isdigit() and len(page) < 10 else 1
    return ListRequest(at, frozenset(filters), starts, ends, number)


def _dates_advance(requests: Sequence[ListRequest], thresholds: Thresholds) -> bool:
    dated = [request for request in requests if request.has_dates]
    near = [
        request
        for request in dated
        if request.ends is None or request.at - request.ends <= thresholds.near_now
    ]
    steps = [_step(before, after) for before, after in pairwise(near)]
    return (
        len(near) == len(requests)
        and min(steps, default=0) >= 0
        and sum(step > 0 for step in steps) >= thresholds.date_advances
    )


def _step(before: ListRequest, after: ListRequest) -> int:
    """1 where the range moved on, -1 where it went back, 0 where it is the same."""
    moves = [
        (later > earlier) - (later < earlier)
        for earlier, later in ((before.starts, after.starts), (before.ends, after.ends))
        if earlier is not None and later is not None
    ]
    return -1 if -1 in moves else max(moves, default=0)


def _pages_start_again(requests: Sequence[ListRequest], thresholds: Thresholds) -> bool:
    pages = [request.page for request in requests]
    restarts = sum(after < before for before, after in pairwise(pages))
    return restarts >= thresholds.page_restarts and max(pages) >= thresholds.pages


def _repeats_evenly(requests: Sequence[ListRequest], thresholds: Thresholds) -> bool:
    """A program's intervals spread less than their mean, also when only a part of them is seen."""
    asked = {(request.starts, request.ends, request.page) for request in requests}
    if len(requests) < thresholds.repeats or len(asked) > 1:
        return False
    intervals = list(_seconds_between(requests))
    longest = thresholds.longest_interval.total_seconds()
    return max(intervals) <= longest and pstdev(intervals) < fmean(intervals)


def _seconds_between(requests: Sequence[ListRequest]) -> Iterator[float]:
    for before, after in pairwise(requests):
        yield (after.at - before.at).total_seconds()


def _moment(text: str) -> datetime | None:
    try:
        return parse_moment(text)
    except NotTaken:
        return None
