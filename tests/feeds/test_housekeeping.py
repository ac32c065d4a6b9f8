"""What is forgotten every night, and what never is."""

from datetime import timedelta

import pytest
from django.db.models import F

from feeds.housekeeping import forget_history
from feeds.models import HookAttempt, LagSample, QueueItem
from oms.ops.clock import database_now
from tests.feeds.feeding import commit, make_feed, read
from tests.workflow.stories import place

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(days=31)


def test_items_that_ended_long_ago_go_and_open_ones_stay() -> None:
    feed = make_feed()
    for _ in range(3):
        place()
    old, young, still_open = read(feed)
    commit(feed, [old, young])
    QueueItem.objects.filter(pk=old.item_id).update(ended_at=F("ended_at") - LONG_AGO)
    QueueItem.objects.filter(pk=still_open.item_id).update(queued_at=F("queued_at") - LONG_AGO)
    assert forget_history()["items"] == 1
    kept = QueueItem.objects.filter(subscription=feed).values_list("pk", flat=True)
    assert set(kept) == {young.item_id, still_open.item_id}


def test_what_was_forgotten_is_not_fed_again() -> None:
    feed = make_feed()
    place()
    commit(feed, read(feed))
    QueueItem.objects.update(ended_at=F("ended_at") - LONG_AGO)
    forget_history()
    assert read(feed) == []


def test_attempts_and_samples_go_by_their_age_and_a_young_attempt_outlives_its_item() -> None:
    feed = make_feed()
    place()
    (item,) = read(feed)
    commit(feed, [item])
    QueueItem.objects.update(ended_at=F("ended_at") - LONG_AGO)
    now = database_now()
    for number, at in enumerate((now - LONG_AGO, now), start=1):
        HookAttempt.objects.create(
            subscription=feed,
            item_id=item.item_id,
            number=number,
            attempted_at=at,
            duration_ms=1,
            is_success=True,
        )
        LagSample.objects.create(subscription=feed, sampled_at=at, open_count=0, oldest_seconds=0)
    forgotten = forget_history()
    assert (forgotten["items"], forgotten["attempts"], forgotten["lag_samples"]) == (1, 1, 1)
    attempt = HookAttempt.objects.get()
    assert (attempt.attempted_at, attempt.item_id) == (now, None)
    assert LagSample.objects.get().sampled_at == now
