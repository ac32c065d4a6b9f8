"""
The proof of the queue: whatever orders, readers and configurations do, in any order.

Each feed is compared with a list kept in Python: nothing is lost, nothing comes that was not asked
for, the events of an order come one after the other, and what is committed never comes again.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from feeds.configuring import delete_subscription
from feeds.handles import Handle, write_handles
from feeds.leasing import HandedOut, end_items
from feeds.models import Channel, Outcome, QueueItem, Replay, Subscription
from feeds.pulling import pull
from feeds.reading import commit_handles, read_feed
from feeds.selectors import queue_facts
from oms.access.models import AppKey
from oms.orders.ledger import last_position, number_all_events
from oms.orders.locks import lock_order
from oms.orders.models import OrderEvent
from oms.orders.statuses import Flow, Status
from tests.feeds.feeding import end_leases, make_feed, make_key, make_older
from tests.workflow.stories import ACTOR, move, path, place
from workflow.moves import Change, write_change

FEEDS = 2
WAY = path(Flow.COMPLETE, Status.ORDER_CREATED, Status.INVOICED)
FILTERS = [
    [],
    [Status.PAYMENT_PENDING],
    [Status.ORDER_CREATED, Status.WINDOW_TO_CANCEL, Status.READY_FOR_HANDLING, Status.INVOICED],
]
any_feed = st.integers(0, FEEDS - 1)
any_number = st.integers(0, 30)
counts: Counter[str] = Counter()
lots = st.sampled_from([1, 2, 3, 10, 1000])


@dataclass(eq=False)
class Expected:
    """An item that a queue must have: open until it ends, leased while somebody has it."""

    event_pk: int
    order_pk: int
    is_replay: bool = False
    is_open: bool = True
    is_leased: bool = False
    is_withdrawn: bool = False
    item_id: int | None = None


@dataclass(eq=False)
class Feed:
    """What one key's feed should hold, in the order of its queue."""

    key: AppKey
    subscription: Subscription
    statuses: list[Status] = field(default_factory=list)
    is_active: bool = True
    items: list[Expected] = field(default_factory=list)
    handed_out: list[HandedOut] = field(default_factory=list)

    def takes(self, event: OrderEvent) -> bool:
        is_move = event.status != event.last_status
        return self.is_active and is_move and (not self.statuses or event.status in self.statuses)

    def heads(self) -> list[Expected]:
        """The first open item of each order: the only one that may be handed out."""
        first: dict[int, Expected] = {}
        for item in self.items:
            if item.is_open:
                first.setdefault(item.order_pk, item)
        return list(first.values())

    def free(self) -> list[Expected]:
        return [item for item in self.heads() if not item.is_leased]

    def end(self, item: Expected) -> None:
        item.is_open = item.is_leased = False


class QueueMachine(RuleBasedStateMachine):
    """Each example has keys and orders of its own, above the positions that others left."""

    @initialize()
    def start(self) -> None:
        number_all_events()
        self.steps: dict[str, int] = {}
        self.events: list[OrderEvent] = []
        keys = [make_key() for _ in range(FEEDS)]
        self.feeds = [Feed(key, make_feed(key=key)) for key in keys]
        self.first_position = last_position() + 1
        for _ in range(2):
            self.place_order()

    # Orders

    @precondition(lambda self: len(self.steps) < 4)
    @rule()
    def place_order(self) -> None:
        order_id = place()
        self.steps[order_id] = 0
        self.learn(order_id, after=0)

    @precondition(lambda self: self.steps)
    @rule(number=any_number, moves=st.integers(1, 4))
    def advance(self, number: int, moves: int) -> None:
        order_id = sorted(self.steps)[number % len(self.steps)]
        for _ in range(moves):
            if self.steps[order_id] < len(WAY):
                seen = self.last_seq(order_id)
                move(order_id, WAY[self.steps[order_id]])
                self.steps[order_id] += 1
                self.learn(order_id, after=seen)

    @precondition(lambda self: self.steps)
    @rule(number=any_number)
    def change_without_moving(self, number: int) -> None:
        order_id = sorted(self.steps)[number % len(self.steps)]
        seen = self.last_seq(order_id)
        with transaction.atomic():
            write_change(Change(order=lock_order(order_id), actor=ACTOR, kind="note.added"))
        self.learn(order_id, after=seen)

    def last_seq(self, order_id: str) -> int:
        return OrderEvent.objects.filter(order__order_id=order_id).count()

    def learn(self, order_id: str, *, after: int) -> None:
        for event in OrderEvent.objects.filter(order__order_id=order_id, seq__gt=after).order_by(
            "seq"
        ):
            self.events.append(event)
            for feed in self.feeds:
                if feed.takes(event):
                    feed.items.append(Expected(event.pk, event.order_id))
                    counts["queued"] += 1

    # Readers

    @rule(number=any_feed, limit=lots)
    def read(self, number: int, limit: int) -> None:
        feed = self.feeds[number]
        if not feed.is_active:
            return
        free = feed.free()
        items = read_feed(feed.key.pk, limit=limit)
        assert len(items) == min(limit, len(free))
        self.take(feed, items, free)

    def take(self, feed: Feed, items: list[HandedOut], free: list[Expected]) -> None:
        for item in items:
            (expected,) = (one for one in free if one.order_pk == item.order_pk)
            assert (expected.event_pk, expected.is_replay) == (item.event_pk, item.is_replay)
            assert expected.item_id in (None, item.item_id)
            expected.item_id, expected.is_leased = item.item_id, True
        feed.handed_out += items
        counts["handed out"] += len(items)

    @rule(number=any_feed, of=any_feed, picked=st.lists(any_number, min_size=1, max_size=6))
    def commit(self, number: int, of: int, picked: list[int]) -> None:
        """Any handle ever given: late, twice, of an earlier lease, of another key's feed."""
        feed, source = self.feeds[number], self.feeds[of]
        if not source.handed_out:
            return
        given = [source.handed_out[-1 - index % len(source.handed_out)] for index in picked]
        self.commit_given(feed, source, given)

    @rule(number=any_feed)
    def commit_what_is_leased(self, number: int) -> None:
        feed = self.feeds[number]
        leased = {item.item_id for item in feed.items if item.is_leased}
        self.commit_given(feed, feed, [i for i in feed.handed_out if i.item_id in leased])

    def commit_given(self, feed: Feed, source: Feed, given: list[HandedOut]) -> None:
        handles = write_handles(
            Handle(source.key.pk, item.subscription_id, item.item_id, item.attempt)
            for item in given
        )
        result = commit_handles(feed.key.pk, handles)
        if feed is not source:
            assert (result.committed, result.already_committed) == (0, 0)
            return
        ids = {item.item_id for item in given}
        for expected in feed.items:
            if expected.item_id in ids and expected.is_open:
                counts["committed"] += 1
                feed.end(expected)

    # Time

    @rule(number=any_feed)
    def let_leases_end(self, number: int) -> None:
        feed = self.feeds[number]
        end_leases(feed.subscription)
        for item in feed.items:
            item.is_leased = False

    @rule(number=any_feed)
    def let_everything_expire(self, number: int) -> None:
        feed = self.feeds[number]
        pull(feed.subscription.pk)
        make_older(feed.subscription, timedelta(seconds=feed.subscription.retention_seconds))
        pull(feed.subscription.pk)
        for item in feed.items:
            feed.end(item)

    @rule(number=any_feed)
    def wear_out_what_is_leased(self, number: int) -> None:
        """The next hand-out would be one too many: parked, and the order goes on."""
        feed = self.feeds[number]
        if not feed.is_active:
            return
        worn = [item for item in feed.items if item.is_leased]
        QueueItem.objects.filter(pk__in=[item.item_id for item in worn]).update(attempts=100)
        self.let_leases_end(number)
        for item in worn:
            feed.end(item)
        self.read(number, 1000)

    @rule(number=any_feed, picked=any_number)
    def park(self, number: int, picked: int) -> None:
        feed = self.feeds[number]
        leased = [item for item in feed.items if item.is_leased]
        if not leased:
            return
        item = leased[picked % len(leased)]
        assert item.item_id is not None
        assert end_items(feed.subscription.pk, [item.item_id], Outcome.PARKED, error="no") == 1
        feed.end(item)

    # Configurations

    @rule(number=any_feed, statuses=st.sampled_from(FILTERS))
    def configure(self, number: int, statuses: list[Status]) -> None:
        feed = self.feeds[number]
        feed.subscription = make_feed(*statuses, key=feed.key)
        feed.statuses, feed.is_active = statuses, True

    @rule(number=any_feed)
    def delete(self, number: int) -> None:
        feed = self.feeds[number]
        delete_subscription(app_key_id=feed.key.pk, channel=Channel.FEED, actor=ACTOR)
        feed.is_active = False
        for item in feed.items:
            feed.end(item)

    @rule(number=any_feed, of_orders=st.booleans(), picked=any_number)
    def replay(self, number: int, of_orders: bool, picked: int) -> None:
        feed = self.feeds[number]
        if not feed.is_active or not self.steps:
            return
        pull(feed.subscription.pk)
        order_id = sorted(self.steps)[picked % len(self.steps)]
        Replay.objects.create(
            subscription=feed.subscription,
            from_position=self.first_position,
            until_position=last_position(),
            next_position=self.first_position,
            order_ids=[order_id] if of_orders else None,
            requested_by=ACTOR,
        )
        still_open = {item.event_pk for item in feed.items if item.is_open}
        pull(feed.subscription.pk)
        for event in self.events:
            is_wanted = event.order.order_id == order_id if of_orders else feed.takes(event)
            if is_wanted and event.pk not in still_open:
                feed.items.append(Expected(event.pk, event.order_id, is_replay=True))
                counts["queued again"] += 1

    @rule(number=any_feed)
    def count(self, number: int) -> None:
        feed = self.feeds[number]
        pull(feed.subscription.pk)
        facts = queue_facts(feed.subscription.pk)
        assert facts.open_count == sum(item.is_open for item in feed.items)

    # Always

    @invariant()
    def an_order_has_one_open_item_at_most_that_can_be_handed_out(self) -> None:
        if not hasattr(self, "feeds"):
            return
        for feed in self.feeds:
            heads: dict[int, list[bool]] = {}
            rows = QueueItem.objects.filter(subscription=feed.subscription, outcome="")
            for order_pk, available_at in rows.order_by("id").values_list(
                "order_id", "available_at"
            ):
                heads.setdefault(order_pk, []).append(available_at is not None)
            for first, *others in heads.values():
                assert first
                assert not any(others)

    def teardown(self) -> None:
        if not hasattr(self, "feeds"):
            return
        for number, feed in enumerate(self.feeds):
            self.let_leases_end(number)
            while feed.is_active and feed.free():
                self.read(number, 10)
                self.commit_what_is_leased(number)
            assert not [item for item in feed.items if item.is_open]
            open_rows = QueueItem.objects.filter(subscription=feed.subscription, outcome="")
            assert not open_rows.exists()
            assert not feed.is_active or read_feed(feed.key.pk, limit=10) == []


@pytest.mark.heavy
@pytest.mark.timeout(3600)
@pytest.mark.django_db
def test_a_queue_holds_what_its_filter_takes_and_nothing_else(full_size: bool) -> None:
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=300 if full_size else 40,
            stateful_step_count=50 if full_size else 40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
    print(", ".join(f"{word} {count}" for word, count in sorted(counts.items())), "lost 0")
