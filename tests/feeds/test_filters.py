"""Filters of feed and hook: every reading of the contract is taken, misspellings are not."""

from typing import Any

import pytest

from feeds.filters import KNOWN_STATUSES, EventFilter, parse_filter
from feeds.models import FilterType
from feeds.refusals import FeedRefused, MixedFilter
from oms.orders.statuses import Status

# The contract's list, word for word.
PUBLISHED_STATUSES = [
    "order-created",
    "on-order-completed",
    "on-order-completed-ffm",
    "payment-pending",
    "waiting-for-order-authorization",
    "approve-payment",
    "payment-approved",
    "request-cancel",
    "waiting-for-seller-decision",
    "waiting-ffmt-authorization",
    "waiting-for-authorization",
    "waiting-for-manual-authorization",
    "authorize-fulfillment",
    "order-create-error",
    "order-creation-error",
    "window-to-cancel",
    "window-to-change-seller",
    "waiting-for-mkt-authorization",
    "waiting-seller-handling",
    "ready-for-handling",
    "start-handling",
    "handling",
    "invoice-after-cancellation-deny",
    "order-accepted",
    "invoice",
    "invoiced",
    "replaced",
    "cancellation-requested",
    "cancel",
    "canceled",
]

ALL = EventFilter()
INVOICED = EventFilter(statuses=("invoiced",))


def by_expression(*, fires_once: bool) -> EventFilter:
    return EventFilter(
        type=FilterType.FROM_ORDERS, expression="value > 100", fires_once=fires_once
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, ALL),
        ({}, ALL),
        ({"type": "FromWorkflow"}, ALL),
        ({"type": None, "status": None, "expression": None}, ALL),
        ({"status": []}, ALL),
        ({"status": ["invoiced"]}, INVOICED),
        ({"type": "fromworkflow", "Status": ["invoiced"]}, INVOICED),
        ({"type": "FromWorkflow", "status": ["invoiced", "invoiced"]}, INVOICED),
        ({"type": "FromWorkflow", "status": ["invoiced"], "disableSingleFire": False}, INVOICED),
        ({"type": "FromWorkflow", "status": ["invoiced"], "expression": " "}, INVOICED),
        ({"type": "FromWorkflow", "status": ["invoiced"] * 1000}, INVOICED),
        ({"type": "FromOrders", "expression": "value > 100"}, by_expression(fires_once=True)),
        (
            {"type": "FromOrders", "expression": "value > 100", "disableSingleFire": False},
            by_expression(fires_once=True),
        ),
        (
            {"type": "FromOrders", "expression": "value > 100\n", "disableSingleFire": True},
            by_expression(fires_once=False),
        ),
        (
            {"type": "FromOrders", "expression": "value > 100", "status": []},
            by_expression(fires_once=True),
        ),
    ],
)
def test_every_reading_of_a_filter_is_taken(body: Any, expected: EventFilter) -> None:
    assert parse_filter(body) == expected


@pytest.mark.parametrize("name", sorted({*PUBLISHED_STATUSES, *Status}))
def test_every_published_status_and_every_status_of_ours_can_be_asked_for(name: str) -> None:
    assert parse_filter({"status": [name]}).statuses == (name,)


def test_the_contract_lists_thirty_statuses() -> None:
    assert len(PUBLISHED_STATUSES) == 30
    assert set(PUBLISHED_STATUSES) <= set(KNOWN_STATUSES)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("cancelled", "canceled"),
        ("order-completed", "on-order-completed"),
        ("cancelation-request", "cancellation-requested"),
        ("ready_for_handling", "ready-for-handling"),
        ("Invoiced", "invoiced"),
        (" invoiced", "invoiced"),
        ("payment-aproved", "payment-approved"),
    ],
)
def test_a_misspelt_status_is_refused_with_what_was_meant(written: str, meant: str) -> None:
    with pytest.raises(FeedRefused) as refused:
        parse_filter({"status": ["invoiced", written]})
    (problem,) = refused.value.problems
    assert problem.field == "filter.status[1]"
    assert problem.message.endswith(f"Did you mean {meant}?")
    assert list(problem.allowed) == sorted(Status)


def test_a_status_that_looks_like_none_is_refused_without_a_guess() -> None:
    with pytest.raises(FeedRefused, match=r"There is no status 'zzz'\.$"):
        parse_filter({"status": ["zzz"]})


def test_many_wrong_statuses_are_named_up_to_a_bound() -> None:
    with pytest.raises(FeedRefused) as refused:
        parse_filter({"status": [f"no-{number}" for number in range(1000)]})
    assert len(refused.value.problems) == 20
    assert [bool(problem.allowed) for problem in refused.value.problems] == [True] + [False] * 19


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "filter"),
        ("FromWorkflow", "filter"),
        ({"type": "FromSomewhere"}, "filter.type"),
        ({"type": 7}, "filter.type"),
        ({"status": "invoiced"}, "filter.status"),
        ({"status": [None]}, "filter.status[0]"),
        ({"status": [["invoiced"]]}, "filter.status[0]"),
        ({"expression": "value > 100"}, "filter.type"),
        ({"type": "FromWorkflow", "expression": "value > 100"}, "filter.type"),
        ({"type": "FromOrders"}, "filter.expression"),
        ({"type": "FromOrders", "expression": " "}, "filter.expression"),
        ({"type": "FromOrders", "status": ["invoiced"]}, "filter.expression"),
        ({"type": "FromOrders", "expression": 7}, "filter.expression"),
        (
            {"type": "FromOrders", "expression": "a", "disableSingleFire": "yes"},
            "filter.disableSingleFire",
        ),
    ],
)
def test_what_is_no_filter_is_refused_by_field(body: Any, field: str) -> None:
    with pytest.raises(FeedRefused) as refused:
        parse_filter(body)
    assert [problem.field for problem in refused.value.problems] == [field]
    assert not isinstance(refused.value, MixedFilter)


@pytest.mark.parametrize("kind", ["FromWorkflow", "FromOrders", None])
def test_statuses_beside_an_expression_are_a_mixed_filter(kind: str | None) -> None:
    with pytest.raises(MixedFilter):
        parse_filter({"type": kind, "status": ["invoiced"], "expression": "value > 100"})


@pytest.mark.parametrize(
    "body",
    [
        {"type": "FromWorkflow", "status": ["invoiced", "canceled"]},
        {"type": "FromOrders", "expression": "value > 100", "disableSingleFire": False},
        {"type": "FromOrders", "expression": "value > 100", "disableSingleFire": True},
    ],
)
def test_a_filter_is_answered_as_it_was_sent(body: dict[str, Any]) -> None:
    assert parse_filter(body).as_json() == body
