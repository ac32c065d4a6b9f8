"""The feed over HTTP: what the contract answers, and what real connectors send."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from feeds.models import QueueItem, Subscription
from oms.access.authenticating import forget_all_cached_keys
from oms.access.scopes import Scope
from oms.ops.models import AuditEntry
from oms.orders.statuses import Flow, Status
from tests.api.callers import Caller, fields_of, parsed, refusal
from tests.workflow.stories import move_to, place, place_in

pytestmark = pytest.mark.django_db

CONFIG = "orders/feed/config"
FEED = "orders/feed"
OLD_FEED = "oms/pvt/feed/orders/status"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z")
INVOICED = {"filter": {"type": "FromWorkflow", "status": ["invoiced"]}}
# What vtexpy 0.0.0b47 sends.
OF_VTEXPY = {
    "filter": {"disableSingleFire": False, "type": "FromWorkflow", "status": ["invoiced"]},
    "queue": {"visibilityTimeoutInSeconds": 250, "messageRetentionPeriodInSeconds": 345600},
}


@pytest.fixture
def caller() -> Iterator[Caller]:
    forget_all_cached_keys()
    yield Caller([Scope.FEED_HOOK_ADMIN])
    forget_all_cached_keys()


@pytest.fixture
def feed(caller: Caller) -> Caller:
    """This fixture will give the caller a feed of every status."""
    assert caller.post(CONFIG, {}).status_code == 200
    return caller


def items_of(caller: Caller, path: str = FEED) -> list[dict[str, Any]]:
    answer = caller.get(path)
    assert answer.status_code == 200, answer.content
    items: list[dict[str, Any]] = parsed(answer)
    return items


def commit(caller: Caller, handles: list[str], path: str = FEED) -> dict[str, int]:
    answer = caller.post(path, {"handles": handles})
    assert answer.status_code == 200, answer.content
    counts: dict[str, int] = parsed(answer)
    return counts


def handles_in(items: list[dict[str, Any]]) -> list[str]:
    return [item["handle"] for item in items]


def outcomes() -> list[str]:
    return list(QueueItem.objects.order_by("id").values_list("outcome", flat=True))


# Configuration


@pytest.mark.parametrize(
    "body",
    [
        OF_VTEXPY,
        INVOICED,
        {"filter": {"status": ["invoiced"]}, "queue": None},
        INVOICED
        | {
            "queue": {
                "VisibilityTimeoutInSeconds": 250,
                "MessageRetentionPeriodInSeconds": 345600,
                "more": 1,
            }
        },
    ],
)
def test_a_configuration_is_answered_in_the_contracts_shape(caller: Caller, body: Any) -> None:
    expected = {
        "filter": {"type": "FromWorkflow", "status": ["invoiced"]},
        "queue": {"visibilityTimeoutInSeconds": 250, "messageRetentionPeriodInSeconds": 345600},
        "quantity": 0,
        "approximateAgeOfOldestMessageInSeconds": 0.0,
    }
    answer = caller.post(CONFIG, body)
    assert (answer.status_code, parsed(answer)) == (200, expected)
    assert parsed(caller.get(CONFIG)) == expected


def test_no_filter_at_all_is_every_status(caller: Caller) -> None:
    assert parsed(caller.post(CONFIG, b""))["filter"] == {"type": "FromWorkflow", "status": []}


def test_quantity_and_age_count_everything_committed_before_leased_or_not(feed: Caller) -> None:
    for _ in range(3):
        place()
    items_of(feed, f"{FEED}?maxlot=1")
    config = parsed(feed.get(CONFIG))
    assert config["quantity"] == 3
    assert 0 < config["approximateAgeOfOldestMessageInSeconds"] < 60


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_there_is_no_configuration_to_see_or_delete_without_a_feed(
    caller: Caller, method: str
) -> None:
    error = refusal(caller.ask(method, CONFIG), 404, "feed_not_configured")
    assert "POST /api/orders/feed/config" in error["message"]


def test_a_feed_whose_expression_is_refused_by_now_is_shown_with_what_is_wrong(
    caller: Caller,
) -> None:
    wanted = {"type": "FromOrders", "expression": 'status = "canceled"', "disableSingleFire": True}
    assert caller.post(CONFIG, {"filter": wanted}).status_code == 200
    Subscription.objects.update(expression='$eval("status")')
    place()
    refusal(caller.get(FEED), 400, "expression_refused")
    told = caller.get(CONFIG)
    assert (told.status_code, parsed(told)["quantity"]) == (200, 0)
    assert "$eval" in parsed(told)["warnings"][0]


def test_a_deleted_feed_is_gone_and_its_handles_commit_nothing(feed: Caller) -> None:
    place()
    handles = handles_in(items_of(feed))
    assert feed.ask("DELETE", CONFIG).status_code == 200
    refusal(feed.get(FEED), 404, "feed_not_configured")
    assert commit(feed, handles) == {"committed": 0, "alreadyCommitted": 0, "notCommitted": 1}
    assert outcomes() == ["withdrawn"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"filter": {"status": ["cancelled"]}}, "filter.status[0]"),
        ({"filter": {"type": "FromOrders"}}, "filter.expression"),
        ({"filter": [], "queue": {}}, "filter"),
        ({"queue": []}, "queue"),
        ({"queue": {"visibilityTimeoutInSeconds": 0}}, "queue.visibilityTimeoutInSeconds"),
        ({"queue": {"visibilityTimeoutInSeconds": 43201}}, "queue.visibilityTimeoutInSeconds"),
        ({"queue": {"visibilityTimeoutInSeconds": 1.5}}, "queue.visibilityTimeoutInSeconds"),
        ({"queue": {"visibilityTimeoutInSeconds": True}}, "queue.visibilityTimeoutInSeconds"),
        (
            {"queue": {"MessageRetentionPeriodInSeconds": 345599}},
            "queue.messageRetentionPeriodInSeconds",
        ),
        (
            {"queue": {"messageRetentionPeriodInSeconds": 1209601}},
            "queue.messageRetentionPeriodInSeconds",
        ),
    ],
)
def test_what_is_wrong_in_a_configuration_is_named_and_nothing_changes(
    feed: Caller, body: Any, field: str
) -> None:
    before = list(Subscription.objects.values())
    assert fields_of(feed.post(CONFIG, body)) == [field]
    assert list(Subscription.objects.values()) == before


def test_statuses_beside_an_expression_are_the_only_conflict(caller: Caller) -> None:
    mixed = {"filter": {"type": "FromOrders", "status": ["invoiced"], "expression": "value > 1"}}
    refusal(caller.post(CONFIG, mixed), 409, "mixed_filter")
    refusal(caller.get(CONFIG), 404, "feed_not_configured")


def test_a_misspelt_status_is_answered_with_what_was_meant(caller: Caller) -> None:
    error = refusal(
        caller.post(CONFIG, {"filter": {"status": ["order-completed"]}}), 400, "invalid"
    )
    (detail,) = error["details"]
    assert "Did you mean on-order-completed?" in detail["message"]
    assert "on-order-completed" in detail["allowed"]


def test_a_change_with_too_much_to_queue_first_is_to_be_repeated_and_keeps_its_progress(
    feed: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feeds.configuring.PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr("feeds.slices.SLICE", 2)
    for _ in range(6):
        place()
    answers = [feed.post(CONFIG, INVOICED) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    refusal(answers[0], 503, "still_catching_up")
    assert answers[0].headers["Retry-After"]
    assert parsed(answers[-1])["quantity"] == 6


def test_each_change_of_a_configuration_is_audited(caller: Caller) -> None:
    caller.post(CONFIG, {})
    caller.post(CONFIG, INVOICED)
    caller.ask("DELETE", CONFIG)
    entries = AuditEntry.objects.filter(action__startswith="feed.").order_by("id")
    assert [entry.action for entry in entries] == [
        "feed.configured",
        "feed.configured",
        "feed.deleted",
    ]
    assert {entry.actor for entry in entries} == {caller.actor}
    assert entries[1].details["before"]["filter"]["status"] == []
    assert entries[1].details["after"]["filter"]["status"] == ["invoiced"]


def test_a_viewer_sees_the_configuration_and_no_more(feed: Caller) -> None:
    viewer = Caller([Scope.FEED_HOOK_VIEWER])
    refusal(viewer.get(CONFIG), 404, "feed_not_configured")
    for answer in (
        viewer.post(CONFIG, {}),
        viewer.ask("DELETE", CONFIG),
        viewer.get(FEED),
        viewer.post(FEED, {"handles": ["x"]}),
        viewer.get(OLD_FEED),
    ):
        refusal(answer, 403, "forbidden")


# Reading


def test_an_item_has_the_contracts_keys_and_three_of_ours(feed: Caller) -> None:
    order_id = place()
    (item,) = items_of(feed)
    assert set(item) == {
        *("eventId", "handle", "domain", "state", "lastState", "orderId"),
        *("lastChange", "currentChange"),
        *("version", "isReplay", "deliveryAttempt"),
    }
    assert (item["orderId"], item["state"], item["lastState"]) == (
        order_id,
        "order-created",
        "null",
    )
    assert (item["domain"], item["version"], item["isReplay"]) == ("Marketplace", 1, False)
    assert item["deliveryAttempt"] == 1
    assert re.fullmatch(r"[0-9A-F]{32}", item["eventId"])
    assert MOMENT.fullmatch(item["currentChange"])
    assert MOMENT.fullmatch(item["lastChange"])


def test_the_next_item_tells_when_the_order_changed_before(feed: Caller) -> None:
    order_id = place()
    (first,) = items_of(feed)
    move_to(order_id, Status.PAYMENT_PENDING)
    commit(feed, [first["handle"]])
    (second,) = items_of(feed)
    assert second["lastChange"] == first["currentChange"]
    assert second["lastState"] == first["state"]


def test_an_order_of_a_fulfillment_flow_is_of_that_domain(feed: Caller) -> None:
    place(Flow.FULFILLMENT)
    place(Flow.CHAIN)
    assert [item["domain"] for item in items_of(feed)] == ["Fulfillment", "Marketplace"]


def test_the_event_id_is_the_same_in_every_delivery(feed: Caller) -> None:
    place()
    first = items_of(feed)
    QueueItem.objects.update(available_at="2026-01-01T00:00Z")
    (again,) = items_of(feed)
    assert again["eventId"] == first[0]["eventId"]
    assert again["handle"] != first[0]["handle"]
    assert again["deliveryAttempt"] == 2


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 10),
        ("?maxlot=10", 10),
        ("?maxLot=3", 3),
        ("?MAXLOT=1", 1),
        ("?maxlot=11", 10),
        ("?maxlot=1000000000", 10),
        ("?maxlot=99999999999999999999", 10),
        ("?lot=12", 12),
        ("?lot=1000", 12),
        ("?maxlot=10&other=1", 10),
    ],
)
def test_a_lot_has_as_many_items_as_were_asked_for_ten_at_most(
    feed: Caller, query: str, count: int
) -> None:
    for _ in range(12):
        place()
    assert len(items_of(feed, FEED + query)) == count


@pytest.mark.parametrize("path", [FEED, OLD_FEED])
@pytest.mark.parametrize(
    "query", ["0", "-1", "abc", "", "1.5", "1e1", "%C2%B2", "+3", " 3", "5&maxlot=7", "5&maxLot=7"]
)
def test_a_lot_that_is_no_count_is_refused_and_leases_nothing(
    feed: Caller, path: str, query: str
) -> None:
    place()
    assert fields_of(feed.get(f"{path}?maxlot={query}")) == ["maxlot"]
    assert len(items_of(feed)) == 1


@pytest.mark.parametrize("lot", ["0", "1001", "abc"])
def test_a_large_lot_has_its_bounds(feed: Caller, lot: str) -> None:
    assert fields_of(feed.get(f"{FEED}?lot={lot}")) == ["lot"]


@pytest.mark.parametrize("path", [FEED, OLD_FEED])
def test_asking_for_the_head_of_a_feed_takes_nothing_away(feed: Caller, path: str) -> None:
    place()
    assert feed.ask("HEAD", path).status_code == 405
    assert len(items_of(feed)) == 1


def test_a_slash_at_the_end_is_no_other_address(feed: Caller) -> None:
    place()
    assert len(items_of(feed, f"{FEED}/?maxlot=10")) == 1
    assert feed.post(f"{FEED}/", {"handles": ["x"]}).status_code == 200


def test_a_key_without_a_feed_is_told_how_to_make_one(caller: Caller) -> None:
    error = refusal(caller.get(FEED), 404, "feed_not_configured")
    assert "POST /api/orders/feed/config" in error["message"]


# Committing


def test_a_commit_says_what_it_ended(feed: Caller) -> None:
    place()
    place()
    handles = handles_in(items_of(feed))
    assert commit(feed, [*handles, *handles]) == {
        "committed": 2,
        "alreadyCommitted": 0,
        "notCommitted": 0,
    }
    assert commit(feed, handles)["alreadyCommitted"] == 2
    assert outcomes() == ["committed", "committed"]


def test_a_handle_of_an_earlier_lease_commits(feed: Caller) -> None:
    place()
    (first,) = items_of(feed)
    QueueItem.objects.update(available_at="2026-01-01T00:00Z")
    items_of(feed)
    assert commit(feed, [first["handle"]])["committed"] == 1
    assert outcomes() == ["committed"]


def test_another_keys_handle_never_commits(feed: Caller) -> None:
    place()
    (item,) = items_of(feed)
    other = Caller([Scope.FEED_HOOK_ADMIN])
    other.post(CONFIG, {})
    assert commit(other, [item["handle"]])["notCommitted"] == 1
    assert outcomes() == [""]


def test_a_handle_that_was_tampered_with_never_commits(feed: Caller) -> None:
    place()
    (item,) = items_of(feed)
    handle = item["handle"]
    forged = [
        handle[:-1],
        handle[1:],
        handle + "A",
        handle.upper(),
        "Z" + handle[1:],
        handle.split(".")[0],
        "." + handle.split(".")[1],
        "x",
        "😀",
        "x" * 1_000_000,
    ]
    assert commit(feed, forged) == {"committed": 0, "alreadyCommitted": 0, "notCommitted": 10}
    assert outcomes() == [""]


@pytest.mark.parametrize(
    "body", [None, {}, {"handles": None}, {"handles": []}, {"handles": "x"}, {"handle": ["x"]}]
)
def test_an_empty_commit_is_refused(feed: Caller, body: Any) -> None:
    assert fields_of(feed.post(FEED, body)) == ["handles"]


def test_a_commit_names_the_handle_that_is_none(feed: Caller) -> None:
    assert fields_of(feed.post(FEED, {"handles": ["x", 7]})) == ["handles[1]"]
    assert fields_of(feed.post(FEED, {"handles": [""]})) == ["handles[0]"]


def test_a_commit_has_a_thousand_handles_at_most(feed: Caller) -> None:
    assert fields_of(feed.post(FEED, {"handles": ["x"] * 1_001})) == ["handles"]
    assert commit(feed, ["x"] * 1_000)["notCommitted"] == 1


# The older feed


def test_the_older_feed_reads_and_confirms_the_same_queue(feed: Caller) -> None:
    order_id = place()
    (item,) = items_of(feed, f"{OLD_FEED}?maxLot=10")
    assert set(item) == {
        *("eventId", "handle", "domain", "state", "orderId", "status", "commitToken")
    }
    assert (item["orderId"], item["status"]) == (order_id, "order-created")
    answer = feed.post(f"{OLD_FEED}/confirm", [{"commitToken": item["commitToken"]}])
    assert (answer.status_code, parsed(answer)["committed"]) == (200, 1)
    assert items_of(feed) == []


@pytest.mark.parametrize("wrap", ["handle", "text", "object"])
def test_a_confirmation_is_taken_in_each_of_its_spellings(feed: Caller, wrap: str) -> None:
    place()
    (item,) = items_of(feed, OLD_FEED)
    handle = item["handle"]
    body = {"handle": [{"handle": handle}], "text": [handle], "object": {"handles": [handle]}}
    assert feed.post(f"{OLD_FEED}/confirm", body[wrap]).status_code == 200
    assert outcomes() == ["committed"]


@pytest.mark.parametrize("body", [None, [], {}, [{}], [{"commitToken": None}], [7]])
def test_an_empty_confirmation_is_refused(feed: Caller, body: Any) -> None:
    assert fields_of(feed.post(f"{OLD_FEED}/confirm", body))[0].startswith("handles")


def test_a_key_that_may_do_everything_with_orders_has_a_feed_too() -> None:
    forget_all_cached_keys()
    caller = Caller([Scope.ORDERS_FULL_ACCESS])
    assert caller.post(CONFIG, {}).status_code == 200
    place_in(Status.PAYMENT_PENDING)
    assert len(items_of(caller)) == 1
