"""The hash that integrations compute too, and what a comparison of an hour finds."""

import hashlib
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from feeds import reconciliation
from feeds.reconciliation import (
    HOUR,
    BucketOrder,
    Fact,
    KnownOrder,
    Visible,
    bucket_hash,
    compare_orders,
    read_bucket_orders,
    read_buckets,
)
from oms.orders.models import Order
from oms.orders.statuses import Status
from tests.workflow.stories import order_of, place, place_in

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ALL = Visible()


def order(order_id: str, version: int = 1, status: str = "handling") -> BucketOrder:
    return BucketOrder(order_id, version, status, 1000, "BRL")


def hash_of_noon(fact: Fact) -> str:
    (bucket,) = read_buckets(start=NOON, end=NOON + HOUR, visible=ALL, fact=fact).buckets
    return bucket.hash


def test_the_hash_is_sha256_over_lines_in_byte_order_of_order_ids() -> None:
    given = [("b-1", 2), ("B-1", 1), ("a-10", 3), ("a-1", 4), ("é-1", 5)]
    text = "B-1:1\na-1:4\na-10:3\nb-1:2\né-1:5\n"
    assert bucket_hash(given) == hashlib.sha256(text.encode()).hexdigest()
    assert bucket_hash([]) == hashlib.sha256(b"").hexdigest()


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum on this machine")
def test_the_shell_computes_the_same_hash() -> None:
    told = subprocess.run(["sha256sum"], input=b"A-1:7\nA-2:3\n", capture_output=True, check=True)
    assert told.stdout.split()[0].decode() == bucket_hash([("A-2", 3), ("A-1", 7)])


@pytest.mark.django_db
def test_a_bucket_has_count_totals_by_currency_and_hash() -> None:
    ids = [
        place(now=NOON, order_id="Z-1", value_cents=1000),
        place(now=NOON + timedelta(minutes=59, seconds=59), order_id="a-1", value_cents=250),
        place(now=NOON, order_id="A:1", value_cents=99, currency="USD"),
    ]
    place(now=NOON + HOUR, order_id="later")
    found = read_buckets(start=NOON, end=NOON + 2 * HOUR, visible=ALL)
    first, second = found.buckets
    assert (first.hour, first.count, first.totals) == (NOON, 3, {"BRL": 1250, "USD": 99})
    assert first.hash == bucket_hash((name, order_of(name).version) for name in ids)
    assert (second.hour, second.count) == (NOON + HOUR, 1)
    assert found.next_hour is None


@pytest.mark.django_db
def test_a_bucket_changes_with_any_version_or_only_with_the_status() -> None:
    order_id = place(now=NOON)
    by_version, by_status = hash_of_noon(Fact.VERSION), hash_of_noon(Fact.STATUS)
    assert by_status == bucket_hash([(order_id, order_of(order_id).status)])
    Order.objects.filter(order_id=order_id).update(version=9)
    assert hash_of_noon(Fact.VERSION) == bucket_hash([(order_id, 9)]) != by_version
    assert hash_of_noon(Fact.STATUS) == by_status


@pytest.mark.django_db
def test_only_visible_orders_are_counted() -> None:
    place(now=NOON, order_id="mine", seller_id="me", affiliate_id="ONE")
    place(now=NOON, order_id="other-seller", seller_id="you", affiliate_id="ONE")
    place(now=NOON, order_id="other-affiliate", seller_id="me", affiliate_id="TWO")
    visible = Visible(seller_ids={"me"}, affiliate_ids={"ONE"})
    (bucket,) = read_buckets(start=NOON, end=NOON + HOUR, visible=visible).buckets
    assert (bucket.count, bucket.hash) == (1, bucket_hash([("mine", 1)]))
    assert [found.order_id for found in read_bucket_orders(hour=NOON, visible=visible)] == ["mine"]


@pytest.mark.django_db
def test_a_window_with_very_many_orders_is_answered_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconciliation, "MOST_ORDERS_AT_ONCE", 4)
    for hour in range(4):
        for _ in range(2):
            place(now=NOON + hour * HOUR)
    start, end, counts = NOON, NOON + 6 * HOUR, []
    while True:
        part = read_buckets(start=start, end=end, visible=ALL)
        counts.append([bucket.count for bucket in part.buckets])
        assert part.end == (part.next_hour or end)
        if part.next_hour is None:
            break
        start = part.next_hour
    assert counts == [[2, 2], [2, 2]]


@pytest.mark.django_db
def test_one_hour_is_answered_however_many_orders_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "MOST_ORDERS_AT_ONCE", 1)
    for _ in range(4):
        place(now=NOON)
    part = read_buckets(start=NOON, end=NOON + 5 * HOUR, visible=ALL)
    assert [bucket.count for bucket in part.buckets] == [4]
    assert part.next_hour == NOON + HOUR


@pytest.mark.django_db
def test_orders_of_an_hour_page_in_byte_order_of_their_ids() -> None:
    names = ["b-1", "B-1", "a-10", "a-1", "é-1"]
    for name in names:
        place(now=NOON, order_id=name)
    place_in(Status.HANDLING, now=NOON + HOUR)
    expected = sorted(names, key=str.encode)
    seen: list[str] = []
    while page := read_bucket_orders(
        hour=NOON, visible=ALL, after=seen[-1] if seen else "", limit=2
    ):
        seen += [found.order_id for found in page]
    assert seen == expected


def test_a_comparison_tells_missing_older_newer_and_extra() -> None:
    ours = [order("a", 3), order("b", 3), order("c", 3), order("d", 3)]
    theirs = {
        "a": KnownOrder(version=3),
        "b": KnownOrder(version=2),
        "c": KnownOrder(version=4),
        "x": KnownOrder(version=1),
        "X": KnownOrder(version=1),
    }
    found = compare_orders(ours, theirs)
    assert found.equal_count == 1
    assert [row.order_id for row in found.older] == ["b"]
    assert [row.order_id for row in found.newer] == ["c"]
    assert [row.order_id for row in found.missing] == ["d"]
    assert (found.extra, found.is_cut_off) == (["X", "x"], False)


def test_who_keeps_statuses_only_is_compared_by_them() -> None:
    theirs = {"a": KnownOrder(status="handling"), "b": KnownOrder(status="ready-for-handling")}
    found = compare_orders([order("a", 3), order("b", 3)], theirs)
    assert (found.equal_count, [row.order_id for row in found.older]) == (1, ["b"])


def test_a_thousand_differences_are_told_and_that_there_are_more() -> None:
    ours = [order(f"{number:05}", 2) for number in range(1_500)]
    found = compare_orders(ours, {"00000": KnownOrder(version=1)})
    assert (len(found.missing), len(found.older), found.is_cut_off) == (999, 1, True)
    assert found.missing[-1].order_id == "00999"
