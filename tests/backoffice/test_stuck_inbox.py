"""The stuck inbox: what it groups, what it leaves out, and how it sets work going again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from oms.backoffice.stuck_groups import (
    Kind,
    items_of,
    late_groups,
    overdue_groups,
    parked_groups,
    stuck_count,
)
from oms.ops.models import AuditEntry
from oms.orders.models import Order, OrderEvent
from oms.orders.statuses import Status
from tests.workflow.stories import nothing_changes, place, place_in
from workflow.models import WorkItem
from workflow.steps import Step

pytestmark = pytest.mark.django_db
Login = Callable[[str], Client]
INBOX, ITEMS, REPAIR = (reverse(f"admin:stuck_{name}") for name in ("inbox", "items", "repair"))


def _item(order_id: str, **changes: Any) -> WorkItem:
    items = WorkItem.objects.filter(order__order_id=order_id).order_by("due_at")
    item = items[0]
    WorkItem.objects.filter(pk=item.pk).update(**changes)
    item.refresh_from_db()
    return item


def _parked(cause: str, hours: float = 1, **given: Any) -> WorkItem:
    at = timezone.now() - timedelta(hours=hours)
    return _item(place(**given), parked_at=at, cause=cause, last_error="e", attempts=12)


def _late(minutes: float, **changes: Any) -> WorkItem:
    at = timezone.now() - timedelta(minutes=minutes)
    return _item(place(), due_at=at, **{"next_attempt_at": at, **changes})


def test_parked_work_is_grouped_by_cause_and_step_urgent_groups_first() -> None:
    _parked("no answer", 3)
    _parked("no answer", 5)
    urgent = _parked("refused", 1, is_express=True)
    refused, silent = parked_groups()
    assert (refused.cause, refused.step, refused.count, refused.urgent_count) == (
        "refused", Step.COMPLETE_ORDER, 1, 1,
    )  # fmt: skip
    assert [order.pk for order in refused.sample] == [urgent.order_id]
    assert (silent.cause, silent.count, silent.urgent_count) == ("no answer", 2, 0)
    assert timezone.now() - silent.oldest >= timedelta(hours=5)


def test_work_that_nobody_takes_is_late_after_five_minutes() -> None:
    _late(4)
    late = _late(6)
    (group,) = late_groups()
    assert (group.cause, group.count, [o.pk for o in group.sample]) == ("", 1, [late.order_id])


def test_work_that_keeps_failing_is_late_by_its_error() -> None:
    soon = timezone.now() + timedelta(minutes=2)
    _late(6, next_attempt_at=soon, attempts=3, last_error="timeout")
    (group,) = late_groups()
    assert (group.cause, group.step) == ("timeout", Step.COMPLETE_ORDER)


def test_timers_leases_and_work_that_waits_for_news_are_not_late() -> None:
    soon = timezone.now() + timedelta(minutes=2)
    _late(-60)
    _late(60, next_attempt_at=soon, attempts=0)
    _late(6, next_attempt_at=soon, attempts=1, leased_until=soon)
    assert late_groups() == []


def test_orders_over_their_budget_are_grouped_express_and_pickup_first() -> None:
    hour = timedelta(hours=1)
    for number, is_express in enumerate((False, False, True, False)):
        order_id = place_in(Status.READY_FOR_HANDLING, is_express=is_express)
        ends = timezone.now() - hour * (number + 1) if number < 3 else timezone.now() + hour
        Order.objects.filter(order_id=order_id).update(budget_ends_at=ends)
    express, normal = overdue_groups()
    assert (express.status, express.is_urgent, express.count) == ("ready-for-handling", True, 1)
    assert (normal.is_urgent, normal.count, len(normal.sample)) == (False, 2, 2)


def test_the_badge_counts_up_to_its_limit(login: Login) -> None:
    for _ in range(4):
        _parked("x")
    assert (stuck_count(10), stuck_count(2)) == (4, 3)
    page = login("Operator").get(INBOX)
    items = [item for group in page.context["sidebar_navigation"] for item in group["items"]]
    assert [item["badge"] for item in items if item.get("badge")] == ["4"]


def test_an_empty_inbox_says_so(login: Login) -> None:
    assert "Nothing is stuck" in login("Operator").get(INBOX).content.decode()


def test_a_group_is_repaired_together_after_a_preview(login: Login) -> None:
    items = [_parked("no answer"), _parked("no answer")]
    client = login("Supervisor")
    query = {"kind": "parked", "cause": "no answer", "step": Step.COMPLETE_ORDER.value}
    listed = client.get(ITEMS, query)
    assert [item.pk for item in listed.context["items"]] == [item.pk for item in items]
    given = {"repair": "retry", "item": [item.pk for item in items], "back_query": "kind=parked"}
    preview = client.post(REPAIR, given)
    assert len(preview.context["preview"].possible) == 2
    assert all(item.parked_at for item in WorkItem.objects.all())
    answer = client.post(REPAIR, {**given, "confirmed": "1", "reason": "Service is back"})
    assert answer["Location"] == f"{ITEMS}?kind=parked"
    assert parked_groups() == []
    event = OrderEvent.objects.latest("id")
    assert (event.kind, event.reason, event.actor) == (
        "work.retried", "Service is back", "user:supervisor",
    )  # fmt: skip
    assert AuditEntry.objects.filter(action="work.retried").count() == 2


def test_a_parcel_that_no_carrier_knows_can_be_skipped(login: Login) -> None:
    parcel = _parked("follow-tracking: tracking number not known yet")
    WorkItem.objects.filter(pk=parcel.pk).update(step=Step.FOLLOW_TRACKING, connector="carrier")
    given = {"repair": "skip", "item": [parcel.pk], "reason": "delivered by hand"}
    assert login("Supervisor").post(REPAIR, {**given, "confirmed": "1"}).status_code == 302
    assert not WorkItem.objects.filter(pk=parcel.pk).exists()
    preview = login("Supervisor").post(REPAIR, given).context["preview"]
    assert preview.obstacles == [("The work is done already.", 1)]


def test_what_cannot_be_skipped_is_told_beforehand(login: Login) -> None:
    fraud = _item(place_in(Status.APPROVE_PAYMENT), parked_at=timezone.now(), cause="x")
    other = _parked("x")
    client = login("Supervisor")
    given = {"repair": "skip", "item": [fraud.pk, other.pk]}
    preview = client.post(REPAIR, given).context["preview"]
    assert [item.pk for item in preview.possible] == [fraud.pk]
    assert preview.obstacles == [("To complete the order cannot be skipped.", 1)]
    client.post(REPAIR, {**given, "confirmed": "1", "reason": "Known customer"})
    assert Order.objects.get(pk=fraud.order_id).status == Status.PAYMENT_APPROVED
    other.refresh_from_db()
    assert other.parked_at


def test_work_that_is_done_meanwhile_is_told(login: Login) -> None:
    item = _parked("x")
    item.delete()
    page = login("Supervisor").post(REPAIR, {"repair": "retry", "item": ["987654"]})
    assert page.context["preview"].obstacles == [("The work is done already.", 1)]


def test_a_repair_needs_permission_and_reason(login: Login) -> None:
    item = _parked("x")
    given = {"repair": "retry", "item": [item.pk], "confirmed": "1"}
    with nothing_changes(item.order.order_id):
        assert login("Operator").post(REPAIR, {**given, "reason": "x"}).status_code == 403
        assert login("Supervisor").post(REPAIR, {**given, "reason": " "}).status_code == 200
    assert login("Support").get(INBOX).status_code == 403


def test_a_cause_with_signs_that_urls_use_is_opened(login: Login) -> None:
    item = _parked("a&b=c#d e/f?ü%")
    client = login("Supervisor")
    page = client.get(INBOX).content.decode()
    link = page.split(f'href="{ITEMS}')[1].split('"')[0].replace("&amp;", "&")
    listed = client.get(f"{ITEMS}{link}")
    assert [found.pk for found in listed.context["items"]] == [item.pk]


def test_late_items_of_a_group_are_listed() -> None:
    late = _late(6)
    assert [item.pk for item in items_of(Kind.LATE, cause="", step=Step.COMPLETE_ORDER)] == [
        late.pk
    ]
