"""News about payments: early, in parts, denied and tried again, said twice."""

from collections.abc import Callable
from typing import Any

import pytest

from oms.orders.documents.drafts import PaymentDraft
from oms.orders.models import Payment
from oms.orders.statuses import Flow, Status
from tests.workflow.sandboxes import ThreadedSandbox
from tests.workflow.stories import (
    assert_legal_history,
    kinds_of,
    last_event,
    let_time_pass,
    move,
    nothing_changes,
    order_of,
    payment_of,
    place,
    place_in,
    refused,
    status_of,
    statuses_of,
    steps_of,
)
from workflow.flows import TABLES, Action, TransitionNotAllowed
from workflow.runner import Tally, run_due, run_once
from workflow.services.payment import approve_payment, deny_payment
from workflow.services.refusals import PartOfOrderNotFound
from workflow.steps import CHANGE_PAYMENT_WITHIN, Step

pytestmark = pytest.mark.django_db

GATEWAY = "key:gateway"


def approve(order_id: str, payment_id: str = "") -> Status:
    found = payment_id or payment_of(order_id).payment_id
    return approve_payment(order_id=order_id, payment_id=found, actor=GATEWAY)


def deny(order_id: str, payment_id: str = "", reason: str = "no funds") -> Status:
    found = payment_id or payment_of(order_id).payment_id
    return deny_payment(order_id=order_id, payment_id=found, actor=GATEWAY, reason=reason)


def two_payments(**given: Any) -> dict[str, Any]:
    payments = [
        PaymentDraft(index=index, payment_id=name, value_cents=500, **given)
        for index, name in enumerate("AB")
    ]
    return {"payments": payments}


def test_an_approved_payment_moves_a_pending_order() -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    assert approve(order_id) == Status.APPROVE_PAYMENT
    event, payment = last_event(order_id), payment_of(order_id)
    assert payment.status == "approved"
    assert (event.kind, event.actor) == ("order.payment-authorized", GATEWAY)
    assert event.changes == {
        "status": ["payment-pending", "approve-payment"],
        f"payments.{payment.payment_id}.status": ["pending", "approved"],
    }
    assert steps_of(order_id) == {Step.CHECK_FRAUD}


def test_an_order_of_two_payments_waits_for_both() -> None:
    order_id = place_in(Status.PAYMENT_PENDING, **two_payments())
    assert approve(order_id, "A") == Status.PAYMENT_PENDING
    assert last_event(order_id).kind == "payment.approved"
    assert steps_of(order_id) == {Step.AUTHORIZE_PAYMENT, Step.CANCEL_OVERDUE}
    assert approve(order_id, "B") == Status.APPROVE_PAYMENT


@pytest.mark.parametrize("say", [approve, deny])
def test_the_same_news_again_changes_nothing(say: Callable[[str], Status]) -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    reached = say(order_id)
    with nothing_changes(order_id):
        assert say(order_id) == reached


@pytest.mark.parametrize("flow", list(Flow))
def test_in_every_status_an_approval_is_kept_or_moves_or_is_refused(flow: Flow) -> None:
    early = {
        Status.ORDER_CREATED,
        Status.ON_ORDER_COMPLETED,
        Status.WAITING_FOR_AUTHORIZATION,
        Status.WAITING_FOR_ORDER_AUTHORIZATION,
        Status.WINDOW_TO_CHANGE_SELLER,
    }
    for status in statuses_of(flow):
        order_id = place_in(status, flow)
        if flow in (Flow.COMPLETE, Flow.MARKETPLACE) and status in early:
            assert approve(order_id) == status
            assert last_event(order_id).kind == "payment.approved"
        elif status is Status.WINDOW_TO_CHANGE_PAYMENT:
            assert approve(order_id) == Status.PAYMENT_PENDING
        elif (status, Action.APPROVE_PAYMENT) in TABLES[flow]:
            assert approve(order_id) == Status.APPROVE_PAYMENT
        else:
            with refused(order_id, TransitionNotAllowed):
                approve(order_id)


@pytest.mark.parametrize("flow", list(Flow))
def test_in_every_status_a_denial_moves_or_is_refused(flow: Flow) -> None:
    for status in statuses_of(flow):
        order_id = place_in(status, flow)
        if (status, Action.DENY_PAYMENT) in TABLES[flow]:
            assert deny(order_id) == Status.PAYMENT_DENIED
            assert last_event(order_id).reason == "no funds"
        else:
            with refused(order_id, TransitionNotAllowed):
                deny(order_id)


@pytest.mark.parametrize("say", [approve, deny])
def test_an_unknown_payment_is_not_there(say: Callable[[str, str], Status]) -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    with refused(order_id, PartOfOrderNotFound, "no payment nope"):
        say(order_id, "nope")


def test_an_early_approval_is_honored_without_asking_the_gateway(sandbox: ThreadedSandbox) -> None:
    order_id = place()
    approve(order_id)
    run_due()
    assert status_of(order_id) == Status.WINDOW_TO_CANCEL
    operations = [effect["operation"] for effect in sandbox.effects(order_id)["effects"]]
    assert operations == ["reservation", "analysis", "confirmation"]
    assert_legal_history(order_id)


def test_a_denied_payment_cancels_a_complete_order(sandbox: ThreadedSandbox) -> None:
    order_id = place()
    sandbox.force_outcome(order_id, "authorization", "denied")
    run_due()
    assert status_of(order_id) == Status.CANCELED
    assert order_of(order_id).cancel_reason == "Payment denied."
    assert payment_of(order_id).status == "denied"
    assert "order.payment-denied" in kinds_of(order_id)
    results = {e["operation"]: e["result"] for e in sandbox.effects(order_id)["effects"]}
    assert results["release"] == "released"
    assert_legal_history(order_id)


def test_antifraud_may_refuse_what_the_gateway_approved(sandbox: ThreadedSandbox) -> None:
    order_id = place()
    sandbox.force_outcome(order_id, "analysis", "denied")
    run_due()
    assert status_of(order_id) == Status.CANCELED
    results = {e["operation"]: e["result"] for e in sandbox.effects(order_id)["effects"]}
    assert (results["void"], results["release"]) == ("voided", "released")
    assert payment_of(order_id).status == "voided"


def test_a_marketplace_order_gets_a_day_to_change_its_payment(sandbox: ThreadedSandbox) -> None:
    order_id = place(Flow.MARKETPLACE)
    sandbox.force_outcome(order_id, "authorization", "denied", times=1)
    run_due()
    assert status_of(order_id) == Status.WINDOW_TO_CHANGE_PAYMENT
    let_time_pass(order_id, CHANGE_PAYMENT_WITHIN)
    run_due()
    assert status_of(order_id) == Status.CANCELED


@pytest.mark.parametrize("refused_by", ["authorization", "analysis"])
def test_a_payment_tried_again_goes_on(sandbox: ThreadedSandbox, refused_by: str) -> None:
    order_id = place(Flow.MARKETPLACE, **two_payments())
    sandbox.force_outcome(order_id, refused_by, "denied", times=1)
    run_due()
    assert status_of(order_id) == Status.WINDOW_TO_CHANGE_PAYMENT
    assert set(Payment.objects.values_list("status", flat=True)) == {"denied"}
    assert approve(order_id, "A") == Status.WINDOW_TO_CHANGE_PAYMENT
    assert approve(order_id, "B") == Status.PAYMENT_PENDING
    run_due()
    assert status_of(order_id) == Status.WAITING_SELLER_HANDLING
    assert_legal_history(order_id)


def test_an_authorization_after_a_retried_payment_is_another_call(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place(Flow.MARKETPLACE)
    sandbox.force_outcome(order_id, "authorization", "denied", times=1)
    run_due()
    move(order_id, Action.RETRY_PAYMENT)
    run_once(Tally())
    run_due()
    assert status_of(order_id) == Status.WAITING_SELLER_HANDLING
    keys = [
        e["key"] for e in sandbox.effects(order_id)["effects"] if e["operation"] == "authorization"
    ]
    assert keys == [f"{order_id}:authorization", f"{order_id}:authorization:try-2"]
