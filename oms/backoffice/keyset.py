"""
Paging by key instead of by number: page 1,000 costs what page 1 costs, and nothing is counted.

A cursor names the row beside it, so rows that come in meanwhile neither repeat nor hide others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from unfold.views import ChangeList

Row = TypeVar("Row")

OLDER: Final = "older"
NEWER: Final = "newer"
CURSORS: Final = (OLDER, NEWER)
COUNT_LIMIT: Final = 1_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Direction(StrEnum):
    OLDER = OLDER
    NEWER = NEWER


@dataclass(frozen=True, slots=True)
class Cursor:
    """The row beside which a page begins, and on which side of it."""

    direction: Direction
    at: datetime
    pk: int

    @property
    def is_backward(self) -> bool:
        return self.direction is Direction.NEWER


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page, newest row first, and the query strings of the pages beside it; empty: none."""

    rows: Sequence[Row]
    newer: str
    older: str


def encode(at: datetime, pk: int) -> str:
    """This function will spell a row's key for a link: microseconds since 1970, dot, id."""
    return f"{(at - _EPOCH) // _MICROSECOND}.{pk}"


def read_cursor(parameters: QueryDict) -> Cursor | None:
    """This function will read the cursor of a link; one that is not ours is the first page."""
    for name in CURSORS:
        at, _, pk = parameters.get(name, "").partition(".")
        if not (_is_number(at.removeprefix("-")) and _is_number(pk)):
            continue
        try:
            moment = _EPOCH + int(at) * _MICROSECOND
        except OverflowError:
            continue
        return Cursor(Direction(name), moment, int(pk))
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def with_parameters(parameters: QueryDict, **changes: str | None) -> str:
    """This function will return the query string with some parameters set, None removes."""
    changed = parameters.copy()
    for name in CURSORS:
        changed.pop(name, None)
    for name, value in changes.items():
        changed.pop(name, None)
        if value is not None:
            changed[name] = value
    return f"?{changed.urlencode()}"


def bounded_count(rows: QuerySet[Any], limit: int = COUNT_LIMIT) -> int:
    """This function will count up to one more than `limit`: beyond it nobody cares how many."""
    return rows.order_by()[: limit + 1].count()


def count_words(count: int, limit: int = COUNT_LIMIT) -> str:
    return f"{limit:,}+" if count > limit else f"{count:,}"


class UncountedPaginator(Paginator):
    """Satisfies Django's change list, which wants a paginator, without ever counting."""

    def __init__(self, rows: Sequence[Any], per_page: int) -> None:
        super().__init__(rows, per_page)

    @property
    def count(self) -> int:
        return len(self.object_list)


class KeysetChangeList(ChangeList):
    """
    A Django change list, newest first by primary key, that pages by key and counts nothing.

    For append-only logs and other tables that grow without end.
    """

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        lookups = super().get_filters_params(params)
        return {name: value for name, value in lookups.items() if name not in CURSORS}

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str]:
        return ["-pk"]

    def get_results(self, request: HttpRequest) -> None:
        queryset = self.queryset
        older, newer = request.GET.get(OLDER, ""), request.GET.get(NEWER, "")
        if _is_number(newer):
            rows = list(
                queryset.filter(pk__gt=int(newer)).order_by("pk")[: self.list_per_page + 1]
            )
            has_newer, has_older = len(rows) > self.list_per_page, True
            rows = rows[: self.list_per_page][::-1]
        else:
            if _is_number(older):
                queryset = queryset.filter(pk__lt=int(older))
            rows = list(queryset[: self.list_per_page + 1])
            has_newer, has_older = _is_number(older), len(rows) > self.list_per_page
            rows = rows[: self.list_per_page]
        self.result_list = rows
        self.show_full_result_count = False
        self.show_admin_actions = bool(rows)
        self.full_result_count = self.result_count = len(rows)
        self.can_show_all, self.multi_page = False, False
        self.paginator = UncountedPaginator(rows, self.list_per_page)
        self.newer_link = self._link(NEWER, rows[0].pk) if rows and has_newer else ""
        self.older_link = self._link(OLDER, rows[-1].pk) if rows and has_older else ""

    def _link(self, name: str, pk: Any) -> str:
        return self.get_query_string({name: str(pk)}, remove=list(CURSORS))
