"""Filters of the order list: from a query string and back, and in words."""

from datetime import UTC, date, datetime

import pytest
from django.http import QueryDict
from pytest_django import Settings

from oms.backoffice.order_filters import (
    OrderFilters,
    Preset,
    State,
    chips,
    read_filters,
    status_choices,
)
from oms.orders.statuses import Status

NOW = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "status=handling&status=invoiced&state=open",
        "channel=1&affiliate=MKP&seller=a+b&delivery=pickup-in-point&express=1&when=7d",
        "from=2026-01-02&to=2026-02-03",
    ],
)
def test_a_query_string_comes_back_as_it_was(query: str) -> None:
    read = read_filters(QueryDict(query))
    assert read_filters(QueryDict(read.link().removeprefix("?"))) == read
    assert sorted(read.link().removeprefix("?").split("&")) == sorted(query.split("&"))


def test_what_is_unknown_or_misspelt_is_left_out() -> None:
    query = "status=handlin&state=x&when=never&from=2026-13-01&to=0001-01-01&delivery=x&seller=%00"
    assert read_filters(QueryDict(query)) == OrderFilters()


@pytest.mark.parametrize(
    ("when", "first", "after"),
    [
        (
            Preset.TODAY,
            datetime(2026, 11, 21, 3, tzinfo=UTC),
            datetime(2026, 11, 22, 3, tzinfo=UTC),
        ),
        (
            Preset.YESTERDAY,
            datetime(2026, 11, 20, 3, tzinfo=UTC),
            datetime(2026, 11, 21, 3, tzinfo=UTC),
        ),
        (
            Preset.WEEK,
            datetime(2026, 11, 15, 3, tzinfo=UTC),
            datetime(2026, 11, 22, 3, tzinfo=UTC),
        ),
    ],
)
def test_days_are_the_store_s_own(
    settings: Settings, when: Preset, first: datetime, after: datetime
) -> None:
    settings.STORE_TIME_ZONE = "America/Sao_Paulo"
    assert OrderFilters(when=when).placed_between(NOW) == (
        first,
        after,
    )


def test_a_range_takes_its_last_day_whole() -> None:
    filters = OrderFilters(from_date=date(2026, 1, 1), to_date=date(2026, 1, 31))
    assert filters.placed_between(NOW) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC),
    )


def test_statuses_of_the_same_label_are_one_choice_and_one_chip() -> None:
    both = (Status.ON_ORDER_COMPLETED, Status.ON_ORDER_COMPLETED_FFM)
    filters = read_filters(QueryDict(f"status={','.join(both)}"))
    assert filters.statuses == both
    assert [chip.words for chip in chips(filters, {})] == ["Processing order"]
    chosen = [choice for choice in status_choices(filters) if choice.is_chosen]
    assert [choice.value for choice in chosen] == [",".join(both)]
    labels = [choice.label for choice in status_choices(filters)]
    assert len(labels) == len(set(labels))


def test_each_active_filter_is_named_and_can_be_taken_away() -> None:
    filters = OrderFilters(state=State.OPEN, statuses=(Status.HANDLING,), affiliate="MKP")
    assert [(chip.words, chip.without) for chip in chips(filters, {"MKP": "Market"})] == [
        ("Open", "?status=handling&affiliate=MKP"),
        ("Handling shipping", "?state=open&affiliate=MKP"),
        ("From Market", "?status=handling&state=open"),
    ]
