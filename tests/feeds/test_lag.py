"""How far subscriptions are behind, in events and seconds."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from feeds.lag import sample_lag
from feeds.models import LagSample, Outcome, QueueItem, Subscription
from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from oms.ops.clock import database_now
from oms.orders.ledger import last_position, number_all_events
from oms.orders.models import LedgerEntry
from oms.orders.statuses import Status
from tests.workflow.stories import events_of, place, place_in

pytestmark = pytest.mark.django_db


def subscription(seller_ids: list[str] | None = None, **given: Any) -> Subscription:
    key, _ = issue_app_key(
        owner_name="ERP", scopes=[Scope.FEED_HOOK_ADMIN], actor="user:ann", seller_ids=seller_ids
    )
    number_all_events()
    facts: dict[str, Any] = {
        "channel": "feed",
        "filter_type": "FromWorkflow",
        "visibility_timeout_seconds": 250,
        "retention_seconds": 345_600,
        "cursor": last_position(),
    }
    return Subscription.objects.create(app_key=key, **(facts | given))


def lag_of(owner: Subscription) -> tuple[int, float]:
    """This function will sample the lag now and return events and seconds."""
    sample_lag()
    sample = LagSample.objects.filter(subscription=owner).latest("pk")
    return sample.open_count, sample.oldest_seconds


def queue(owner: Subscription, position: int, **given: Any) -> QueueItem:
    entry = LedgerEntry.objects.select_related("event").get(position=position)
    now = database_now()
    return QueueItem.objects.create(
        subscription=owner,
        event=entry.event,
        order_id=entry.event.order_id,
        position=position,
        **{"queued_at": now, "available_at": now, **given},
    )


def test_who_has_acknowledged_everything_is_not_behind() -> None:
    place()
    owner = subscription()
    queue(owner, 1, outcome=Outcome.COMMITTED, ended_at=database_now())
    assert lag_of(owner) == (0, 0.0)


def test_the_queue_and_what_the_cursor_has_not_looked_at_count_by_the_filter() -> None:
    place()
    owner = subscription(statuses=["payment-pending"])
    item = queue(owner, 1)
    QueueItem.objects.filter(pk=item.pk).update(queued_at=F("queued_at") - timedelta(seconds=90))
    place_in(Status.HANDLING)
    events, seconds = lag_of(owner)
    assert events == 2
    assert 90 <= seconds < 150


def test_every_change_counts_for_an_expression_and_only_changes_of_status_for_statuses() -> None:
    by_status = subscription()
    by_expression = subscription(filter_type="FromOrders", expression='status = "handling"')
    order_id = place_in(Status.HANDLING)
    events = events_of(order_id)
    assert lag_of(by_expression)[0] == len(events)
    moved = [event for event in events if event.status != event.last_status]
    assert lag_of(by_status)[0] == len(moved)


def test_orders_of_other_sellers_are_no_lag() -> None:
    owner = subscription(seller_ids=["me"])
    place(seller_id="you")
    assert lag_of(owner)[0] == 0
    place(seller_id="me")
    assert lag_of(owner)[0] == 1


def test_far_behind_is_counted_without_looking_at_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("feeds.lag._PARAMETERS", [1, 1])
    owner = subscription(statuses=["canceled"])
    for _ in range(4):
        place()
    assert lag_of(owner)[0] == 3


def test_a_sample_is_kept_of_each_active_subscription() -> None:
    owner, quiet = subscription(), subscription()
    subscription(is_active=False)
    place()
    Subscription.objects.filter(pk=quiet.pk).update(cursor=10)
    assert sample_lag() == 2
    kept = {sample.subscription_id: sample.open_count for sample in LagSample.objects.all()}
    assert kept == {owner.pk: 1, quiet.pk: 0}
