"""Filters by expression over the ledger: every version of an order is looked at."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from feeds.matching import BATCH, Matched, matching_events
from feeds.models import FilterType, Subscription
from oms.orders.models import OrderEvent
from oms.orders.snapshots import demand_snapshots
from oms.orders.statuses import Flow, Status
from tests.workflow.stories import events_of, move_to, order_of, place, place_in
from workflow.services.payment import approve_payment

pytestmark = pytest.mark.django_db


@pytest.fixture
def _demanded(db: None) -> None:
    demand_snapshots("test")


def matched(expression: str, event_ids: list[int] | None = None) -> Matched:
    """This function will ask a subscription with this expression about all events, or these."""
    if event_ids is None:
        event_ids = list(OrderEvent.objects.order_by("pk").values_list("pk", flat=True))
    subscription = Subscription(filter_type=FilterType.FROM_ORDERS, expression=expression)
    return matching_events(subscription, event_ids)


def statuses(found: Matched) -> list[str]:
    events: dict[int, Any] = OrderEvent.objects.in_bulk(found.event_ids)
    return [events[event_id].status for event_id in found.event_ids]


@pytest.mark.usefixtures("_demanded")
def test_ki_832400_a_status_that_lasts_a_moment_is_seen_although_the_order_has_moved_on() -> None:
    order_id = place_in(Status.INVOICED)
    assert order_of(order_id).status == Status.INVOICED
    passed = [event.status for event in events_of(order_id)]
    for status in dict.fromkeys(passed):
        found = matched(f'status = "{status}"')
        assert statuses(found) == [status] * passed.count(status)


@pytest.mark.usefixtures("_demanded")
def test_ki_640925_payment_approved_is_seen_also_for_the_stores_own_seller() -> None:
    order_id = place(seller_id="1")
    move_to(order_id, Status.PAYMENT_PENDING)
    payment_id = order_of(order_id).payments.get().payment_id
    approve_payment(order_id=order_id, payment_id=payment_id, actor="key:payments")
    move_to(order_id, Status.HANDLING)
    found = matched('status = "payment-approved" and items[0].seller = "1"')
    assert statuses(found) == ["payment-approved"]


def test_an_event_without_a_snapshot_is_judged_by_the_present_document() -> None:
    place_in(Status.HANDLING)
    assert set(statuses(matched('status = "handling"'))) >= {"payment-pending", "handling"}
    assert matched('status = "payment-pending"').event_ids == []


@pytest.mark.usefixtures("_demanded")
def test_an_event_on_which_the_expression_fails_does_not_match_and_is_counted() -> None:
    place(Flow.COMPLETE, value_cents=1000)
    place(Flow.COMPLETE, value_cents=2000)
    found = matched("value = 1000 ? true : $number(status)")
    assert len(found.event_ids) == 1
    assert (found.error_count, found.last_error) == (1, "A function failed.")


@pytest.mark.usefixtures("_demanded")
def test_matches_come_in_the_order_asked_and_unknown_events_are_left_out() -> None:
    for _ in range(3):
        place()
    event_ids = list(OrderEvent.objects.order_by("-pk").values_list("pk", flat=True))
    assert matched("true", [*event_ids, 10**12]).event_ids == event_ids
    assert matched("true", []) == Matched([], judged_count=0)


@pytest.mark.usefixtures("_demanded")
def test_when_time_is_up_the_first_events_are_judged_and_the_others_left_for_later() -> None:
    for _ in range(60):
        place()
    event_ids = list(OrderEvent.objects.order_by("pk").values_list("pk", flat=True))
    subscription = Subscription(filter_type=FilterType.FROM_ORDERS, expression="true")
    found = matching_events(subscription, [10**12, *event_ids], seconds=0.0)
    assert found == Matched(event_ids[:50], judged_count=51)


@pytest.mark.usefixtures("_demanded")
def test_documents_are_read_in_batches() -> None:
    place()
    (event_id,) = OrderEvent.objects.values_list("pk", flat=True)
    with CaptureQueriesContext(connection) as queries:
        matched("true", [event_id] * (2 * BATCH + 1))
    assert len([query for query in queries if "documentsnapshot" in query["sql"]]) == 3
