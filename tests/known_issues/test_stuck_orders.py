"""
Orders that got stuck for ever, and races, in the anchor: each issue, and that it does not hurt here.

The numbers are the anchor's known issues. Races in full are in tests/concurrency/test_races.py,
changes of seller (1082298, 656815) in tests/workflow/test_seller_changes.py.
"""

from datetime import timedelta

import pytest
from django_q.models import OrmQ

from oms.orders.documents.building import order_document
from oms.orders.statuses import Flow, Status
from tests.workflow.sandboxes import ThreadedSandbox
from tests.workflow.stories import (
    assert_legal_history,
    item_of,
    kinds_of,
    let_time_pass,
    order_of,
    payment_of,
    place,
    place_in,
    record,
    refused,
    status_of,
    steps_of,
)
from workflow.announcing import sweep
from workflow.flows import TransitionNotAllowed
from workflow.models import ConnectorState, WorkItem
from workflow.runner import run_due
from workflow.services.cancellation import cancel_order, deny_cancellation
from workflow.services.payment import approve_payment
from workflow.services.repair import retry_work, skip_work
from workflow.steps import Step

pytestmark = pytest.mark.django_db

SHOPPER, STAFF = "user:shopper", "user:ann"


def park(order_id: str, step: Step, cause: str = "HTTP 500") -> int:
    """This function will make a step one that has failed for good."""
    item = item_of(order_id, step)
    WorkItem.objects.filter(pk=item.pk).update(
        parked_at=item.due_at, cause=cause, attempts=8, last_error=cause
    )
    return item.pk


@pytest.mark.parametrize("invoice_is_first", [True, False])
def test_1400005_cancel_and_invoice_a_moment_apart_leave_one_of_them(
    sandbox: ThreadedSandbox, invoice_is_first: bool
) -> None:
    order_id = place_in(Status.HANDLING)
    if invoice_is_first:
        record(order_id)
        with pytest.raises(Exception, match="partly invoiced"):
            cancel_order(order_id=order_id, reason="", actor=SHOPPER)
    else:
        cancel_order(order_id=order_id, reason="", actor=SHOPPER)
        record(order_id)
    run_due()
    assert status_of(order_id) == Status.INVOICED
    assert order_document(order_of(order_id))["workflowIsInError"] is False
    assert_legal_history(order_id)


def test_1372902_what_the_seller_invoices_is_invoiced_for_the_marketplace_too(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place_in(Status.WAITING_SELLER_HANDLING, Flow.MARKETPLACE)
    record(order_id, "NF-1", 400)
    record(order_id, "NF-2", 600)
    run_due()
    assert status_of(order_id) == Status.INVOICED


def test_1218606_an_order_stuck_in_start_handling_is_freed_without_a_ticket(
    sandbox: ThreadedSandbox,
) -> None:
    order_id, other = place_in(Status.START_HANDLING), place_in(Status.START_HANDLING)
    stuck, also = park(order_id, Step.WITHDRAW_STOCK), park(other, Step.WITHDRAW_STOCK)
    retry_work(item_pks=[stuck], reason="stock is back", actor=STAFF)
    skip_work(item_pks=[also], reason="taken by hand", actor=STAFF)
    run_due()
    assert status_of(order_id) == status_of(other) == Status.HANDLING


def test_1198719_an_order_stuck_in_cancel_is_freed_without_a_ticket(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place_in(Status.CANCEL, Flow.FULFILLMENT)
    stuck = park(order_id, Step.RELEASE_STOCK)
    skip_work(item_pks=[stuck], reason="put back by hand", actor=STAFF)
    assert status_of(order_id) == Status.CANCELED


@pytest.mark.parametrize("status", [Status.READY_FOR_HANDLING, Status.HANDLING])
def test_1004978_a_denied_cancellation_lets_the_seller_go_on(
    sandbox: ThreadedSandbox, status: Status
) -> None:
    order_id = place_in(status, Flow.FULFILLMENT)
    cancel_order(order_id=order_id, reason="", actor=SHOPPER)
    deny_cancellation(order_id=order_id, actor="key:seller", reason="it is packed")
    run_due()
    assert status_of(order_id) == status


def test_1089344_an_order_whose_creation_failed_can_be_canceled_to_the_end(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place_in(Status.ORDER_CREATION_ERROR)
    cancel_order(order_id=order_id, reason="broken", actor=STAFF)
    run_due()
    assert status_of(order_id) == Status.CANCELED


def test_1031035_a_payment_that_is_approved_early_moves_the_order_when_it_arrives(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place()
    payment_id = payment_of(order_id).payment_id
    approve_payment(order_id=order_id, payment_id=payment_id, actor="key:gateway")
    run_due()
    assert status_of(order_id) == Status.WINDOW_TO_CANCEL
    assert sandbox.effects()["operations"]["authorization"]["calls"] == 0


def test_1349027_an_order_leaves_verifying_invoice_once_the_gateway_answers(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place_in(Status.HANDLING)
    record(order_id)
    sandbox.set_fault("error")
    run_due(seconds=0.5)
    assert status_of(order_id) == Status.INVOICE
    assert item_of(order_id, Step.SETTLE_INVOICE).last_error
    sandbox.clear_faults()
    ConnectorState.objects.all().delete()
    let_time_pass(order_id, timedelta(hours=1))
    run_due()
    assert status_of(order_id) == Status.INVOICED


def test_1218615_an_order_whose_message_was_lost_goes_on_and_once_only(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place(Flow.FULFILLMENT)
    OrmQ.objects.all().delete()
    assert sweep() == 1
    run_due()
    run_due()
    assert kinds_of(order_id).count("order.completed") == 1
    assert status_of(order_id) == Status.WAITING_FFMT_AUTHORIZATION


def test_345526_the_seller_does_not_go_on_before_the_marketplace_says_so(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place(Flow.FULFILLMENT)
    run_due()
    let_time_pass(order_id, timedelta(hours=12))
    run_due()
    assert status_of(order_id) == Status.WAITING_FFMT_AUTHORIZATION
    with refused(order_id, TransitionNotAllowed):
        record(order_id)


def test_376646_goods_are_not_called_invoiced_when_their_capture_was_denied(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place_in(Status.HANDLING)
    sandbox.force_outcome(order_id, "capture", "denied")
    record(order_id)
    run_due()
    assert status_of(order_id) == Status.INVOICE
    assert item_of(order_id, Step.SETTLE_INVOICE).cause == "capture denied"


def test_420019_a_canceled_order_leaves_no_payment_authorized(sandbox: ThreadedSandbox) -> None:
    order_id = place()
    run_due()
    cancel_order(order_id=order_id, reason="", actor=SHOPPER)
    run_due()
    assert (status_of(order_id), payment_of(order_id).status) == (Status.CANCELED, "voided")
    assert sandbox.effects()["operations"]["void"]["effects"] == 1
    assert steps_of(order_id) == set()
