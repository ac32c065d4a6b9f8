"""A key that was away for longer than its feed keeps items."""

from datetime import timedelta

import pytest

from feeds.models import Subscription
from feeds.slices import queue_new_events
from oms.ops.clock import database_now
from oms.orders.ledger import NewEvent, last_position, number_all_events, record_events
from oms.orders.models import Order
from tests.feeds.feeding import make_feed, read, told
from tests.workflow.stories import place

pytestmark = pytest.mark.django_db(transaction=True)


def happened_long_ago(order_id: str, feed: Subscription, *, count: int) -> None:
    """This function will add events that the feed would not keep any more."""
    at = database_now() - timedelta(seconds=feed.retention_seconds, days=30)
    record_events(
        [
            NewEvent(
                order_pk=Order.objects.get(order_id=order_id).pk,
                seq=seq,
                kind="order.moved",
                actor="role:test",
                status="handling",
                last_status="invoice",
                occurred_at=at + timedelta(seconds=seq),
                last_change_at=None,
            )
            for seq in range(2, count + 2)
        ]
    )
    number_all_events()


def test_what_is_too_old_is_passed_over_in_one_step() -> None:
    feed = make_feed()
    happened_long_ago(place(), feed, count=40)
    recent = place()
    Subscription.objects.filter(pk=feed.pk).update(cursor=1)
    number_all_events()
    passed = queue_new_events(feed.pk)
    assert (passed.read, passed.queued) == (40, 0)
    feed.refresh_from_db()
    assert feed.cursor == last_position() - 1 == 41
    assert told(read(feed)) == [(recent, "order-created")]


def test_a_ledger_that_is_too_old_as_a_whole_is_passed_over_to_its_end() -> None:
    feed = make_feed()
    happened_long_ago(place(), feed, count=40)
    Subscription.objects.filter(pk=feed.pk).update(cursor=1)
    assert read(feed) == []
    feed.refresh_from_db()
    assert feed.cursor == last_position() == 41
