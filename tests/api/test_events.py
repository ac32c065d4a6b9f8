"""Pages of the ledger: what they account for, and whom they show what."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oms.access.authenticating import forget_all_cached_keys
from oms.access.scopes import Scope
from oms.orders.statuses import Flow, Status
from tests.api.callers import Caller, fields_of, parsed, refusal
from tests.workflow.stories import events_of, last_event, place, place_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    forget_all_cached_keys()
    yield
    forget_all_cached_keys()


def page(caller: Caller, query: str = "") -> dict[str, Any]:
    answer = caller.get(f"events?{query}")
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = parsed(answer)
    assert set(body) == {"events", "from", "to", "count", "next", "lastPosition"}
    assert body["count"] == len(body["events"])
    return body


def everything(caller: Caller, limit: int) -> Iterator[dict[str, Any]]:
    """This function will follow the pages as an integration does."""
    after = 0
    while (found := page(caller, f"after={after}&limit={limit}"))["to"] >= found["from"]:
        assert found["from"] == after + 1
        yield found
        after = found["next"]


def test_an_event_is_on_the_next_page_after_its_commit_with_names_of_what_changed() -> None:
    caller = Caller()
    assert page(caller)["lastPosition"] == 0
    order_id = place_in(Status.PAYMENT_PENDING)
    found = page(caller)
    event = last_event(order_id)
    told = found["events"][-1]
    assert told == {
        "position": found["lastPosition"],
        "eventId": told["eventId"],
        "orderId": order_id,
        "domain": "Marketplace",
        "kind": event.kind,
        "state": "payment-pending",
        "lastState": event.last_status,
        "lastChange": told["lastChange"],
        "currentChange": f"{event.occurred_at:%Y-%m-%dT%H:%M:%S.%f}0Z",
        "version": event.seq,
        "changedFields": sorted(event.changes),
    }
    assert "status" in told["changedFields"]
    assert len(told["eventId"]) == 32
    assert told["eventId"] == told["eventId"].upper()


def test_an_event_has_the_id_and_the_words_that_the_feed_gives_it() -> None:
    caller = Caller()
    assert caller.post("orders/feed/config", {}).status_code == 200
    place_in(Status.PAYMENT_PENDING)
    paged = {event["eventId"]: event for event in page(caller)["events"]}
    (item,) = parsed(caller.get("orders/feed"))
    told = paged[item["eventId"]]
    common = {"orderId", "domain", "state", "lastState", "currentChange", "version"}
    assert {name: item[name] for name in common} == {name: told[name] for name in common}


def test_pages_of_an_unrestricted_key_account_for_every_position() -> None:
    orders = [place_in(Status.PAYMENT_PENDING) for _ in range(3)]
    pages = list(everything(Caller(), limit=4))
    positions = [event["position"] for found in pages for event in found["events"]]
    assert positions == list(range(1, len(positions) + 1))
    assert all(found["count"] == found["to"] - found["from"] + 1 for found in pages)
    assert len(positions) == sum(len(events_of(order_id)) for order_id in orders)
    seen = [event["eventId"] for found in pages for event in found["events"]]
    assert len(set(seen)) == len(seen)


def test_the_end_of_the_ledger_is_an_empty_stretch_that_counts_too() -> None:
    place()
    end = page(Caller())["lastPosition"]
    found = page(Caller(), f"after={end}")
    assert (found["from"], found["to"], found["count"], found["next"]) == (end + 1, end, 0, end)
    beyond = page(Caller(), f"after={end + 50}")
    assert (beyond["to"], beyond["next"], beyond["lastPosition"]) == (end + 50, end + 50, end)


def test_a_restricted_key_gets_the_stretch_that_was_looked_at_and_its_own_events_of_it() -> None:
    own, other = place(seller_id="mine"), place(seller_id="theirs")
    place(seller_id="theirs")
    caller = Caller(seller_ids=["mine"])
    found = page(caller, "limit=1")
    assert [event["orderId"] for event in found["events"]] == [own]
    assert (found["from"], found["to"]) == (1, found["events"][0]["position"])
    rest = page(caller, f"after={found['next']}&limit=1")
    assert (rest["count"], rest["to"]) == (0, rest["lastPosition"])
    refusal(caller.get(f"events?orderId={other}"), 404, "order_not_found")


def test_a_key_of_one_affiliate_sees_no_events_of_another() -> None:
    own = place(affiliate_id="ONE")
    place(affiliate_id="TWO")
    found = page(Caller(affiliate_ids=["ONE"]))
    assert {event["orderId"] for event in found["events"]} == {own}


def test_events_of_one_order_come_in_the_order_of_its_versions_and_page_on() -> None:
    first, second = place(), place()
    order_id = place_in(Status.HANDLING, Flow.FULFILLMENT)
    caller = Caller()
    found = page(caller, f"orderId={order_id}&limit=3")
    assert [event["version"] for event in found["events"]] == [1, 2, 3]
    assert {event["domain"] for event in found["events"]} == {"Fulfillment"}
    rest = page(caller, f"orderId={order_id}&after={found['next']}")
    versions = [event["version"] for event in rest["events"]]
    assert versions == list(range(4, len(events_of(order_id)) + 1))
    assert rest["to"] == rest["lastPosition"]
    assert page(caller, f"orderId={first}")["events"][0]["orderId"] != second


def test_a_page_costs_the_same_few_statements_whatever_its_length() -> None:
    caller = Caller()
    counts = []
    for _ in range(3):
        place_in(Status.HANDLING)
        page(caller)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            page(caller)
        counts.append(len(captured))
    assert all(before == after for before, after in itertools.pairwise(counts))
    assert counts[0] <= 3


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("after=-1", "after"),
        ("after=x", "after"),
        ("after=99999999999999999999", "after"),
        ("after=1.5", "after"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=", "limit"),
        ("orderId=", "orderId"),
        (f"orderId={'x' * 161}", "orderId"),
    ],
)
def test_a_bad_query_is_refused_by_name(query: str, field: str) -> None:
    assert fields_of(Caller().get(f"events?{query}")) == [field]


def test_what_is_not_known_is_ignored_and_an_unknown_order_is_not_there() -> None:
    place()
    assert page(Caller(), "page=3&foo=bar")["count"] == 1
    refusal(Caller().get("events?orderId=nobody"), 404, "order_not_found")


def test_the_ledger_is_open_to_who_may_read_feeds_and_to_no_other() -> None:
    opening = {Scope.FEED_HOOK_ADMIN, Scope.ORDERS_FULL_ACCESS}
    refusal(Caller(set(Scope) - opening).get("events"), 403, "forbidden")
    for scope in opening:
        assert Caller([scope]).get("events").status_code == 200
