"""A key with its feed, read and committed in-process; items made older, or handed out often."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from feeds.configuring import QueueTerms, set_subscription
from feeds.filters import EventFilter
from feeds.leasing import CommitResult, HandedOut, commit_items
from feeds.models import Channel, QueueItem, Subscription
from feeds.reading import read_feed
from oms.access.keys import issue_app_key
from oms.access.models import AppKey
from oms.access.scopes import Scope
from oms.orders.ledger import NewEvent, record_events
from oms.orders.models import Order
from oms.orders.statuses import Status
from oms.orders.writing import insert_orders
from tests.factories import order_draft


def import_order(**given: Any) -> str:
    """This function will leave an order as an import does: its event is its history's only one."""
    draft = order_draft(status=Status.INVOICED, is_imported=True, **given)
    with transaction.atomic():
        (order_pk,) = insert_orders([draft])
        record_events(
            [
                NewEvent(
                    order_pk=order_pk,
                    seq=1,
                    kind="order.imported",
                    actor="command:import",
                    status=draft.status,
                    last_status="",
                    occurred_at=draft.last_change_at,
                    last_change_at=None,
                    parts_changed=True,
                )
            ]
        )
        Order.objects.filter(pk=order_pk).update(version=1)
    return draft.order_id


def make_key(**given: Any) -> AppKey:
    key, _ = issue_app_key(
        owner_name="ERP", scopes=[Scope.FEED_HOOK_ADMIN], actor="user:ann", **given
    )
    return key


def make_feed(
    *statuses: Status, key: AppKey | None = None, event_filter: EventFilter | None = None
) -> Subscription:
    """This function will make a feed of these statuses (of all without one), or change it."""
    return set_subscription(
        app_key_id=(key or make_key()).pk,
        channel=Channel.FEED,
        event_filter=event_filter or EventFilter(statuses=tuple(statuses)),
        queue=QueueTerms(),
        actor="user:ann",
    )


def read(feed: Subscription, limit: int = 10) -> list[HandedOut]:
    return read_feed(feed.app_key_id, limit=limit)


def commit(feed: Subscription, items: Iterable[HandedOut]) -> CommitResult:
    return commit_items(feed.pk, [item.item_id for item in items])


def told(items: Iterable[HandedOut]) -> list[tuple[str, str]]:
    """This function will name what was handed out: order and status."""
    return [(item.order_id, item.status) for item in items]


def drain(feed: Subscription, limit: int = 10) -> list[HandedOut]:
    """This function will read and commit until nothing comes any more."""
    drained: list[HandedOut] = []
    while items := read(feed, limit):
        drained += items
        commit(feed, items)
    return drained


def end_leases(feed: Subscription) -> None:
    """This function will let the visibility timeout of everything leased pass."""
    leased = QueueItem.objects.filter(subscription=feed, outcome="", leased_at__isnull=False)
    leased.update(available_at=F("queued_at"))


def make_older(feed: Subscription, by: timedelta) -> None:
    """This function will make everything open as old as if `by` had gone by."""
    QueueItem.objects.filter(subscription=feed, outcome="").update(
        queued_at=F("queued_at") - by, available_at=F("available_at") - by
    )
