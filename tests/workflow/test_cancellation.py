"""Canceling: at once, by request and decision, by time; and who wins against an invoice."""

import uuid
from datetime import timedelta

import pytest
from pytest_django import Settings

from oms.orders.locks import OrderNotFound
from oms.orders.models import CancellationRequest
from oms.orders.statuses import Flow, Status
from tests.workflow.stories import (
    assert_legal_history,
    item_of,
    kinds_of,
    last_event,
    let_time_pass,
    move,
    order_of,
    place_in,
    record,
    refused,
    status_of,
    statuses_of,
    steps_of,
)
from workflow.flows import TABLES, Action, TransitionNotAllowed
from workflow.runner import Tally, run_once
from workflow.services.cancellation import accept_cancellation, cancel_order, deny_cancellation
from workflow.services.refusals import CancellationRefused, PartOfOrderNotFound
from workflow.services.repair import force_status
from workflow.steps import Step

pytestmark = pytest.mark.django_db

SHOP, SELLER = "key:shop", "key:seller"
CONFIRM = timedelta(seconds=30)


def ask(order_id: str, reason: str = "too late") -> uuid.UUID:
    """This function will ask for a cancellation and return the request's id."""
    done = cancel_order(order_id=order_id, reason=reason, actor=SHOP)
    assert done.request_id is not None
    return done.request_id


@pytest.mark.parametrize("flow", list(Flow))
def test_every_status_cancels_at_once_or_asks_or_refuses_as_its_table_says(flow: Flow) -> None:
    for status in statuses_of(flow):
        order_id = place_in(status, flow)
        asks = TABLES[flow].get((status, Action.REQUEST_CANCELLATION))
        cancels = TABLES[flow].get((status, Action.CANCEL))
        waits = status in (Status.CANCELLATION_REQUESTED, Status.WAITING_FOR_SELLER_DECISION)
        if waits or not (asks or cancels):
            with refused(order_id, TransitionNotAllowed):
                cancel_order(order_id=order_id, reason="r", actor=SHOP)
        else:
            done = cancel_order(order_id=order_id, reason="r", actor=SHOP)
            assert done.status == status_of(order_id) == (cancels or asks)
            assert (done.request_id is None) == (cancels is not None)


def test_whoever_only_asks_confirms_nobody_elses_request() -> None:
    order_id = place_in(Status.HANDLING)
    ask(order_id)
    let_time_pass(order_id, 2 * CONFIRM)
    with refused(order_id, TransitionNotAllowed):
        cancel_order(order_id=order_id, reason="r", actor="user:eva", may_confirm=False)


def test_a_cancellation_at_once_keeps_reason_and_actor() -> None:
    order_id = place_in(Status.WINDOW_TO_CANCEL)
    done = cancel_order(order_id=order_id, reason="found it cheaper", actor=SHOP)
    event = last_event(order_id)
    assert (event.kind, event.actor) == ("order.cancellation-started", SHOP)
    assert (event.reason, event.data) == ("found it cheaper", {})
    assert event.occurred_at == done.at == order_of(order_id).last_change_at
    assert order_of(order_id).cancel_reason == "found it cheaper"
    assert steps_of(order_id) == {Step.VOID_PAYMENT}


@pytest.mark.parametrize(
    ("flow", "status", "reached"),
    [
        (Flow.COMPLETE, Status.READY_FOR_HANDLING, Status.CANCELLATION_REQUESTED),
        (Flow.FULFILLMENT, Status.HANDLING, Status.CANCELLATION_REQUESTED),
        (Flow.MARKETPLACE, Status.WAITING_SELLER_HANDLING, Status.REQUEST_CANCEL),
        (Flow.CHAIN, Status.PAYMENT_APPROVED, Status.REQUEST_CANCEL),
    ],
)
def test_after_the_window_a_cancellation_is_a_request(
    flow: Flow, status: Status, reached: Status
) -> None:
    order_id = place_in(status, flow)
    request_id = ask(order_id)
    request = CancellationRequest.objects.get(order__order_id=order_id)
    assert status_of(order_id) == reached
    assert (request.request_id, request.reason) == (request_id, "too late")
    assert (request.requested_by, request.status_before) == (SHOP, status)
    assert (request.requested_at, request.decided_at) == (order_of(order_id).last_change_at, None)
    assert last_event(order_id).data == {"cancellationRequestId": str(request_id)}
    assert order_of(order_id).cancel_reason == ""


def test_an_accepted_request_cancels_with_the_reason_that_was_asked_with() -> None:
    order_id = place_in(Status.HANDLING)
    request_id = ask(order_id)
    done = accept_cancellation(order_id=order_id, actor=SELLER)
    request = CancellationRequest.objects.get(request_id=request_id)
    assert (done.status, done.request_id) == (Status.CANCEL, request_id)
    assert (request.decided_at, request.is_denied) == (done.at, False)
    assert order_of(order_id).cancel_reason == last_event(order_id).reason == "too late"


@pytest.mark.parametrize(
    "status", [Status.READY_FOR_HANDLING, Status.HANDLING, Status.READY_FOR_INVOICING]
)
def test_a_denied_request_returns_the_order_to_where_it_was(status: Status) -> None:
    order_id = place_in(status)
    request_id = ask(order_id)
    deny_cancellation(order_id=order_id, actor=SELLER, reason="shipped", request_id=request_id)
    request = CancellationRequest.objects.get(request_id=request_id)
    assert (request.is_denied, request.deny_reason) == (True, "shipped")
    assert request.decided_at == order_of(order_id).last_change_at
    assert status_of(order_id) == Status.CANCELLATION_REQUEST_DENIED_FFM
    run_once(Tally())
    assert status_of(order_id) == status
    assert_legal_history(order_id)


def test_a_denied_request_of_a_marketplace_order_returns_to_payment_approved() -> None:
    order_id = place_in(Status.WAITING_SELLER_HANDLING, Flow.MARKETPLACE)
    ask(order_id)
    run_once(Tally())
    assert status_of(order_id) == Status.WAITING_FOR_SELLER_DECISION
    deny_cancellation(order_id=order_id, actor=SELLER, reason="no")
    assert status_of(order_id) == Status.PAYMENT_APPROVED


def test_a_second_request_after_a_denial_returns_to_where_the_second_was_asked() -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    ask(order_id)
    deny_cancellation(order_id=order_id, actor=SELLER, reason="")
    run_once(Tally())
    for action in (Action.START_HANDLING, Action.ACKNOWLEDGE_HANDLING):
        move(order_id, action)
    ask(order_id, "again")
    deny_cancellation(order_id=order_id, actor=SELLER, reason="")
    run_once(Tally())
    assert status_of(order_id) == Status.HANDLING
    assert CancellationRequest.objects.filter(order__order_id=order_id).count() == 2


def test_a_denial_of_another_request_is_refused() -> None:
    order_id = place_in(Status.HANDLING)
    ask(order_id)
    with refused(order_id, PartOfOrderNotFound):
        deny_cancellation(order_id=order_id, actor=SELLER, reason="", request_id=uuid.uuid4())


@pytest.mark.parametrize("decide", [accept_cancellation, deny_cancellation])
def test_nothing_is_decided_that_was_not_asked(decide: object) -> None:
    order_id = place_in(Status.HANDLING)
    with refused(order_id, TransitionNotAllowed):
        decide(order_id=order_id, actor=SELLER, reason="x")  # type: ignore[operator]


def test_a_repeated_first_call_confirms_nothing(settings: Settings) -> None:
    order_id = place_in(Status.HANDLING)
    ask(order_id)
    let_time_pass(order_id, timedelta(seconds=settings.CANCELLATION_CONFIRM_SECONDS - 2))
    with refused(order_id, TransitionNotAllowed):
        cancel_order(order_id=order_id, reason="", actor=SHOP)


def test_a_second_call_later_confirms_the_request(settings: Settings) -> None:
    order_id = place_in(Status.HANDLING)
    request_id = ask(order_id)
    let_time_pass(order_id, timedelta(seconds=settings.CANCELLATION_CONFIRM_SECONDS))
    done = cancel_order(order_id=order_id, reason="", actor=SELLER)
    assert (done.status, done.request_id) == (Status.CANCEL, request_id)
    assert CancellationRequest.objects.get(request_id=request_id).decided_at == done.at


@pytest.mark.parametrize(
    ("flow", "status"),
    [
        (Flow.COMPLETE, Status.CANCELLATION_REQUESTED),
        (Flow.MARKETPLACE, Status.WAITING_FOR_SELLER_DECISION),
    ],
)
def test_a_silent_seller_loses_the_order_after_thirty_days(flow: Flow, status: Status) -> None:
    order_id = place_in(
        Status.PAYMENT_APPROVED if flow is Flow.MARKETPLACE else Status.HANDLING, flow
    )
    ask(order_id)
    if flow is Flow.MARKETPLACE:
        run_once(Tally())
    assert status_of(order_id) == status
    let_time_pass(order_id, timedelta(days=30) - timedelta(minutes=1))
    run_once(Tally())
    assert status_of(order_id) == status
    let_time_pass(order_id, timedelta(minutes=1))
    run_once(Tally())
    assert status_of(order_id) == Status.CANCEL
    assert last_event(order_id).kind == "order.cancellation-accepted"
    assert last_event(order_id).reason == "The seller did not decide in time."
    assert not CancellationRequest.objects.filter(decided_at=None).exists()


def test_a_partly_invoiced_order_is_not_canceled() -> None:
    order_id = place_in(Status.HANDLING)
    record(order_id, value_cents=400)
    with refused(order_id, CancellationRefused):
        cancel_order(order_id=order_id, reason="", actor=SHOP)
    move(order_id, Action.SETTLE_PART)
    with refused(order_id, CancellationRefused, "partly invoiced"):
        cancel_order(order_id=order_id, reason="", actor=SHOP)


def test_an_invoiced_order_is_returned_and_not_canceled() -> None:
    order_id = place_in(Status.HANDLING)
    record(order_id)
    move(order_id, Action.SETTLE_INVOICE)
    with refused(order_id, TransitionNotAllowed):
        cancel_order(order_id=order_id, reason="", actor=SHOP)


@pytest.mark.parametrize("flow", list(Flow))
def test_an_invoice_while_a_cancellation_is_asked_for_denies_it(flow: Flow) -> None:
    is_shipping = flow in (Flow.COMPLETE, Flow.FULFILLMENT)
    order_id = place_in(Status.HANDLING if is_shipping else Status.WAITING_SELLER_HANDLING, flow)
    request_id = ask(order_id)
    if not is_shipping:
        run_once(Tally())
    record(order_id, "NF-7")
    request = CancellationRequest.objects.get(request_id=request_id)
    assert (request.is_denied, request.deny_reason) == (True, "Invoiced under NF-7.")
    assert status_of(order_id) == Status.INVOICE_AFTER_CANCELLATION_DENY
    with refused(order_id, CancellationRefused):
        cancel_order(order_id=order_id, reason="", actor=SHOP)
    run_once(Tally())
    assert kinds_of(order_id)[-1] != "order.invoice-recorded"
    assert_legal_history(order_id)


def test_an_order_forced_out_of_the_decision_can_be_asked_for_again() -> None:
    order_id = place_in(Status.HANDLING)
    ask(order_id)
    force_status(order_id=order_id, status=Status.HANDLING, reason="mistake", actor="user:ann")
    request = CancellationRequest.objects.get(order__order_id=order_id)
    assert (request.is_denied, request.deny_reason) == (True, "mistake")
    ask(order_id, "really")
    assert item_of(order_id, Step.CANCEL_OVERDUE).due_at > order_of(order_id).status_since


def test_an_unknown_order_is_not_there() -> None:
    with pytest.raises(OrderNotFound):
        cancel_order(order_id="nobody", reason="", actor=SHOP)
