"""App keys with feeds and hooks in any state, for the pages that tell of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from feeds.models import (
    Channel,
    FilterType,
    HookAttempt,
    HookEndpoint,
    LagSample,
    Outcome,
    QueueItem,
    Subscription,
)
from oms.access.keys import issue_app_key
from oms.access.models import AppKey
from oms.access.scopes import Scope
from oms.orders.ledger import last_position, number_all_events
from oms.orders.models import LedgerEntry, Order

# Whatever a page shows, never this.
SECRET = b"whsec-that-no-page-may-show"
URL = "https://erp.example/hook?token=of-the-address"


def give_key(owner: str = "ERP of Lux", **given: Any) -> AppKey:
    """This function will issue a key that may configure feed and hook."""
    facts = {"scopes": [Scope.FEED_HOOK_ADMIN], "actor": "command:test"} | given
    return issue_app_key(owner_name=owner, **facts)[0]


def subscribe(key: AppKey, channel: str = Channel.FEED, **given: Any) -> Subscription:
    """This function will give a key a feed or hook that has seen the whole ledger."""
    number_all_events()
    facts: dict[str, Any] = {
        "filter_type": FilterType.FROM_WORKFLOW,
        "visibility_timeout_seconds": 240,
        "retention_seconds": 345_600,
        "cursor": last_position(),
    } | given
    subscription = Subscription.objects.create(app_key=key, channel=channel, **facts)
    if channel == Channel.HOOK:
        HookEndpoint.objects.create(
            subscription=subscription, url=URL, headers=SECRET, secret=SECRET
        )
    return subscription


def queue(subscription: Subscription, order_id: str, **given: Any) -> list[QueueItem]:
    """This function will queue every event of an order and move the cursor to the ledger's end."""
    number_all_events()
    order = Order.objects.get(order_id=order_id)
    queued_at = given.pop("queued_at", datetime.now(UTC))
    entries = LedgerEntry.objects.filter(event__order=order).order_by("position")
    items = [
        QueueItem(
            subscription=subscription,
            event_id=entry.event_id,
            order=order,
            position=entry.position,
            queued_at=queued_at,
            **{"available_at": queued_at if number == 0 else None, **given},
        )
        for number, entry in enumerate(entries)
    ]
    Subscription.objects.filter(pk=subscription.pk).update(cursor=last_position())
    return QueueItem.objects.bulk_create(items)


def park(item: QueueItem, error: str = "SKU 18 is not known") -> None:
    """This function will mark an item as given up."""
    QueueItem.objects.filter(pk=item.pk).update(
        outcome=Outcome.PARKED, ended_at=datetime.now(UTC), last_error=error, attempts=20
    )


def attempt(
    subscription: Subscription, item: QueueItem | None = None, **given: Any
) -> HookAttempt:
    """This function will note a call of a hook."""
    facts: dict[str, Any] = {
        "attempted_at": datetime.now(UTC),
        "duration_ms": 84,
        "is_success": True,
        "status": 200,
        "number": HookAttempt.objects.filter(item=item).count() + 1 if item else 1,
    } | given
    return HookAttempt.objects.create(subscription=subscription, item=item, **facts)


def sample_lag(subscription: Subscription, hours: int = 20) -> None:
    """This function will note a lag that grew and was caught up again."""
    now = datetime.now(UTC)
    LagSample.objects.bulk_create(
        LagSample(
            subscription=subscription,
            sampled_at=now - timedelta(minutes=10 * step),
            open_count=(step * 7) % 40,
            oldest_seconds=float((step * 41) % 900),
        )
        for step in range(hours * 6)
    )
