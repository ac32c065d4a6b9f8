"""A queue filtered by expression: every version of an order is looked at, none skipped (KI 832400)."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction

from feeds.configuring import QueueTerms, delete_subscription, set_subscription
from feeds.evaluator import processes
from feeds.expressions import EvaluatorUnavailable, ExpressionRefused
from feeds.filters import EventFilter
from feeds.hooks.filling import fill_queues
from feeds.models import Channel, FilterType, FiredOrder, QueueItem, Replay, Subscription
from feeds.pulling import pull
from oms.access.models import AppKey
from oms.orders.ledger import last_position
from oms.orders.locks import lock_order
from oms.orders.models import SnapshotDemand
from oms.orders.statuses import Status
from tests.feeds.feeding import drain, make_feed, make_key, read, told
from tests.feeds.test_evaluator import DOUBLED_LISTS
from tests.workflow.stories import ACTOR, events_of, move_to, place, place_in
from workflow.moves import Change, write_change

pytestmark = pytest.mark.django_db

PENDING = 'status = "payment-pending"'


def feed_by(
    expression: str, *, key: AppKey | None = None, fires_once: bool = False
) -> Subscription:
    return make_feed(
        key=key,
        event_filter=EventFilter(
            type=FilterType.FROM_ORDERS, expression=expression, fires_once=fires_once
        ),
    )


def change_without_moving(order_id: str) -> None:
    with transaction.atomic():
        write_change(Change(order=lock_order(order_id), actor=ACTOR, kind="note.added"))


def ask_again(feed: Subscription, **given: Any) -> None:
    """This function will ask for everything since the ledger's beginning."""
    Replay.objects.create(
        subscription=feed,
        from_position=1,
        until_position=last_position(),
        next_position=1,
        requested_by=ACTOR,
        **given,
    )


def make_hook_queue(event_filter: EventFilter) -> Subscription:
    """This function will make a hook without its address: what fills its queue needs none."""
    return set_subscription(
        app_key_id=make_key().pk,
        channel=Channel.HOOK,
        event_filter=event_filter,
        queue=QueueTerms(),
        actor=ACTOR,
    )


@contextmanager
def no_evaluator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This function will let no evaluator start until the block ends."""
    processes._children.end_all()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nowhere/python")
        yield


def test_a_version_that_the_order_left_before_the_read_is_still_told() -> None:
    feed = feed_by(PENDING)
    order_id = place_in(Status.HANDLING)
    assert told(drain(feed)) == [(order_id, "payment-pending")]


def test_every_change_counts_not_only_those_of_the_status() -> None:
    feed = feed_by("value > 0")
    order_id = place()
    change_without_moving(order_id)
    change_without_moving(order_id)
    assert [item.seq for item in drain(feed)] == [event.seq for event in events_of(order_id)]


def test_an_order_that_fired_once_is_not_told_again() -> None:
    feed = feed_by("value > 0", fires_once=True)
    first = place_in(Status.PAYMENT_PENDING)
    second = place()
    assert [order_id for order_id, _ in told(drain(feed))] == [first, second]
    move_to(first, Status.HANDLING)
    assert drain(feed) == []


def test_another_expression_fires_once_again() -> None:
    key = make_key()
    feed = feed_by("value > 0", key=key, fires_once=True)
    order_id = place()
    drain(feed)
    feed = feed_by("value > 1", key=key, fires_once=True)
    move_to(order_id, Status.PAYMENT_PENDING)
    assert [item.order_id for item in drain(feed)] == [order_id]


def test_the_same_expression_configured_again_forgets_nothing() -> None:
    key = make_key()
    feed = feed_by("value > 0", key=key, fires_once=True)
    order_id = place()
    drain(feed)
    feed = feed_by("value > 0", key=key, fires_once=True)
    move_to(order_id, Status.PAYMENT_PENDING)
    assert drain(feed) == []
    assert FiredOrder.objects.filter(subscription=feed).count() == 1


def test_a_feed_that_is_made_again_fires_again_for_what_it_never_told() -> None:
    key = make_key()
    feed = feed_by("value > 0", key=key, fires_once=True)
    order_id = place()
    pull(feed.pk)
    delete_subscription(app_key_id=key.pk, channel=Channel.FEED, actor=ACTOR)
    feed = feed_by("value > 0", key=key, fires_once=True)
    move_to(order_id, Status.PAYMENT_PENDING)
    assert [item.order_id for item in drain(feed)] == [order_id]


def test_what_was_leased_is_handed_out_although_nothing_more_can_be_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed = feed_by("value > 0")
    first = place()
    pull(feed.pk)
    place()
    with no_evaluator(monkeypatch):
        assert {order_id for order_id, _ in told(read(feed))} == {first}
        with pytest.raises(EvaluatorUnavailable):
            read(feed)
    assert QueueItem.objects.filter(subscription=feed, attempts__gt=1).count() == 0


def test_an_expression_that_cannot_be_judged_holds_up_no_other_hook(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_expression = EventFilter(type=FilterType.FROM_ORDERS, expression="value > 0")
    hooks = [make_hook_queue(by_expression), make_hook_queue(EventFilter())]
    place()
    with no_evaluator(monkeypatch):
        assert fill_queues([hook.pk for hook in hooks], lambda: False)
    assert not QueueItem.objects.filter(subscription=hooks[0]).exists()
    assert QueueItem.objects.filter(subscription=hooks[1]).exists()


def test_an_expression_that_fails_on_some_orders_lets_the_others_through_and_is_counted() -> None:
    feed = feed_by("$number(marketplaceOrderId) > 0")
    failing = place(marketplace_order_id="no number")
    good = place()
    assert {order_id for order_id, _ in told(drain(feed))} == {good}
    feed.refresh_from_db()
    assert feed.filter_error_count == len(events_of(failing))
    assert feed.last_filter_error
    assert feed.last_filter_error_at is not None


def test_a_replay_by_expression_gives_what_matched_again() -> None:
    feed = feed_by(PENDING)
    order_id = place_in(Status.HANDLING)
    drain(feed)
    ask_again(feed)
    again = drain(feed)
    assert told(again) == [(order_id, "payment-pending")]
    assert again[0].is_replay


def test_a_replay_of_what_fires_once_gives_each_order_once() -> None:
    feed = feed_by("value > 0", fires_once=True)
    order_ids = [place_in(Status.PAYMENT_PENDING), place_in(Status.PAYMENT_PENDING)]
    drain(feed)
    ask_again(feed)
    assert [order_id for order_id, _ in told(drain(feed))] == order_ids


def test_a_change_from_statuses_to_an_expression_loses_nothing_on_either_side() -> None:
    key = make_key()
    feed = make_feed(Status.ORDER_CREATED, key=key)
    before = place_in(Status.PAYMENT_PENDING)
    feed = feed_by(PENDING, key=key)
    after = place_in(Status.HANDLING)
    assert told(drain(feed)) == [(before, "order-created"), (after, "payment-pending")]


def test_an_expression_that_may_not_be_kept_any_more_can_be_replaced_and_nothing_is_lost() -> None:
    key = make_key()
    feed = feed_by(PENDING, key=key)
    Subscription.objects.filter(pk=feed.pk).update(expression='$eval("status")')
    order_id = place()
    with pytest.raises(ExpressionRefused):
        read(feed)
    feed.refresh_from_db()
    assert "May not be kept any more" in feed.last_filter_error
    assert "$eval" in feed.last_filter_error
    assert (feed.filter_error_count, feed.last_filter_error_at is None) == (0, False)
    feed = make_feed(Status.ORDER_CREATED, key=key)
    assert told(drain(feed)) == [(order_id, "order-created")]
    assert (feed.last_filter_error, feed.last_filter_error_at) == ("", None)


def test_versions_are_kept_as_long_as_somebody_asks_for_them() -> None:
    first, second = make_key(), make_key()
    feed_by(PENDING, key=first)
    feed_by(PENDING, key=second)
    assert SnapshotDemand.objects.count() == 2
    make_feed(Status.INVOICED, key=first)
    assert SnapshotDemand.objects.count() == 1
    delete_subscription(app_key_id=second.pk, channel=Channel.FEED, actor=ACTOR)
    assert SnapshotDemand.objects.count() == 0


@pytest.mark.parametrize("is_replay", [False, True])
def test_an_expression_that_takes_all_its_time_makes_nobody_wait_for_a_whole_slice(
    is_replay: bool,
) -> None:
    feed = feed_by("value > 0")
    orders = [place() for _ in range(40)]
    if is_replay:
        drain(feed)
        ask_again(feed)
    # It may have been harmless on the orders that it was tried on.
    Subscription.objects.filter(pk=feed.pk).update(expression=DOUBLED_LISTS)
    begun = time.monotonic()
    assert not pull(feed.pk, seconds=0.0)
    assert time.monotonic() - begun < 8.0
    Subscription.objects.filter(pk=feed.pk).update(expression="value > 0")
    left = [order_id for order_id, _ in told(drain(feed))]
    assert 0 < len(left) < 40
    assert left == orders[-len(left) :]


def test_a_stretch_longer_than_a_slice_is_pulled_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feeds.slices.SLICE_OF_EXPRESSION", 3)
    monkeypatch.setattr("feeds.slices.SLICE", 2)
    by_expression, by_status = feed_by(PENDING), make_feed(Status.PAYMENT_PENDING)
    order_ids = [place_in(Status.HANDLING) for _ in range(3)]
    for feed in (by_expression, by_status):
        assert pull(feed.pk, seconds=60)
        assert [order_id for order_id, _ in told(drain(feed))] == order_ids
        ask_again(feed)
        assert [order_id for order_id, _ in told(drain(feed))] == order_ids
