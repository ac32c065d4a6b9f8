"""A repeated write has its effect once, and its answer again."""

import concurrent.futures
import itertools
from typing import Any

import orjson
import pytest
from django.db import connection, connections
from pytest_django import Settings

from oms.access.authenticating import forget_all_cached_keys
from oms.access.models import AppKey, RecordedAnswer
from oms.access.scopes import Scope
from oms.ops.housekeeping import forget_what_is_over
from oms.orders.models import Affiliate, Order
from oms.orders.statuses import Flow, Status
from tests.api.callers import Caller, parsed, refusal
from tests.api.purchases import purchase
from tests.workflow.stories import kinds_of, nothing_changes, place_in, status_of

PLACING = "fulfillment/pvt/orders?affiliateId=MKT"

_keys = itertools.count(1)


class Repeating(Caller):
    """Sends its Idempotency-Key with every request."""

    def __init__(self, key: str, **given: Any) -> None:
        super().__init__(**given)
        self.headers["Idempotency-Key"] = key


@pytest.fixture
def affiliate(db: None) -> None:
    Affiliate.objects.create(affiliate_id="MKT", name="Marketplace", flow=Flow.FULFILLMENT)


def handling(order_id: str) -> str:
    return f"oms/pvt/orders/{order_id}/start-handling"


@pytest.mark.django_db
def test_a_repeated_write_is_answered_alike_and_has_its_effect_once() -> None:
    order_id, caller = place_in(Status.READY_FOR_HANDLING), Repeating("erp-1")
    first = caller.post(handling(order_id))
    events = kinds_of(order_id)
    again = caller.post(handling(order_id))
    assert (first.status_code, again.status_code) == (204, 204)
    assert again.content == first.content
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert again.headers.get("Content-Type") == first.headers.get("Content-Type")
    assert kinds_of(order_id) == events


def test_a_body_is_given_again_word_for_word(affiliate: None) -> None:
    caller, body = Repeating("erp-1"), purchase()
    first = caller.post(PLACING, body)
    again = caller.post(PLACING, body)
    assert parsed(first)["status"] == "placed"
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["Content-Type"] == "application/json; charset=utf-8"
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PLACING, {"other": "body"}),
        (PLACING + "&sc=2", None),
        ("fulfillment/pvt/orders/X/fulfill?affiliateId=MKT", None),
    ],
)
def test_a_key_used_for_another_request_is_refused(
    affiliate: None, path: str, body: dict[str, str] | None
) -> None:
    caller, sent = Repeating("erp-1"), purchase()
    assert caller.post(PLACING, sent).status_code == 200
    refusal(caller.post(path, body or sent), 422, "idempotency_key_reused")
    assert Order.objects.count() == 1


@pytest.mark.django_db
def test_the_same_key_of_another_app_key_is_another() -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    assert Repeating("erp-1").post(handling(order_id)).status_code == 204
    refusal(Repeating("erp-1").post(handling(order_id)), 409, "OMS003")


@pytest.mark.django_db
def test_a_refusal_is_not_recorded_so_that_the_write_can_be_tried_again() -> None:
    order_id, caller = place_in(Status.APPROVE_PAYMENT), Repeating("erp-1")
    with nothing_changes(order_id):
        refusal(caller.post(handling(order_id)), 409, "OMS003")
    assert not RecordedAnswer.objects.exists()
    refusal(caller.post("oms/pvt/orders/none/start-handling"), 404, "order_not_found")


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "caf\xe9"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    with nothing_changes(order_id):
        refusal(Repeating(key).post(handling(order_id)), 400, "invalid")


@pytest.mark.django_db
def test_a_key_of_255_characters_is_one() -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    assert Repeating("x" * 255).post(handling(order_id)).status_code == 204


@pytest.mark.django_db
def test_a_read_needs_no_key_and_remembers_none() -> None:
    caller = Repeating("")
    assert caller.get(f"oms/pvt/orders/{place_in(Status.READY_FOR_HANDLING)}").status_code == 200
    assert not RecordedAnswer.objects.exists()


@pytest.mark.django_db
def test_a_replay_is_closed_to_a_key_that_lost_its_scope() -> None:
    order_id, caller = place_in(Status.READY_FOR_HANDLING), Repeating("erp-1")
    assert caller.post(handling(order_id)).status_code == 204
    AppKey.objects.update(scopes=[Scope.OMS_VIEWER])
    forget_all_cached_keys()
    refusal(caller.post(handling(order_id)), 403, "forbidden")


@pytest.mark.django_db
def test_an_effect_that_cannot_be_recorded_does_not_happen() -> None:
    order_id, caller = place_in(Status.READY_FOR_HANDLING), Repeating("erp-1")
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE access_recordedanswer ADD CONSTRAINT none_at_all CHECK (status = 0)"
        )
    with nothing_changes(order_id):
        refusal(caller.post(handling(order_id)), 500, "internal_error")


@pytest.mark.django_db(transaction=True)
def test_ten_at_once_have_one_effect_and_one_answer(affiliate: None) -> None:
    caller, body = Repeating("erp-1"), orjson.dumps(purchase())

    def place(_: int) -> tuple[int, bytes]:
        try:
            answer = caller.post(PLACING, body)
            return answer.status_code, answer.content
        finally:
            connections.close_all()

    with concurrent.futures.ThreadPoolExecutor(10) as threads:
        answers = set(threads.map(place, range(10)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 200
    assert (Order.objects.count(), RecordedAnswer.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_answers_are_kept_for_a_day_and_forgotten_at_night() -> None:
    order_id, caller = place_in(Status.READY_FOR_HANDLING), Repeating("erp-1")
    caller.post(handling(order_id))
    assert forget_what_is_over()["recorded_answers"] == 0
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE access_recordedanswer SET answered_at = answered_at - interval '25 hours'"
        )
    assert forget_what_is_over()["recorded_answers"] == 1
    assert status_of(order_id) == Status.START_HANDLING


@pytest.mark.django_db(transaction=True)
def test_a_view_that_commits_in_steps_is_answered_again_too() -> None:
    caller = Repeating("erp-1")
    body = {"filter": {"type": "FromWorkflow", "status": ["ready-for-handling"]}}
    first = caller.post("orders/feed/config", body)
    again = caller.post("orders/feed/config", body)
    assert (first.status_code, again.content) == (200, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    refusal(caller.post("orders/feed/config", {}), 422, "idempotency_key_reused")


def test_what_is_kept_of_an_answer_cannot_be_read_in_the_database(affiliate: None) -> None:
    assert Repeating("erp-1").post(PLACING, purchase()).status_code == 200
    assert b"ana@example.com" not in bytes(RecordedAnswer.objects.get().body)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["oms/pvt/orders/{}/start-handling", "orders/feed/config"])
def test_an_answer_that_no_key_opens_any_more_does_not_happen_again(
    path: str, settings: Settings
) -> None:
    settings.ENCRYPTION_KEYS = ["old"]
    order_id, caller = place_in(Status.READY_FOR_HANDLING), Repeating("erp-1")
    path = path.format(order_id)
    first = caller.post(path, {})
    settings.ENCRYPTION_KEYS = ["new"]
    with nothing_changes(order_id):
        told = refusal(caller.post(path, {}), 409, "answer_unreadable")
    assert f"answered by {first.status_code}" in told["message"]
    refusal(caller.post(path, {"other": "body"}), 422, "idempotency_key_reused")
