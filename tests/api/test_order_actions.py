"""Start handling, cancel, deny, payment notification: exactly what the contract answers."""

import re
import uuid
from collections.abc import Iterator

import pytest
from django.http import HttpResponse

from oms.access.authenticating import forget_all_cached_keys
from oms.orders.models import CancellationRequest
from oms.orders.statuses import Flow, Status
from tests.api.callers import Caller, fields_of, parsed, refusal
from tests.workflow.stories import (
    last_event,
    nothing_changes,
    order_of,
    payment_of,
    place,
    place_in,
    record,
    status_of,
)

pytestmark = pytest.mark.django_db

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}\+00:00")


@pytest.fixture
def caller() -> Iterator[Caller]:
    forget_all_cached_keys()
    yield Caller()
    forget_all_cached_keys()


def act(caller: Caller, order_id: str, verb: str, body: object = None) -> HttpResponse:
    return caller.post(f"oms/pvt/orders/{order_id}/{verb}", body)


def deny(caller: Caller, order_id: str, body: object = None) -> HttpResponse:
    return caller.post(f"orders/pvt/document/{order_id}/deny-cancellation-request", body)


def notify(caller: Caller, order_id: str, body: object = None) -> HttpResponse:
    payment_id = payment_of(order_id).payment_id
    return act(caller, order_id, f"payments/{payment_id}/payment-notification", body)


def assert_receipt(answer: HttpResponse, order_id: str) -> dict[str, str]:
    receipt: dict[str, str] = parsed(answer)
    assert answer.status_code == 200
    assert set(receipt) == {"date", "orderId", "receipt"}
    assert receipt["orderId"] == order_id
    assert MOMENT.fullmatch(receipt["date"])
    assert re.fullmatch(r"[0-9a-f]{32}", receipt["receipt"])
    return receipt


# Start handling


@pytest.mark.parametrize("body", [None, {}, b"", b"  ", {"extra": 1, "status": "invoiced"}])
def test_start_handling_answers_204_and_nothing(caller: Caller, body: object) -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    answer = act(caller, order_id, "start-handling", body)
    assert (answer.status_code, answer.content) == (204, b"")
    assert status_of(order_id) == Status.START_HANDLING
    assert last_event(order_id).actor == caller.actor


@pytest.mark.parametrize("status", [Status.START_HANDLING, Status.CANCELED, Status.ORDER_CREATED])
def test_start_handling_of_an_order_that_is_not_ready_is_409(
    caller: Caller, status: Status
) -> None:
    order_id = place_in(status)
    with nothing_changes(order_id):
        error = refusal(act(caller, order_id, "start-handling"), 409, "OMS003")
    assert "needs ready-for-handling" in error["message"]


def test_an_order_is_acted_on_by_its_sequence_too(caller: Caller) -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    sequence = order_of(order_id).sequence
    assert act(caller, f"seq{sequence}", "start-handling").status_code == 204
    assert status_of(order_id) == Status.START_HANDLING


# Cancel


@pytest.mark.parametrize("body", [{"reason": "No stock"}, {"reason": "No stock", "status": "x"}])
def test_cancel_answers_a_receipt(caller: Caller, body: object) -> None:
    order_id = place_in(Status.WINDOW_TO_CANCEL)
    assert_receipt(act(caller, order_id, "cancel", body), order_id)
    assert status_of(order_id) == Status.CANCEL
    assert order_of(order_id).cancel_reason == "No stock"
    assert last_event(order_id).actor == caller.actor


@pytest.mark.parametrize("body", [None, {}, {"reason": None}, {"reason": ""}])
def test_cancel_needs_no_reason(caller: Caller, body: object) -> None:
    order_id = place_in(Status.WINDOW_TO_CANCEL)
    assert_receipt(act(caller, order_id, "cancel", body), order_id)


def test_a_cancellation_that_is_a_request_names_it_in_its_receipt(caller: Caller) -> None:
    order_id = place_in(Status.HANDLING)
    receipt = assert_receipt(act(caller, order_id, "cancel", {"reason": "late"}), order_id)
    request = CancellationRequest.objects.get()
    assert request.request_id.hex == receipt["receipt"]
    assert request.requested_by == caller.actor


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": "x" * 2001}, "reason"),
        ({"reason": ["x"]}, "reason"),
        ({"reason": {"a": 1}}, "reason"),
        ({"reason": True}, "reason"),
    ],
)
def test_a_reason_that_cannot_be_kept_is_refused(caller: Caller, body: object, field: str) -> None:
    order_id = place_in(Status.WINDOW_TO_CANCEL)
    with nothing_changes(order_id):
        assert fields_of(act(caller, order_id, "cancel", body)) == [field]


def test_a_partly_invoiced_order_is_answered_400(caller: Caller) -> None:
    order_id = place_in(Status.HANDLING)
    record(order_id, value_cents=1)
    with nothing_changes(order_id):
        refusal(act(caller, order_id, "cancel"), 400, "partly_invoiced")


@pytest.mark.parametrize("status", [Status.CANCEL, Status.CANCELED, Status.ORDER_CREATED])
def test_a_cancellation_that_the_table_does_not_know_is_409(
    caller: Caller, status: Status
) -> None:
    order_id = place_in(status)
    with nothing_changes(order_id):
        refusal(act(caller, order_id, "cancel"), 409, "OMS003")


# Deny


def test_a_denial_answers_200_without_a_body(caller: Caller) -> None:
    order_id = place_in(Status.HANDLING)
    act(caller, order_id, "cancel")
    request = CancellationRequest.objects.get()
    body = {"cancellationRequestId": str(request.request_id), "denyReason": "shipped"}
    answer = deny(caller, order_id, body)
    assert (answer.status_code, answer.content) == (200, b"")
    request.refresh_from_db()
    assert (request.is_denied, request.deny_reason) == (True, "shipped")


def test_a_denial_of_what_nobody_asked_is_refused(caller: Caller) -> None:
    order_id = place_in(Status.HANDLING)
    with nothing_changes(order_id):
        refusal(deny(caller, order_id), 409, "OMS003")
        refusal(
            deny(caller, order_id, {"cancellationRequestId": str(uuid.uuid4())}), 404, "not_found"
        )
        assert fields_of(deny(caller, order_id, {"cancellationRequestId": "7"})) == [
            "cancellationRequestId"
        ]


# Payment notification


@pytest.mark.parametrize("body", [None, {}, {"status": "approved"}])
def test_a_notified_payment_is_approved(caller: Caller, body: object) -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    answer = notify(caller, order_id, body)
    assert (answer.status_code, answer.content) == (200, b"")
    assert status_of(order_id) == Status.APPROVE_PAYMENT
    with nothing_changes(order_id):
        assert notify(caller, order_id, body).status_code == 200


def test_a_payment_can_be_denied(caller: Caller) -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    assert notify(caller, order_id, {"status": "denied", "reason": "limit"}).status_code == 200
    assert status_of(order_id) == Status.PAYMENT_DENIED
    assert last_event(order_id).reason == "limit"


def test_a_payment_of_another_status_is_refused(caller: Caller) -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    with nothing_changes(order_id):
        assert fields_of(notify(caller, order_id, {"status": "maybe"})) == ["status"]


def test_an_early_notification_is_kept(caller: Caller) -> None:
    order_id = place()
    assert notify(caller, order_id).status_code == 200
    assert (status_of(order_id), payment_of(order_id).status) == ("order-created", "approved")


@pytest.mark.parametrize("payment_id", ["nope", "%F0%9F%92%B3", "x" * 500, "a%20b"])
def test_an_unknown_payment_is_not_there(caller: Caller, payment_id: str) -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    with nothing_changes(order_id):
        answer = act(caller, order_id, f"payments/{payment_id}/payment-notification")
        refusal(answer, 404, "not_found")


def test_a_notification_that_comes_too_late_is_409(caller: Caller) -> None:
    order_id = place_in(Status.CANCELED)
    with nothing_changes(order_id):
        refusal(notify(caller, order_id), 409, "OMS003")


# Authorize dispatch


def test_an_authorized_dispatch_answers_201(caller: Caller) -> None:
    order_id = place_in(Status.WAITING_FFMT_AUTHORIZATION, Flow.FULFILLMENT)
    path = f"fulfillment/pvt/orders/{order_id}/fulfill?affiliateId=TST"
    answer = caller.post(path, {"marketplaceOrderId": order_of(order_id).marketplace_order_id})
    body = parsed(answer)
    assert answer.status_code == 201
    assert (body["status"], body["orderId"]) == ("fulfillment", order_id)
    assert body["details"]["status"] == status_of(order_id) == Status.AUTHORIZE_FULFILLMENT
    with nothing_changes(order_id):
        assert caller.post(path).status_code == 201


def test_an_order_that_nobody_need_authorize_is_409(caller: Caller) -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    with nothing_changes(order_id):
        refusal(caller.post(f"fulfillment/pvt/orders/{order_id}/fulfill"), 409, "OMS003")
