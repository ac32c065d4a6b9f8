"""Asking for events again: what is taken, what is refused, and what then comes."""

from datetime import timedelta

import pytest

from feeds.models import Replay
from feeds.positions import first_position_since
from feeds.refusals import FeedRefused
from feeds.replaying import (
    MOST_UNFINISHED,
    TooManyReplays,
    Wanted,
    replays_of,
    request_replay,
    share_done,
)
from feeds.slices import queue_replayed_events
from oms.ops.models import AuditEntry
from oms.orders.ledger import last_position, number_all_events
from oms.orders.statuses import Status
from tests.feeds.feeding import drain, import_order, make_feed, make_key, read, told
from tests.workflow.stories import events_of, last_event, move_to, place, place_in

pytestmark = pytest.mark.django_db

ACTOR = "key:erp"


def test_a_replay_from_a_position_gives_what_the_filter_takes_again_and_says_so() -> None:
    feed = make_feed(Status.HANDLING)
    orders = [place_in(Status.HANDLING) for _ in range(3)]
    first = drain(feed)
    replay = request_replay(feed, wanted=Wanted(from_position=1), actor=ACTOR, reason="Lost it")
    again = drain(feed)
    assert [item.order_id for item in again] == orders
    assert [item.event_pk for item in again] == [item.event_pk for item in first]
    assert all(item.is_replay for item in again)
    replay.refresh_from_db()
    assert (replay.queued_count, share_done(replay), replay.reason) == (3, 1.0, "Lost it")
    assert replay.until_position == last_position()
    assert drain(feed) == []


def test_a_replay_from_a_time_begins_with_the_first_event_at_or_after_it() -> None:
    feed = make_feed(Status.HANDLING)
    place_in(Status.HANDLING)
    second = place_in(Status.HANDLING)
    drain(feed)
    moment = events_of(second)[0].occurred_at
    replay = request_replay(feed, wanted=Wanted(from_time=moment), actor=ACTOR)
    assert replay.from_position == first_position_since(moment)
    assert [item.order_id for item in drain(feed)] == [second]


def test_a_replay_ends_before_a_time_or_with_a_position() -> None:
    feed = make_feed(Status.HANDLING)
    first, second = place_in(Status.HANDLING), place_in(Status.HANDLING)
    drain(feed)
    begin = events_of(second)[0].occurred_at
    request_replay(feed, wanted=Wanted(from_position=1, until_time=begin), actor=ACTOR)
    assert [item.order_id for item in drain(feed)] == [first]
    last = request_replay(
        feed, wanted=Wanted(from_position=1, until_position=10**9), actor=ACTOR
    ).until_position
    assert last == last_position()


def test_a_replay_of_orders_gives_them_alone() -> None:
    feed = make_feed(Status.HANDLING)
    wanted, other = place_in(Status.HANDLING), place_in(Status.HANDLING)
    drain(feed)
    replay = request_replay(feed, wanted=Wanted(order_ids=[wanted, wanted]), actor=ACTOR)
    assert replay.order_ids == [wanted]
    again = drain(feed, limit=50)
    assert {item.order_id for item in again} == {wanted} != {other}
    assert last_event(wanted).pk in {item.event_pk for item in again}


def test_imported_history_comes_again_only_for_who_names_the_order() -> None:
    feed = make_feed()
    order_id = import_order()
    assert drain(feed) == []
    request_replay(feed, wanted=Wanted(from_position=1), actor=ACTOR)
    assert drain(feed) == []
    request_replay(feed, wanted=Wanted(order_ids=[order_id]), actor=ACTOR)
    assert [(item.order_id, item.status, item.seq) for item in drain(feed)] == [
        (order_id, "invoiced", 1)
    ]


def test_what_is_new_comes_beside_a_replay_and_an_order_keeps_its_order() -> None:
    feed = make_feed(Status.PAYMENT_PENDING, Status.HANDLING)
    order_id = place_in(Status.PAYMENT_PENDING)
    drain(feed)
    request_replay(feed, wanted=Wanted(from_position=1), actor=ACTOR)
    move_to(order_id, Status.HANDLING)
    assert sorted(told(drain(feed))) == [(order_id, "handling"), (order_id, "payment-pending")]


def test_progress_is_the_share_of_the_stretch_that_was_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("feeds.slices.SLICE", 2)
    feed = make_feed(Status.HANDLING)
    place_in(Status.HANDLING)
    drain(feed)
    replay = request_replay(feed, wanted=Wanted(from_position=1, until_position=4), actor=ACTOR)
    assert share_done(replay) == 0.0
    queue_replayed_events(feed.pk)
    replay.refresh_from_db()
    assert (share_done(replay), replay.finished_at) == (0.5, None)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (Wanted(), "fromTime"),
        (Wanted(from_position=1, order_ids=["a"]), "fromTime"),
        (Wanted(from_position=10**6), "fromPosition"),
        (Wanted(from_position=3, until_position=2), "fromPosition"),
        (Wanted(order_ids=[]), "orderIds"),
        (Wanted(order_ids=["nobody"]), "orderIds[0]"),
    ],
)
def test_a_replay_of_nothing_is_refused_by_name(wanted: Wanted, field: str) -> None:
    place()
    feed = make_feed()
    with pytest.raises(FeedRefused) as refused:
        request_replay(feed, wanted=wanted, actor=ACTOR)
    assert [problem.field for problem in refused.value.problems] == [field]
    assert not Replay.objects.exists()


def test_times_that_leave_nothing_are_refused() -> None:
    order_id = place()
    feed = make_feed()
    number_all_events()
    at = last_event(order_id).occurred_at
    hour = timedelta(hours=1)
    for wanted in (
        Wanted(from_time=at + hour),
        Wanted(from_position=1, until_time=at - hour),
        Wanted(from_time=at, until_time=at),
    ):
        with pytest.raises(FeedRefused, match="Nothing lies there"):
            request_replay(feed, wanted=wanted, actor=ACTOR)
    both = Wanted(from_position=1, until_time=at, until_position=1)
    with pytest.raises(FeedRefused, match="not both"):
        request_replay(feed, wanted=both, actor=ACTOR)


def test_orders_of_other_sellers_are_as_good_as_not_there() -> None:
    feed = make_feed(key=make_key(seller_ids=["me"]))
    mine, yours = place(seller_id="me"), place(seller_id="you")
    with pytest.raises(FeedRefused) as refused:
        request_replay(feed, wanted=Wanted(order_ids=[mine, yours]), actor=ACTOR)
    assert [problem.field for problem in refused.value.problems] == ["orderIds[1]"]


def test_only_a_few_replays_of_a_feed_may_be_unfinished_and_many_of_orders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("feeds.replaying.MOST_UNFINISHED_OF_ORDERS", 7)
    order_id = place()
    feed, other = make_feed(), make_feed()
    for _ in range(MOST_UNFINISHED):
        request_replay(feed, wanted=Wanted(from_position=1), actor=ACTOR)
    with pytest.raises(TooManyReplays):
        request_replay(feed, wanted=Wanted(from_position=1), actor=ACTOR)
    for _ in range(7):
        request_replay(feed, wanted=Wanted(order_ids=[order_id]), actor=ACTOR)
    with pytest.raises(TooManyReplays):
        request_replay(feed, wanted=Wanted(order_ids=[order_id]), actor=ACTOR)
    assert len(replays_of(feed)) == MOST_UNFINISHED + 7
    request_replay(other, wanted=Wanted(from_position=1), actor=ACTOR)
    drain(feed)
    request_replay(feed, wanted=Wanted(from_position=1), actor=ACTOR)
    assert read(feed)


def test_who_asked_for_a_replay_and_why_is_in_the_audit_log() -> None:
    place()
    feed = make_feed()
    replay = request_replay(
        feed, wanted=Wanted(from_position=1), actor="user:ann", reason="ERP moved"
    )
    entry = AuditEntry.objects.get(action="feed.replay_requested")
    assert (entry.actor, entry.reason) == ("user:ann", "ERP moved")
    assert (entry.object_type, entry.object_id) == ("app_key", feed.app_key.app_key)
    assert entry.details["replay"] == replay.pk
