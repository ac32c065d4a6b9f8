"""The queue of a subscription: filled by its reader, handed out in order, committed by handle."""

from datetime import timedelta

import pytest
from django.db.models import F

from feeds import configuring, leasing
from feeds.configuring import delete_subscription
from feeds.leasing import (
    CommitResult,
    commit_items,
    end_items,
    lease_items,
    withdraw_items,
)
from feeds.models import Channel, Outcome, QueueItem, Replay, Subscription
from feeds.pulling import pull
from oms.access.models import AppKey
from oms.ops.clock import database_now
from oms.orders.ledger import NUMBERING_BATCH, NewEvent, last_position, record_events
from oms.orders.models import Order
from oms.orders.statuses import Status
from tests.feeds.feeding import (
    commit,
    drain,
    end_leases,
    make_feed,
    make_key,
    make_older,
    read,
    told,
)
from tests.workflow.stories import move_to, place, place_in

pytestmark = pytest.mark.django_db

CREATED, PENDING = Status.ORDER_CREATED, Status.PAYMENT_PENDING


def outcomes(feed: Subscription) -> list[str]:
    return list(
        QueueItem.objects.filter(subscription=feed)
        .order_by("id")
        .values_list("outcome", flat=True)
    )


def test_a_new_feed_begins_empty_and_has_what_happens_next() -> None:
    place()
    feed = make_feed()
    assert read(feed) == []
    order_id = place()
    assert told(read(feed))[0][0] == order_id


def test_only_the_statuses_of_the_filter_are_fed() -> None:
    feed = make_feed(Status.READY_FOR_HANDLING)
    order_id = place_in(Status.HANDLING)
    assert told(drain(feed)) == [(order_id, "ready-for-handling")]


def test_an_event_that_changes_no_status_is_not_fed() -> None:
    feed = make_feed()
    place_in(Status.HANDLING)
    statuses = [status for _, status in told(drain(feed))]
    assert statuses == list(dict.fromkeys(statuses))
    assert statuses[-1] == "handling"


def test_a_reader_numbers_no_more_of_a_long_backlog_than_it_has_time_for() -> None:
    feed = make_feed()
    order_pk = Order.objects.get(order_id=place()).pk
    now = database_now()
    record_events(
        [
            NewEvent(
                order_pk=order_pk,
                seq=seq,
                kind="note.added",
                actor="role:test",
                status=CREATED,
                last_status=CREATED,
                occurred_at=now,
                last_change_at=now,
            )
            for seq in range(100, 100 + NUMBERING_BATCH)
        ]
    )
    assert not pull(feed.pk, seconds=0.0)
    assert last_position() == NUMBERING_BATCH
    assert pull(feed.pk)
    assert last_position() == NUMBERING_BATCH + 1


def test_an_orders_events_are_handed_out_one_after_the_other() -> None:
    feed = make_feed()
    order_id = place_in(Status.READY_FOR_HANDLING)
    first = read(feed)
    assert len(first) == 1
    assert read(feed) == []
    commit(feed, first)
    (second,) = read(feed)
    assert second.order_id == order_id
    assert second.seq > first[0].seq


def test_events_of_different_orders_come_together_oldest_first() -> None:
    feed = make_feed()
    orders = [place() for _ in range(3)]
    assert [order_id for order_id, _ in told(read(feed))] == orders


def test_an_event_after_a_committed_one_is_available_at_once() -> None:
    feed = make_feed()
    order_id = place()
    drain(feed)
    move_to(order_id, PENDING)
    assert [item.order_id for item in read(feed)] == [order_id]


def test_an_event_behind_an_open_one_waits_also_when_it_is_pulled_later() -> None:
    feed = make_feed()
    order_id = place()
    first = read(feed)
    move_to(order_id, PENDING)
    assert read(feed) == []
    commit(feed, first)
    assert read(feed)[0].order_id == order_id


def test_what_is_not_committed_comes_back_after_its_lease_under_the_next_attempt() -> None:
    feed = make_feed()
    place()
    (first,) = read(feed)
    end_leases(feed)
    (again,) = read(feed)
    assert (first.attempt, again.attempt) == (1, 2)
    assert again.event_pk == first.event_pk


def test_a_lease_ends_after_the_visibility_timeout() -> None:
    feed = make_feed()
    place()
    assert len(read(feed)) == 1
    hidden = timedelta(seconds=feed.visibility_timeout_seconds)
    assert lease_items(feed.pk, limit=10, at=database_now() + hidden - timedelta(seconds=5)) == []
    assert len(lease_items(feed.pk, limit=10, at=database_now() + hidden)) == 1


def test_committing_twice_counts_once() -> None:
    feed = make_feed()
    place()
    items = read(feed)
    assert commit(feed, items) == CommitResult(1, 0, 0)
    assert commit(feed, items) == CommitResult(0, 1, 0)
    assert outcomes(feed) == ["committed"]


def test_an_item_that_was_never_handed_out_is_not_committed() -> None:
    feed = make_feed()
    place()
    pull(feed.pk)
    item = QueueItem.objects.get(subscription=feed)
    assert commit_items(feed.pk, [item.pk]) == CommitResult(0, 0, 1)
    assert outcomes(feed) == [""]


def test_another_subscriptions_item_is_not_committed() -> None:
    feed, other = make_feed(), make_feed()
    place()
    items = read(feed)
    assert commit(other, items) == CommitResult(0, 0, 1)
    assert outcomes(feed) == [""]


def test_a_key_sees_only_orders_of_its_sellers() -> None:
    feed = make_feed(key=make_key(seller_ids=["2"]))
    place(seller_id="1")
    own = place(seller_id="2")
    assert {order_id for order_id, _ in told(drain(feed))} == {own}


def test_a_key_sees_only_orders_of_its_affiliates() -> None:
    feed = make_feed(key=make_key(affiliate_ids=["MKP"]))
    place()
    assert drain(feed) == []


def test_what_is_handed_out_a_hundred_times_is_parked_and_the_next_goes_on() -> None:
    feed = make_feed()
    order_id = place()
    move_to(order_id, PENDING)
    read(feed)
    QueueItem.objects.filter(subscription=feed, attempts=1).update(attempts=100)
    end_leases(feed)
    (following,) = read(feed)
    parked = QueueItem.objects.get(subscription=feed, outcome=Outcome.PARKED)
    assert parked.last_error == "handed out 100 times without a commit"
    assert following.seq > 1


def test_a_late_commit_of_a_parked_item_still_counts() -> None:
    feed = make_feed()
    place()
    items = read(feed)
    assert end_items(feed.pk, [items[0].item_id], Outcome.PARKED, error="why") == 1
    assert commit(feed, items) == CommitResult(1, 0, 0)


def test_what_is_older_than_the_retention_expires_and_is_kept_as_such() -> None:
    feed = make_feed()
    order_id = place()
    move_to(order_id, PENDING)
    read(feed)
    make_older(feed, timedelta(seconds=feed.retention_seconds))
    assert read(feed) == []
    assert set(outcomes(feed)) == {"expired"}


def test_expiry_gives_the_next_event_of_the_order_its_turn() -> None:
    feed = make_feed()
    order_id = place()
    (first,) = read(feed)
    move_to(order_id, PENDING)
    pull(feed.pk)
    QueueItem.objects.filter(pk=first.item_id).update(
        queued_at=F("queued_at") - timedelta(seconds=feed.retention_seconds)
    )
    (following,) = read(feed)
    assert following.order_id == order_id
    assert following.seq > first.seq


def test_a_changed_filter_keeps_the_queue_and_matches_only_what_comes_after() -> None:
    key = make_key()
    feed = make_feed(CREATED, key=key)
    before = place_in(PENDING)
    feed = make_feed(PENDING, key=key)
    after = place_in(PENDING)
    assert told(drain(feed)) == [(before, CREATED), (after, PENDING)]


def test_a_deleted_feed_withdraws_what_is_open_and_a_new_one_begins_afresh() -> None:
    key = make_key()
    feed = make_feed(key=key)
    place()
    items = read(feed)
    assert delete_subscription(app_key_id=key.pk, channel=Channel.FEED, actor="user:ann")
    assert outcomes(feed) == ["withdrawn"]
    assert commit(feed, items) == CommitResult(0, 0, 1)
    place()
    again = make_feed(key=key)
    assert again.pk == feed.pk
    assert read(again) == []


def test_what_a_deleted_feed_still_had_open_is_withdrawn_by_the_next_call() -> None:
    key = make_key()
    feed = make_feed(CREATED, key=key)
    place()
    pull(feed.pk)
    Subscription.objects.filter(pk=feed.pk).update(is_active=False)
    assert not delete_subscription(app_key_id=key.pk, channel=Channel.FEED, actor="user:ann")
    assert outcomes(feed) == ["withdrawn"]


def test_a_long_queue_is_withdrawn_in_batches_and_an_active_one_not_at_all() -> None:
    feed = make_feed(CREATED)
    for _ in range(5):
        place()
    pull(feed.pk)
    assert withdraw_items(feed.pk) == 0
    Subscription.objects.filter(pk=feed.pk).update(is_active=False)
    assert withdraw_items(feed.pk, batch=2) == 5
    assert outcomes(feed) == ["withdrawn"] * 5


def test_a_replay_of_a_stretch_gives_what_was_committed_again_marked_as_such() -> None:
    feed = make_feed(CREATED)
    orders = [place() for _ in range(3)]
    drain(feed)
    replay = Replay.objects.create(
        subscription=feed,
        from_position=1,
        until_position=last_position(),
        next_position=1,
        requested_by="user:ann",
    )
    again = drain(feed)
    assert [order_id for order_id, _ in told(again)] == orders
    assert all(item.is_replay for item in again)
    replay.refresh_from_db()
    assert (replay.queued_count, replay.finished_at is not None) == (3, True)


def test_a_replay_of_orders_gives_all_their_events_whatever_the_filter() -> None:
    feed = make_feed(Status.INVOICED)
    order_id = place_in(PENDING)
    place()
    drain(feed)
    Replay.objects.create(
        subscription=feed,
        from_position=1,
        until_position=last_position(),
        next_position=1,
        order_ids=[order_id],
        requested_by="user:ann",
    )
    again = drain(feed)
    assert {item.order_id for item in again} == {order_id}
    assert [item.seq for item in again] == list(range(1, len(again) + 1))


def test_every_status_of_a_flow_is_fed_in_order() -> None:
    feed = make_feed()
    order_id = place_in(Status.INVOICED)
    drained = drain(feed)
    assert {item.order_id for item in drained} == {order_id}
    assert [item.seq for item in drained] == sorted(item.seq for item in drained)
    assert drained[-1].status == Status.INVOICED


def test_what_the_key_may_not_see_any_more_is_withdrawn_and_not_handed_out() -> None:
    feed = make_feed(CREATED)
    place(seller_id="1")
    own = place(seller_id="2")
    pull(feed.pk)
    AppKey.objects.filter(pk=feed.app_key_id).update(seller_ids=["2"])
    assert told(drain(feed)) == [(own, CREATED)]
    assert outcomes(feed) == ["withdrawn", "committed"]


def test_a_queue_of_worn_items_is_parked_over_several_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leasing, "MOST_ROUNDS", 3)
    feed = make_feed(CREATED)
    orders = [place() for _ in range(5)]
    pull(feed.pk)
    first_four = QueueItem.objects.filter(subscription=feed).order_by("id")[:4]
    QueueItem.objects.filter(pk__in=first_four.values("pk")).update(attempts=100)
    assert read(feed, limit=1) == []
    assert outcomes(feed).count("parked") == 4
    assert told(read(feed, limit=1)) == [(orders[4], CREATED)]


def test_a_configuration_changes_while_a_replay_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = make_key()
    feed = make_feed(CREATED, key=key)
    order_id = place_in(PENDING)
    drain(feed)
    Replay.objects.create(
        subscription=feed,
        from_position=1,
        until_position=last_position(),
        next_position=1,
        requested_by="user:ann",
    )
    monkeypatch.setattr(configuring, "PATIENCE_SECONDS", 0.0)
    feed = make_feed(PENDING, key=key)
    assert told(drain(feed)) == [(order_id, PENDING)]
