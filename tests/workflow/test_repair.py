"""What staff do about work that stands still: retry, skip, force; each with reason and audit."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from oms.ops.models import AuditEntry
from oms.orders.locks import OrderNotFound
from oms.orders.statuses import Flow, Status
from tests.workflow.stories import (
    item_of,
    kinds_of,
    last_event,
    nothing_changes,
    order_of,
    place,
    place_in,
    refused,
    status_of,
    statuses_of,
    steps_of,
)
from workflow.models import WorkItem
from workflow.selectors import orders_in_error
from workflow.services.refusals import InvalidInput
from workflow.services.repair import Repaired, force_status, retry_work, skip_work
from workflow.steps import ACTION_WHEN_SKIPPED, Step, openings_of
from workflow.work import claim_items, park_item

pytestmark = pytest.mark.django_db

ANN = "user:ann"


def parked(status: Status, step: Step, flow: Flow = Flow.COMPLETE) -> tuple[str, WorkItem]:
    order_id = place_in(status, flow)
    WorkItem.objects.filter(step=step).update(attempts=12)
    park_item(item_of(order_id, step).pk, cause="HTTP 500", error="Failed 12 times.")
    return order_id, item_of(order_id, step)


def retry(*items: WorkItem, reason: str = "it is back") -> Repaired:
    return retry_work(item_pks=[item.pk for item in items], reason=reason, actor=ANN)


def skip(*items: WorkItem, reason: str = "agreed by phone") -> Repaired:
    return skip_work(item_pks=[item.pk for item in items], reason=reason, actor=ANN)


def audit() -> AuditEntry:
    return AuditEntry.objects.order_by("-pk")[0]


def test_a_retried_item_has_a_fresh_start_and_leaves_a_line_on_the_timeline() -> None:
    order_id, item = parked(Status.PAYMENT_PENDING, Step.AUTHORIZE_PAYMENT)
    assert orders_in_error([item.order_id]) == {item.order_id}
    assert retry(item) == Repaired(1, {})
    again = item_of(order_id, Step.AUTHORIZE_PAYMENT)
    assert (again.parked_at, again.cause, again.attempts) == (None, "", 0)
    assert again.next_attempt_at <= order_of(order_id).last_change_at
    event = last_event(order_id)
    assert (event.kind, event.actor, event.reason) == ("work.retried", ANN, "it is back")
    assert event.data == {"step": "authorize-payment", "cause": "HTTP 500"}
    assert (audit().actor, audit().action, audit().object_id) == (ANN, "work.retried", order_id)
    assert audit().reason == "it is back"
    assert orders_in_error([item.order_id]) == frozenset()


def test_a_timer_cannot_be_hurried_by_a_retry() -> None:
    order_id = place_in(Status.CANCELLATION_REQUESTED)
    item = item_of(order_id, Step.CANCEL_OVERDUE)
    with nothing_changes(order_id):
        repaired = retry(item)
    assert repaired.done == 0
    assert repaired.refused[item.pk].startswith("Not due before 20")


def test_an_item_that_a_worker_holds_is_left_to_it() -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    claim_items(connector="payments", limit=1, lease=timedelta(seconds=20), worker="w")
    item = item_of(order_id, Step.AUTHORIZE_PAYMENT)
    with nothing_changes(order_id):
        assert retry(item).refused == {item.pk: "A worker is at it right now."}


@pytest.mark.parametrize("repair", [retry, skip])
def test_work_that_is_done_meanwhile_is_named_and_the_others_are_repaired(
    repair: Callable[..., Repaired],
) -> None:
    _, first = parked(Status.APPROVE_PAYMENT, Step.CHECK_FRAUD)
    gone = WorkItem(pk=first.pk + 1000)
    _, last = parked(Status.APPROVE_PAYMENT, Step.CHECK_FRAUD)
    repaired = repair(first, gone, last)
    assert repaired == Repaired(2, {gone.pk: "The work is done already."})


@pytest.mark.parametrize("repair", [retry, skip])
@pytest.mark.parametrize("reason", ["", "  "])
def test_without_a_reason_nothing_is_repaired(
    repair: Callable[..., Repaired], reason: str
) -> None:
    order_id, item = parked(Status.APPROVE_PAYMENT, Step.CHECK_FRAUD)
    with refused(order_id, InvalidInput, "reason"):
        repair(item, reason=reason)
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("status", "step", "reached"),
    [
        (Status.APPROVE_PAYMENT, Step.CHECK_FRAUD, Status.PAYMENT_APPROVED),
        (Status.AUTHORIZE_FULFILLMENT, Step.CONFIRM_STOCK, Status.WINDOW_TO_CANCEL),
        (Status.START_HANDLING, Step.WITHDRAW_STOCK, Status.HANDLING),
        (Status.WINDOW_TO_CANCEL, Step.CLOSE_WINDOW_TO_CANCEL, Status.READY_FOR_HANDLING),
    ],
)
def test_a_skipped_step_lets_the_order_go_on(status: Status, step: Step, reached: Status) -> None:
    order_id, item = parked(status, step)
    assert skip(item) == Repaired(1, {})
    event = last_event(order_id)
    assert status_of(order_id) == reached
    assert (event.actor, event.reason) == (ANN, "agreed by phone")
    assert event.data == {"skipped": step, "cause": "HTTP 500"}
    assert (audit().action, audit().object_id) == ("work.skipped", order_id)
    assert step not in steps_of(order_id)


def test_a_step_that_money_hangs_on_cannot_be_skipped() -> None:
    order_id, item = parked(Status.PAYMENT_PENDING, Step.AUTHORIZE_PAYMENT)
    with nothing_changes(order_id):
        repaired = skip(item)
    assert repaired.refused[item.pk].startswith("authorize-payment cannot be skipped; these can:")
    assert all(step in repaired.refused[item.pk] for step in ACTION_WHEN_SKIPPED)


def test_a_skip_that_the_table_refuses_holds_up_no_other_repair() -> None:
    stray_order, stray = parked(Status.PAYMENT_PENDING, Step.AUTHORIZE_PAYMENT)
    WorkItem.objects.filter(pk=stray.pk).update(step=Step.CONFIRM_STOCK)
    _, good = parked(Status.APPROVE_PAYMENT, Step.CHECK_FRAUD)
    with nothing_changes(stray_order):
        repaired = skip(stray)
    assert "needs authorize-fulfillment" in repaired.refused[stray.pk]
    assert skip(stray, good).done == 1


@pytest.mark.parametrize("flow", list(Flow))
def test_an_order_can_be_forced_into_every_status_of_its_flow(flow: Flow) -> None:
    order_id = place(flow)
    for status in statuses_of(flow):
        if status == status_of(order_id):
            continue
        before = force_status(order_id=order_id, status=status, reason="stuck", actor=ANN)
        event = last_event(order_id)
        assert (event.kind, event.reason) == ("order.forced", "stuck")
        assert (event.last_status, event.status) == (before.status, status)
        assert steps_of(order_id) == {opening.step for opening in openings_of(flow, status)}
        assert audit().details == {"from": before.status, "to": status}


@pytest.mark.parametrize(
    ("flow", "status"),
    [
        (Flow.FULFILLMENT, Status.PAYMENT_PENDING),
        (Flow.COMPLETE, Status.WAITING_SELLER_HANDLING),
        (Flow.COMPLETE, Status.NULL),
        (Flow.COMPLETE, Status.HANDLING),
    ],
)
def test_an_order_is_not_forced_where_it_could_not_go_on(flow: Flow, status: Status) -> None:
    order_id = place_in(Status.HANDLING, flow)
    with refused(order_id, InvalidInput, "status"):
        force_status(order_id=order_id, status=status, reason="stuck", actor=ANN)


def test_forcing_needs_a_reason_and_an_order() -> None:
    order_id = place()
    with refused(order_id, InvalidInput, "reason"):
        force_status(order_id=order_id, status=Status.CANCEL, reason=" ", actor=ANN)
    with pytest.raises(OrderNotFound):
        force_status(order_id="nobody", status=Status.CANCEL, reason="r", actor=ANN)
    assert kinds_of(order_id) == ["order.placed"]
