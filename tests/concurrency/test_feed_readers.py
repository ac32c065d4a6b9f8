"""Many readers of one key at once, while orders move and configurations change."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connection
from django.db.models import F

from feeds.hooks.recording import Fate, Result, record
from feeds.leasing import HandedOut, commit_items
from feeds.locking import FEEDS_LOCK_CLASS
from feeds.models import QueueItem, Subscription
from feeds.pulling import pull
from oms.orders.models import OrderEvent
from oms.orders.statuses import Flow, Status
from tests.concurrency.sessions import Session, wait_until_blocked
from tests.feeds.feeding import commit, drain, end_leases, make_feed, make_key, read
from tests.workflow.stories import move, path, place, place_in

pytestmark = pytest.mark.django_db(transaction=True)

READERS = 20
WAY = path(Flow.COMPLETE, Status.ORDER_CREATED, Status.READY_FOR_HANDLING)


@contextmanager
def in_threads(count: int, act: Callable[[int], None]) -> Iterator[None]:
    """This context will run an act in threads with connections of their own, and wait for them."""

    def run(number: int) -> None:
        try:
            act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(run, number) for number in range(count)]
        yield
        for future in running:
            future.result(90)


def status_events(order_ids: list[str]) -> Counter[tuple[str, int]]:
    """This function will count what a feed of every status must give, by order and version."""
    events = OrderEvent.objects.filter(order__order_id__in=order_ids).select_related("order")
    return Counter(
        (event.order.order_id, event.seq) for event in events if event.status != event.last_status
    )


def assert_nothing_waits_for_nobody(feed: Subscription) -> None:
    """This function will check that each order with open items has one that can be handed out."""
    waiting = QueueItem.objects.filter(subscription=feed, outcome="")
    heads: Counter[int] = Counter()
    for order_pk, available_at in waiting.values_list("order_id", "available_at"):
        heads[order_pk] += available_at is not None
    assert set(heads.values()) <= {1}


def test_twenty_readers_of_one_key_never_share_a_lease() -> None:
    feed = make_feed()
    orders = [place() for _ in range(100)]
    leased: list[list[HandedOut]] = [[] for _ in range(READERS)]
    start = threading.Barrier(READERS)

    def take(number: int) -> None:
        start.wait(90)
        while items := read(feed, limit=3):
            leased[number] += items

    with in_threads(READERS, take):
        pass
    counted = Counter(item.item_id for items in leased for item in items)
    assert len(counted) == len(orders)
    assert set(counted.values()) == {1}
    assert set(QueueItem.objects.values_list("attempts", flat=True)) == {1}


def test_orders_that_move_while_many_read_and_commit_reach_them_once_and_in_order() -> None:
    feed = make_feed()
    order_ids = [place() for _ in range(12)]
    got: list[HandedOut] = []
    is_over = threading.Event()

    def consume(number: int) -> None:
        while True:
            last_round = is_over.is_set()
            items = read(feed, limit=5)
            got.extend(items)
            if items:
                commit(feed, items)
            elif last_round:
                return

    with in_threads(6, consume):
        for action in WAY:
            for order_id in order_ids:
                move(order_id, action)
        is_over.set()
    counted = Counter((item.order_id, item.seq) for item in got)
    assert counted == status_events(order_ids)
    for order_id in order_ids:
        ended = QueueItem.objects.filter(order__order_id=order_id).order_by("position")
        times = [at for at in ended.values_list("ended_at", flat=True) if at is not None]
        assert times == sorted(times)


def test_a_race_of_commit_and_pull_leaves_nothing_waiting_for_ever() -> None:
    feed = make_feed()
    order_ids = [place() for _ in range(8)]

    def commit_each(number: int) -> None:
        for _ in range(40):
            commit(feed, read(feed, limit=1))

    def pull_each(number: int) -> None:
        for _ in range(40):
            pull(feed.pk)

    with in_threads(3, commit_each), in_threads(2, pull_each):
        for action in WAY:
            for order_id in order_ids:
                move(order_id, action)
                assert_nothing_waits_for_nobody(feed)
    assert_nothing_waits_for_nobody(feed)
    drain(feed)
    ended = QueueItem.objects.filter(subscription=feed).values_list(
        "order__order_id", "event__seq"
    )
    assert Counter(ended) == status_events(order_ids)


def test_a_commit_waits_for_the_pull_that_may_have_overlooked_it() -> None:
    feed = make_feed()
    order_id = place()
    items = read(feed)
    move(order_id, WAY[0])
    puller, committer = Session(), Session()
    pid = committer.pid
    try:
        puller.begin(f"SELECT pg_advisory_xact_lock({FEEDS_LOCK_CLASS}, {feed.pk})")
        waiting = committer.start(commit, feed, items)
        wait_until_blocked(pid)
        puller.commit()
        assert waiting.result(90).committed == 1
    finally:
        puller.close()
        committer.close()
    assert len(read(feed)) == 1


def record_delivery(feed: Subscription, items: list[HandedOut]) -> int:
    """This function will end items as a dispatcher of hooks does, and return how many counted."""
    delivered = [
        Result(
            item_id=item.item_id,
            subscription_id=feed.pk,
            attempt=item.attempt,
            fate=Fate.DELIVERED,
            status=200,
        )
        for item in items
    ]
    return len(record(delivered).item_ids)


def commit_by_handle(feed: Subscription, items: list[HandedOut]) -> int:
    return commit(feed, items).committed


@pytest.mark.parametrize("end", [commit_by_handle, record_delivery])
def test_two_ends_of_one_order_side_by_side_still_give_the_next_event_its_turn(
    end: Callable[[Subscription, list[HandedOut]], int],
) -> None:
    """After an item was opened again by hand, two of an order may be under lease at once."""
    feed = make_feed()
    order_id = place()
    (first,) = read(feed)
    commit(feed, [first])
    move(order_id, WAY[0])
    (second,) = read(feed)
    move(order_id, WAY[1])
    pull(feed.pk)
    reopened = QueueItem.objects.filter(pk=first.item_id)
    reopened.update(outcome="", ended_at=None, available_at=F("queued_at"))
    (again,) = read(feed)
    one, other = Session(), Session()
    pid = other.pid
    try:
        one.begin()
        assert one.call(end, feed, [again]) == 1
        waiting = other.start(end, feed, [second])
        wait_until_blocked(pid)
        one.commit()
        assert waiting.result(90) == 1
    finally:
        one.close()
        other.close()
    assert len(read(feed)) == 1


def test_commits_of_the_same_items_in_any_order_end_each_of_them_once() -> None:
    feed = make_feed()
    for _ in range(30):
        place()
    items = [item.item_id for item in read(feed, limit=30)]
    committed: list[int] = []

    def commit_shuffled(number: int) -> None:
        mixed = random.Random(number).sample(items, len(items))
        committed.append(commit_items(feed.pk, mixed).committed)

    with in_threads(8, commit_shuffled):
        pass
    assert sum(committed) == len(items)


def test_a_filter_that_changes_while_events_flow_misses_none_after_its_answer() -> None:
    key = make_key()
    feed = make_feed(Status.INVOICED, key=key)
    after: list[str] = []

    def place_on(number: int) -> None:
        for _ in range(15):
            place_in(Status.READY_FOR_HANDLING)

    with in_threads(2, place_on):
        for turn in range(10):
            make_feed(Status.PAYMENT_PENDING if turn % 2 else Status.INVOICED, key=key)
            if turn % 2:
                after.append(place_in(Status.PAYMENT_PENDING))
    told_of = {item.order_id for item in drain(feed)}
    assert set(after) <= told_of


def test_leases_that_end_while_a_late_commit_comes_are_committed_once() -> None:
    feed = make_feed()
    for _ in range(20):
        place()
    items = read(feed, limit=20)
    end_leases(feed)
    again: list[HandedOut] = []

    def read_again(number: int) -> None:
        again.extend(read(feed, limit=5))

    with in_threads(4, read_again):
        commit(feed, items)
    assert len({item.item_id for item in again}) == len(again)
    commit(feed, again)
    assert set(QueueItem.objects.values_list("outcome", flat=True)) == {"committed"}
