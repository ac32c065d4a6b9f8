"""What is told of a queue and of a subscription that looks forgotten."""

from datetime import timedelta

import pytest

from feeds.leasing import end_items
from feeds.models import Outcome, Subscription
from feeds.refusals import FeedNotConfigured
from feeds.selectors import active_subscription, is_idle, queue_facts
from oms.ops.clock import database_now
from tests.feeds.feeding import commit, make_feed, make_key, read
from tests.workflow.stories import place

pytestmark = pytest.mark.django_db


def test_a_queue_is_counted_by_what_is_open_and_parked() -> None:
    feed = make_feed()
    for _ in range(5):
        place()
    first, second, *_ = read(feed, limit=4)
    commit(feed, [first])
    end_items(feed.pk, [second.item_id], Outcome.PARKED, error="no")
    facts = queue_facts(feed.pk)
    assert (facts.open_count, facts.parked_count) == (3, 1)
    assert 0 < facts.oldest_seconds < 60


def test_an_empty_queue_has_no_age() -> None:
    facts = queue_facts(make_feed().pk)
    assert (facts.open_count, facts.oldest_seconds) == (0, 0.0)


def test_a_key_without_a_feed_has_none() -> None:
    with pytest.raises(FeedNotConfigured):
        active_subscription(make_key().pk)


def aged(feed: Subscription, **ages: timedelta | None) -> Subscription:
    """This function will set times of a feed to so long ago."""
    now = database_now()
    times = {name: None if age is None else now - age for name, age in ages.items()}
    Subscription.objects.filter(pk=feed.pk).update(**times)
    feed.refresh_from_db()
    return feed


HOUR, WEEK = timedelta(hours=1), timedelta(days=7)


@pytest.mark.parametrize(
    ("configured", "read_at", "queued", "expected"),
    [
        (HOUR, None, None, False),
        (WEEK, HOUR, HOUR, False),
        (WEEK, None, HOUR, True),
        (WEEK, WEEK, HOUR, True),
        (WEEK, HOUR, None, True),
        (WEEK, HOUR, WEEK, True),
        (HOUR, WEEK, WEEK, False),
    ],
)
def test_a_feed_is_idle_when_nobody_reads_it_or_nothing_matches(
    configured: timedelta, read_at: timedelta | None, queued: timedelta | None, expected: bool
) -> None:
    feed = aged(make_feed(), configured_at=configured, last_read_at=read_at, last_queued_at=queued)
    assert is_idle(feed, database_now()) is expected


def test_an_idle_feed_is_as_it_was() -> None:
    feed = aged(make_feed(), configured_at=timedelta(days=365), last_read_at=None)
    order_id = place()
    assert [item.order_id for item in read(feed)] == [order_id]
