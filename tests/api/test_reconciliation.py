"""Reconciliation over HTTP: hours, orders of an hour, and whatever may be sent instead."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from feeds.reconciliation import HOUR, bucket_hash
from oms.access.authenticating import forget_all_cached_keys
from oms.access.scopes import Scope
from oms.orders.models import Order
from tests.api.callers import Caller, fields_of, parsed, refusal
from tests.workflow.stories import order_of, place

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HASH = "0" * 64


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    forget_all_cached_keys()
    yield
    forget_all_cached_keys()


def get(path: str, caller: Caller | None = None) -> Any:
    answer = (caller or Caller()).get(f"reconciliation{path}")
    assert answer.status_code == 200, answer.content
    return parsed(answer)


def post(path: str, body: Any, caller: Caller | None = None) -> Any:
    answer = (caller or Caller()).post(f"reconciliation{path}", body)
    assert answer.status_code == 200, answer.content
    return parsed(answer)


def test_hours_of_a_window_are_told_with_count_totals_and_hash() -> None:
    order_id = place(now=NOON + timedelta(minutes=5), value_cents=1234)
    found = get("?from=2026-01-31T12:10:00Z&to=2026-01-31T13:30:00Z")
    assert found == {
        "from": "2026-01-31T12:00:00Z",
        "to": "2026-01-31T14:00:00Z",
        "by": "version",
        "next": None,
        "hours": [
            {
                "hour": "2026-01-31T12:00:00Z",
                "count": 1,
                "totals": {"BRL": 1234},
                "hash": bucket_hash([(order_id, 1)]),
            }
        ],
    }


def test_without_a_window_the_last_24_full_hours_are_told() -> None:
    found = get("")
    start, end = (datetime.fromisoformat(found[name]) for name in ("from", "to"))
    assert end - start == 24 * HOUR
    assert timedelta() <= datetime.now(UTC) - end < HOUR + timedelta(minutes=1)


def test_hashes_by_status_stay_when_only_the_version_moves() -> None:
    order_id = place(now=NOON)
    found = get("?from=2026-01-31T12:00:00Z&to=2026-01-31T13:00:00Z&by=status")
    expected = bucket_hash([(order_id, order_of(order_id).status)])
    assert (found["by"], found["hours"][0]["hash"]) == ("status", expected)


def test_an_integration_learns_which_of_its_hours_differ() -> None:
    for hour in range(4):
        place(now=NOON + hour * HOUR, order_id=f"O-{hour}")
    buckets = get("?from=2026-01-31T12:00:00Z&to=2026-01-31T17:00:00Z")["hours"]
    right, older = buckets[0], {**buckets[1], "hash": HASH}
    other_sum = {**buckets[2], "totals": {"BRL": 1}}
    stray = {"hour": "2026-01-31T16", "count": 2, "hash": HASH.upper()}
    body = {"from": "2026-01-31T12:00:00Z", "hours": [right, older, other_sum, stray]}
    found = post("", {**body, "to": "2026-01-31T18:00:00Z"})
    assert found["equalCount"] == 2  # the right one, and the last hour, which nobody has
    assert [row["hour"][11:13] for row in found["differing"]] == ["13", "14", "15", "16"]
    assert found["differing"][2] == {"hour": buckets[3]["hour"], "ours": buckets[3], "yours": None}
    assert found["differing"][3]["ours"] is None
    assert found["differing"][3]["yours"]["count"] == 2


def test_listed_hours_are_the_window_when_none_is_given_and_an_empty_hour_needs_no_hash() -> None:
    place(now=NOON)
    found = post("", {"hours": [{"hour": "2026-01-31T11:00:00Z", "count": 0}]})
    assert (found["from"][11:13], found["to"][11:13]) == ("11", "12")
    assert (found["equalCount"], found["differing"]) == (1, [])
    found = post("", {"hours": [{"hour": "2026-01-31T12:00:00Z", "count": 0}]})
    assert found["differing"][0]["ours"]["count"] == 1


def test_the_orders_of_an_hour_come_in_pages() -> None:
    for name in ("b", "a", "C"):
        place(now=NOON, order_id=name, value_cents=700)
    first = get("/2026-01-31T12:00:00Z?limit=2")
    assert [row["orderId"] for row in first["orders"]] == ["C", "a"]
    assert first["orders"][0] == {
        "orderId": "C",
        "version": 1,
        "status": order_of("C").status,
        "value": 700,
        "currency": "BRL",
    }
    assert (first["count"], first["next"], first["hour"]) == (2, "a", "2026-01-31T12:00:00Z")
    last = get("/2026-01-31T12?limit=2&after=a")
    assert ([row["orderId"] for row in last["orders"]], last["next"]) == (["b"], None)


def test_an_integration_learns_which_orders_of_an_hour_it_lacks_or_has_as_they_were() -> None:
    for name in ("a", "b", "c", "d"):
        place(now=NOON, order_id=name)
    Order.objects.filter(order_id__in="bd").update(version=5)
    orders = [
        {"orderId": "a", "version": 1},
        {"orderId": "b", "version": 4},
        {"orderId": "d", "version": 6},
        {"orderId": "x", "version": 1},
    ]
    found = post("/2026-01-31T12:00:00Z", {"orders": orders})
    assert found["equalCount"] == 1
    assert [row["orderId"] for row in found["missing"]] == ["c"]
    assert [(row["orderId"], row["version"]) for row in found["older"]] == [("b", 5)]
    assert [row["orderId"] for row in found["newer"]] == ["d"]
    assert (found["extra"], found["isCutOff"]) == (["x"], False)


def test_a_restricted_key_reconciles_its_own_orders_only() -> None:
    place(now=NOON, order_id="mine", seller_id="me")
    place(now=NOON, order_id="yours", seller_id="you")
    caller = Caller(seller_ids=["me"])
    window = "?from=2026-01-31T12:00:00Z&to=2026-01-31T13:00:00Z"
    assert get(window, caller)["hours"][0]["count"] == 1
    assert [row["orderId"] for row in get("/2026-01-31T12", caller)["orders"]] == ["mine"]
    found = post("/2026-01-31T12", {"orders": [{"orderId": "yours", "version": 1}]}, caller)
    assert ([row["orderId"] for row in found["missing"]], found["extra"]) == (["mine"], ["yours"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?from=yesterday", "from"),
        ("?from=2026-01-31T12:00:00Z&to=2026-01-31T12:00:00Z", "from"),
        ("?from=2026-02-01T12:00:00Z&to=2026-01-31T12:00:00Z", "from"),
        ("?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:01Z", "to"),
        ("?to=", "to"),
        ("?by=value", "by"),
        ("/2026-01-31", "hour"),
        ("/2026-01-31T12:30:00Z", "hour"),
        ("/2026-13-31T12:00:00Z", "hour"),
        ("/0001-01-01T00:00:00Z", "hour"),
        ("/nonsense", "hour"),
        ("/2026-01-31T12?limit=0", "limit"),
        ("/2026-01-31T12?limit=1001", "limit"),
        (f"/2026-01-31T12?after={'x' * 161}", "after"),
    ],
)
def test_a_bad_query_is_refused_by_name(query: str, field: str) -> None:
    assert fields_of(Caller().get(f"reconciliation{query}")) == [field]


BUCKET = {"hour": "2026-01-31T12:00:00Z", "count": 1, "hash": HASH}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "hours"),
        ({"hours": []}, "hours"),
        ({"hours": "x"}, "hours"),
        ({"hours": [BUCKET, BUCKET]}, "hours"),
        ({"hours": [{**BUCKET, "hash": "abc"}]}, "hours[0].hash"),
        ({"hours": [{**BUCKET, "hash": f"{HASH}0"}]}, "hours[0].hash"),
        ({"hours": [{"hour": BUCKET["hour"], "count": 1}]}, "hours[0].hash"),
        ({"hours": [{**BUCKET, "count": -1}]}, "hours[0].count"),
        ({"hours": [{**BUCKET, "hour": "12"}]}, "hours[0].hour"),
        ({"hours": [BUCKET], "to": "2026-01-31T12:00:00Z"}, "hours"),
        ({"hours": [BUCKET], "from": "2026-01-31T13:00:00Z"}, "hours"),
        ({"hours": [BUCKET, {**BUCKET, "hour": "2026-03-31T12"}]}, "to"),
        ({"hours": [BUCKET] * 745}, "hours"),
    ],
)
def test_bad_buckets_are_refused_by_name(body: Any, field: str) -> None:
    (told,) = set(fields_of(Caller().post("reconciliation", body)))
    assert told == field


@pytest.mark.parametrize(
    ("orders", "field"),
    [
        (None, "orders"),
        ("x", "orders"),
        ([{}], "orders[0].orderId"),
        (["x"], "orders[0].orderId"),
        ([{"orderId": ""}], "orders[0].orderId"),
        ([{"orderId": "a"}], "orders[0].version"),
        ([{"orderId": "a", "version": True}], "orders[0].version"),
        ([{"orderId": "a", "version": -1}], "orders[0].version"),
        ([{"orderId": "a", "version": 1}, {"orderId": "a", "version": 1}], "orders[1].orderId"),
        ([{"orderId": "a", "status": "x"}], "orders[0].version"),
        ([{"orderId": "a", "status": ["x"]}], "orders[0].version"),
        ([{"orderId": str(n), "version": 1} for n in range(20_001)], "orders"),
    ],
)
def test_bad_orders_are_refused_by_name(orders: Any, field: str) -> None:
    answer = Caller().post("reconciliation/2026-01-31T12", {"orders": orders})
    assert fields_of(answer) == [field]


def test_reconciliation_is_open_to_who_may_list_orders_or_read_feeds_and_to_no_other() -> None:
    opening = {Scope.FEED_HOOK_ADMIN, Scope.LIST_ORDERS, Scope.ORDERS_FULL_ACCESS}
    closed = Caller(set(Scope) - opening)
    for path in ("reconciliation", "reconciliation/2026-01-31T12"):
        refusal(closed.get(path), 403, "forbidden")
        refusal(closed.post(path, {"hours": [BUCKET], "orders": []}), 403, "forbidden")
    for scope in opening:
        assert Caller([scope]).get("reconciliation").status_code == 200
