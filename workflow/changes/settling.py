"""
What the gateway's answer means for a change request: applied, waiting, given up.

Called by `workflow.recording` with the order locked; what comes back is written by it.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal

from oms.orders.documents.building import order_document
from oms.orders.documents.deriving import logistics_of
from oms.orders.documents.kinds import moment_text
from oms.orders.documents.parts import own_id
from oms.orders.locks import LockedOrder
from oms.orders.models import Order
from oms.orders.statuses import FINAL_STATUSES, Status
from workflow.announcing import announce
from workflow.changes.applying import apply_plan
from workflow.changes.asking import BIGGEST_CENTS, Asked, read_change
from workflow.changes.parts import OrderParts, load_parts
from workflow.changes.pricing import Plan, make_plan
from workflow.flows import GIVEN_UP, PAYMENT_FLOWS, Action, find_next_status
from workflow.models import ChangeRequest, WorkItem
from workflow.moves import Change, write_change
from workflow.services.refusals import InvalidInput, Problem
from workflow.steps import Step
from workflow.work import NewWorkItem, add_work_items, close_items

State = ChangeRequest.State
# Where an order may be modified (contract, "Acceptable order status for modifications").
CHANGEABLE: Final = (Status.HANDLING, Status.WAITING_FOR_FULFILLMENT, Status.READY_FOR_INVOICING)
# An order that is between two statuses, or whose cancellation is being decided, is waited for.
LOOK_AGAIN_AFTER: Final = timedelta(seconds=30)

Result = Literal["approved", "denied", "pending", "too-late", "returned"]


@dataclass(frozen=True, slots=True)
class ChangeNews:
    """What a payment service's answer, or the order's end, says of a change request."""

    request_pk: int
    result: Result


@dataclass(slots=True)
class Settled:
    """The change to write, new work, and when to look again; none of them: done."""

    change: Change | None = None
    again: timedelta | None = None
    opened: list[NewWorkItem] = field(default_factory=list)


def settle(order: LockedOrder, news: ChangeNews, *, actor: str, claims: int) -> Settled:
    """
    This function will take news of a change request.

    `claims` counts how often the step was taken up: after the first, an earlier call may have
    taken effect without an answer.
    """
    request = ChangeRequest.objects.get(pk=news.request_pk)
    if news.result == "returned":
        return _returned(order, request)
    if not request.is_open:
        return Settled()
    if news.result == "pending":
        return _wait(order, request, "The gateway has not decided yet.", timedelta(minutes=1))
    if news.result == "denied":
        return _give_up(
            order, request, actor, "The gateway refused the higher amount.", paid=False
        )
    if news.result == "too-late" or order.status in FINAL_STATUSES | GIVEN_UP:
        reason = f"The order became {order.status.label.lower()} first."
        paid = news.result == "approved" or claims > 1
        return _give_up(order, request, actor, reason, paid=paid)
    if order.status not in CHANGEABLE:
        return _wait(order, request, f"The order is in {order.status}.", LOOK_AGAIN_AFTER)
    try:
        parts = load_parts(order.pk)
        plan = plan_of(request, parts)
        refuse_below_invoiced(parts, plan)
    except InvalidInput as refusal:
        # Something was invoiced meanwhile that the change takes away: the invoice was first.
        return _give_up(order, request, actor, str(refusal), paid=True)
    return Settled(carry_out(order, parts, plan, request, actor=actor))


def plan_of(request: ChangeRequest, parts: OrderParts) -> Plan:
    """This function will work out a request anew. Raises InvalidInput."""
    return plan_for(read_change(request.asked), request.request_id, request.settings, parts)


def plan_for(asked: Asked, request_id: str, settings: Any, parts: OrderParts) -> Plan:
    """This function will work out what is asked; the lines that it adds are named after the request."""
    return make_plan(
        asked,
        parts.lines,
        new_id=lambda number: own_id(parts.order.order_id, f"change {request_id}", number),
        compensate_shipping=settings["pipelineConfiguration"]["compensateShippingChanges"],
        has_one_address=parts.has_one_address,
    )


def refuse_below_invoiced(parts: OrderParts, plan: Plan) -> None:
    """This function will refuse a value below what is invoiced, or below nothing (KI 1348894)."""
    value = parts.order.value_cents + plan.difference_cents
    if value > BIGGEST_CENTS:
        raise InvalidInput(Problem("", f"An order is worth at most {BIGGEST_CENTS} cents."))
    if value < parts.invoiced_cents or value < 0:
        message = f"The order would be worth {value} cents; {parts.invoiced_cents} are invoiced."
        where = "manualDiscountValue" if plan.asked.discount_cents else ""
        raise InvalidInput(Problem(where, message))


def carry_out(
    order: LockedOrder, parts: OrderParts, plan: Plan, request: ChangeRequest, *, actor: str
) -> Change:
    """This function will apply a plan, close its request, and return the change to be written."""
    if not ChangeRequest.objects.filter(order_id=order.pk, state=State.DONE).exists():
        request.original = items_told(parts.order)
    applied = apply_plan(order, parts, plan, request)
    if plan.difference_cents < 0 and order.flow in PAYMENT_FLOWS:
        request.returns_cents = -plan.difference_cents
    _decide(order, request, State.DONE, "Applied.")
    is_whole = 0 < parts.order.value_cents <= parts.invoiced_cents and find_next_status(
        order.flow, order.status, Action.RECORD_INVOICE
    )
    return Change(
        order=order,
        actor=actor,
        # Nothing is left to invoice: what was a part is the whole now, and is verified as such.
        action=Action.RECORD_INVOICE if is_whole else None,
        kind="order.changed",
        reason=plan.asked.reason,
        changes=applied.changes,
        data={
            "requestId": request.request_id,
            "discountCents": plan.asked.discount_cents,
            "incrementCents": plan.asked.increment_cents,
            "clientFields": applied.client_fields,
        },
        parts_changed=True,
    )


def items_told(order: Order) -> list[dict[str, Any]]:
    """This function will return an order's items as its document shows them, with their places."""
    document = order_document(order)
    entries = logistics_of(document.get("shippingData"))
    deliveries = {entry.get("itemIndex"): entry for entry in entries}
    return [
        {
            **item,
            "itemIndex": index,
            "totalQuantity": item["quantity"],
            "deliveryIds": deliveries.get(index, {}).get("deliveryIds") or [],
        }
        for index, item in enumerate(document["items"])
    ]


def returning_of(order: LockedOrder) -> NewWorkItem:
    """
    This function will return the step that gives an amount back, in place of one that is open.

    A worker that is at it has lost its lease then; what it did is answered again under its key.
    """
    former = WorkItem.objects.filter(order_id=order.pk, step=Step.RETURN_DIFFERENCE)
    close_items(list(former.values_list("pk", flat=True)))
    return _item(order, Step.RETURN_DIFFERENCE)


def cancel_request(
    order: LockedOrder, request: ChangeRequest, *, actor: str, reason: str, is_unsure: bool
) -> Settled:
    """This function will give an open request up. `is_unsure`: its call may have taken effect."""
    return _give_up(order, request, actor, reason, paid=is_unsure)


def write_settled(settled: Settled) -> None:
    """This function will write what a decision came to, and announce the work that follows."""
    due: list[int] = []
    if settled.change is not None:
        due += write_change(settled.change).due_item_ids
    announce([*due, *add_work_items(settled.opened)])


def _give_up(
    order: LockedOrder, request: ChangeRequest, actor: str, reason: str, *, paid: bool
) -> Settled:
    settled = Settled()
    if paid and order.status in GIVEN_UP:
        settled.opened.append(_item(order, Step.UNDO_LATE_PAYMENT))
    elif paid:
        request.returns_cents = request.difference_cents
        settled.opened.append(returning_of(order))
    _decide(order, request, State.CANCELED, reason)
    settled.change = Change(
        order=order,
        actor=actor,
        kind="order.change-canceled",
        reason=reason,
        data={"requestId": request.request_id},
    )
    return settled


def _wait(order: LockedOrder, request: ChangeRequest, why: str, again: timedelta) -> Settled:
    if request.state != State.WAITING_CONFIRMATION:
        request.state = State.WAITING_CONFIRMATION
        log(request, order, why)
        request.save()
    return Settled(again=again)


def _returned(order: LockedOrder, request: ChangeRequest) -> Settled:
    if request.returns_cents:
        request.returns_cents = 0
        log(request, order, "The difference was given back.")
        request.save()
    others = ChangeRequest.objects.filter(order_id=order.pk, returns_cents__gt=0).exists()
    return Settled(again=timedelta(0) if others else None)


def _decide(order: LockedOrder, request: ChangeRequest, state: State, why: str) -> None:
    request.state = state
    request.decided_at = order.read_at
    log(request, order, why)
    request.save()


def log(request: ChangeRequest, order: LockedOrder, message: str) -> None:
    """This function will note on a request what happened to it; the caller saves it."""
    request.logs = [*request.logs, {"date": moment_text(order.read_at), "message": message}]


def _item(order: LockedOrder, step: Step) -> NewWorkItem:
    return NewWorkItem(order_pk=order.pk, step=step, priority=order.priority, due_at=order.read_at)
