"""Replays over HTTP, on their own and straight from a reconciliation."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings

from feeds.models import Replay
from oms.access.authenticating import forget_all_cached_keys
from oms.access.scopes import Scope
from oms.orders.statuses import Status
from tests.api.callers import Caller, fields_of, parsed, refusal
from tests.feeds.hooks.delivering import dispatching, wait_until
from tests.feeds.hooks.receivers import Receiver, allow_loopback
from tests.workflow.stories import place, place_in

pytestmark = pytest.mark.django_db

REPLAY = "orders/feed/replay"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def caller() -> Iterator[Caller]:
    """This fixture will give a key with a feed of every status."""
    forget_all_cached_keys()
    caller = Caller([Scope.FEED_HOOK_ADMIN])
    assert caller.post("orders/feed/config", {}).status_code == 200
    yield caller
    forget_all_cached_keys()


def items(caller: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = parsed(caller.get("orders/feed?lot=1000"))
    if found:
        handles = [item["handle"] for item in found]
        assert caller.post("orders/feed", {"handles": handles}).status_code == 200
        found += items(caller)
    return found


def test_a_replay_is_taken_listed_with_its_progress_and_its_items_are_marked(
    caller: Caller,
) -> None:
    place_in(Status.HANDLING)
    first = items(caller)
    answer = caller.post(REPLAY, {"fromPosition": 1, "reason": "moved"})
    assert answer.status_code == 202
    taken = parsed(answer)
    assert set(taken) == {
        "id", "fromPosition", "untilPosition", "orderCount", "reason", "requestedBy",
        "requestedAt", "queuedCount", "progress", "finishedAt",
    }  # fmt: skip
    assert (taken["progress"], taken["finishedAt"], taken["reason"]) == (0.0, None, "moved")
    assert taken["requestedBy"] == caller.actor
    again = items(caller)
    assert [item["eventId"] for item in again] == [item["eventId"] for item in first]
    assert {item["isReplay"] for item in again} == {True} != {item["isReplay"] for item in first}
    (listed,) = parsed(caller.get(REPLAY))["replays"]
    assert (listed["id"], listed["progress"]) == (taken["id"], 1.0)
    assert listed["queuedCount"] == len(first)
    assert listed["finishedAt"].endswith("Z")


def test_a_replay_by_time_and_of_orders_is_taken(caller: Caller) -> None:
    order_id = place()
    assert caller.post(REPLAY, {"fromTime": "2020-01-01T00:00:00Z"}).status_code == 202
    taken = parsed(caller.post(REPLAY, {"orderIds": [order_id], "untilPosition": 1}))
    assert (taken["orderCount"], taken["untilPosition"]) == (1, 1)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "fromTime"),
        ({"fromTime": "soon"}, "fromTime"),
        ({"fromPosition": 0}, "fromPosition"),
        ({"fromPosition": "x"}, "fromPosition"),
        ({"fromPosition": "9" * 30}, "fromPosition"),
        ({"fromPosition": 1, "orderIds": ["x"]}, "fromTime"),
        ({"orderIds": []}, "orderIds"),
        ({"orderIds": ["nobody"]}, "orderIds[0]"),
        ({"orderIds": [str(n) for n in range(1_001)]}, "orderIds"),
        ({"orderIds": "x"}, "orderIds"),
        ({"fromPosition": 1, "untilPosition": 0}, "untilPosition"),
        ({"fromPosition": 1, "untilTime": "never"}, "untilTime"),
        ({"fromPosition": 1, "reason": "x" * 2_001}, "reason"),
    ],
)
def test_a_bad_replay_is_refused_by_name(caller: Caller, body: Any, field: str) -> None:
    place()
    assert fields_of(caller.post(REPLAY, body)) == [field]
    assert not Replay.objects.exists()


def test_a_key_without_feed_has_nothing_to_replay() -> None:
    place()
    caller = Caller([Scope.FEED_HOOK_ADMIN])
    for method in ("GET", "POST"):
        answer = caller.ask(method, REPLAY, {"fromPosition": 1} if method == "POST" else None)
        refusal(answer, 404, "feed_not_configured")
    refusal(caller.post("orders/hook/replay", {"fromPosition": 1}), 404, "hook_not_configured")


def test_a_replay_is_asked_for_once_however_often_the_call_is_repeated(caller: Caller) -> None:
    place()
    headers = caller.headers | {"Idempotency-Key": "replay-1"}
    answers = [caller.ask("POST", REPLAY, {"fromPosition": 1}, headers) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({parsed(answer)["id"] for answer in answers}) == Replay.objects.count() == 1


def test_the_sixth_unfinished_replay_is_refused(caller: Caller) -> None:
    place()
    for _ in range(5):
        assert caller.post(REPLAY, {"fromPosition": 1}).status_code == 202
    refusal(caller.post(REPLAY, {"fromPosition": 1}), 409, "too_many_replays")


def test_a_viewer_sees_replays_and_asks_for_none() -> None:
    viewer = Caller([Scope.FEED_HOOK_VIEWER])
    refusal(viewer.get(REPLAY), 404, "feed_not_configured")
    refusal(viewer.post(REPLAY, {"fromPosition": 1}), 403, "forbidden")
    refusal(Caller([Scope.LIST_ORDERS]).get(REPLAY), 403, "forbidden")


def test_a_reconciliation_asks_for_what_is_missing_again(caller: Caller) -> None:
    for name in ("a", "b"):
        place(now=NOON, order_id=name)
    items(caller)
    known = {"orders": [{"orderId": "a", "version": 1}], "replay": "feed"}
    found = parsed(caller.post("reconciliation/2026-01-31T12", known))
    assert (found["replay"]["orderCount"], len(found["missing"])) == (1, 1)
    assert {item["orderId"] for item in items(caller)} == {"b"}
    everything = {"orders": [{"orderId": name, "version": 1} for name in "ab"], "replay": "feed"}
    assert parsed(caller.post("reconciliation/2026-01-31T12", everything))["replay"] is None


def test_a_reconciliation_asks_again_only_for_who_may_configure_a_feed() -> None:
    place(now=NOON)
    body: dict[str, Any] = {"orders": [], "replay": "feed"}
    hour = "reconciliation/2026-01-31T12"
    refusal(Caller([Scope.LIST_ORDERS]).post(hour, body), 403, "forbidden")
    refusal(Caller([Scope.FEED_HOOK_ADMIN]).post(hour, body), 404, "feed_not_configured")
    assert fields_of(Caller().post(hour, {"orders": [], "replay": True})) == ["replay"]


@pytest.mark.django_db(transaction=True)
def test_a_hooks_receiver_is_called_again_under_the_id_that_it_knows(settings: Settings) -> None:
    allow_loopback(settings)
    caller = Caller([Scope.FEED_HOOK_ADMIN])
    with Receiver() as receiver, dispatching():
        body = {"filter": {"status": ["handling"]}, "hook": {"url": receiver.url}}
        assert caller.post("orders/hook/config", body).status_code == 200
        place_in(Status.HANDLING)
        wait_until(lambda: len(receiver.deliveries) == 1)
        assert caller.post("orders/hook/replay", {"fromPosition": 1}).status_code == 202
        wait_until(lambda: len(receiver.deliveries) == 2)
        first, again = receiver.deliveries
        wait_until(lambda: parsed(caller.get("orders/hook/replay"))["replays"][0]["finishedAt"])
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.body == again.body
