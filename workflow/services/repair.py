"""
What staff do about work that stands still: retry, skip, force. Each with reason and audit.

The anchor's users have to open a ticket for this (research, known issues 26 to 34).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction

from oms.ops.audit import record_audit
from oms.orders.locks import LockedOrder, lock_order, lock_orders
from oms.orders.models import InvoiceType, Package
from oms.orders.statuses import Status
from workflow.announcing import announce
from workflow.changes.settling import cancel_request, write_settled
from workflow.flows import TABLES, Action, TransitionNotAllowed
from workflow.models import ChangeRequest, WorkItem
from workflow.moves import Change, write_change
from workflow.services.refusals import InvalidInput, NotRepairable, Problem
from workflow.steps import ACTION_WHEN_SKIPPED, UNBOUND_STEPS, Step
from workflow.work import close_items

Repair = Callable[[int, str, str], None]


@dataclass(frozen=True, slots=True)
class Repaired:
    """How many work items a repair reached, and which could not be, with the reason."""

    done: int
    refused: dict[int, str]


def retry_work(*, item_pks: Sequence[int], reason: str, actor: str) -> Repaired:
    """
    This function will give parked or waiting items a fresh start, each in a transaction of its own.

    Raises InvalidInput without a reason.
    """
    return _repair_each(item_pks, reason, actor, _retry)


def skip_work(*, item_pks: Sequence[int], reason: str, actor: str) -> Repaired:
    """
    This function will let orders go on as if the outside service had agreed.

    Only the steps in `ACTION_WHEN_SKIPPED` can be skipped, and those that move nothing: refunds
    paid by hand, parcels that no carrier knows. Raises InvalidInput without a reason.
    """
    return _repair_each(item_pks, reason, actor, _skip)


@transaction.atomic
def force_status(*, order_id: str, status: Status, reason: str, actor: str) -> LockedOrder:
    """
    This function will put an order into a status around the table, and open that status's steps.

    The last resort. Returns the order as it was. Raises OrderNotFound, InvalidInput.
    """
    _need_reason(reason)
    order = lock_order(order_id)
    if order.status is status:
        raise InvalidInput(Problem("status", f"The order is in {status} already."))
    # A status of another flow has no way out in this one.
    known = tuple(dict.fromkeys(TABLES[order.flow].values()))
    if status not in known:
        message = f"{status} is no status of the {order.flow} flow."
        raise InvalidInput(Problem("status", message, known))
    written = write_change(
        Change(order=order, actor=actor, forced_to=status, kind="order.forced", reason=reason)
    )
    record_audit(
        actor=actor,
        action="order.forced",
        object_type="order",
        object_id=order.order_id,
        reason=reason,
        details={"from": order.status, "to": status},
    )
    announce(written.due_item_ids)
    return order


def _need_reason(reason: str) -> None:
    if not reason.strip():
        raise InvalidInput(Problem("reason", "Say why; it is kept in the audit log."))


def _repair_each(item_pks: Sequence[int], reason: str, actor: str, repair: Repair) -> Repaired:
    _need_reason(reason)
    done, refused = 0, {}
    for pk in item_pks:
        try:
            with transaction.atomic():
                repair(pk, reason, actor)
            done += 1
        except (NotRepairable, TransitionNotAllowed) as refusal:
            refused[pk] = str(refusal)
    return Repaired(done, refused)


def _lock(pk: int) -> tuple[WorkItem, LockedOrder]:
    # The order first, then the item: the order of locks everywhere.
    order_pk = WorkItem.objects.filter(pk=pk).values_list("order_id", flat=True).first()
    orders = lock_orders([order_pk]) if order_pk else {}
    item = WorkItem.objects.select_for_update().filter(pk=pk).first()
    if item is None or item.order_id not in orders:
        raise NotRepairable("The work is done already.")
    return item, orders[item.order_id]


def _retry(pk: int, reason: str, actor: str) -> None:
    item, order = _lock(pk)
    if item.leased_until and item.leased_until > order.read_at:
        raise NotRepairable("A worker is at it right now.")
    if item.due_at > order.read_at:
        # A timer that is hurried would cancel orders before their time.
        raise NotRepairable(f"Not due before {item.due_at.isoformat(timespec='seconds')}.")
    cause = item.cause
    start_again(order, item)
    _tell(order, item, "work.retried", cause, reason, actor)
    announce([item.pk])


def start_again(order: LockedOrder, item: WorkItem) -> None:
    """This function will give a locked order's item a fresh start, parked or not."""
    item.parked_at = None
    item.cause = ""
    item.attempts = 0
    item.next_attempt_at = order.read_at
    item.announced_at = None
    item.save(update_fields=["parked_at", "cause", "attempts", "next_attempt_at", "announced_at"])


def _skip(pk: int, reason: str, actor: str) -> None:
    item, order = _lock(pk)
    if item.step == Step.AUTHORIZE_CHANGE:
        # Without the money there is no change; skipping it would leave the request open for ever.
        _give_change_up(order, item, reason, actor)
        _audit(order, item, "work.skipped", reason, actor)
        return
    if item.step in UNBOUND_STEPS:
        close_items([item.pk])
        if item.step == Step.RETURN_DIFFERENCE:  # paid back by hand
            ChangeRequest.objects.filter(order_id=order.pk).update(returns_cents=0)
        _tell(order, item, "work.skipped", item.cause, reason, actor)
        return
    action = _action_when_skipped(item)
    if action is None:
        skippable = ", ".join([*ACTION_WHEN_SKIPPED, *sorted(UNBOUND_STEPS)])
        raise NotRepairable(f"{item.step} cannot be skipped; these can: {skippable}.")
    written = write_change(
        Change(
            order=order,
            actor=actor,
            action=action,
            reason=reason,
            data={"skipped": item.step, "cause": item.cause},
        )
    )
    _audit(order, item, "work.skipped", reason, actor)
    announce(written.due_item_ids)


def _give_change_up(order: LockedOrder, item: WorkItem, reason: str, actor: str) -> None:
    if item.leased_until and item.leased_until > order.read_at:
        raise NotRepairable("A worker is at it right now.")
    close_items([item.pk])
    request = ChangeRequest.objects.filter(order_id=order.pk, decided_at__isnull=True).first()
    if request is not None:
        is_unsure = item.fence > 0
        write_settled(
            cancel_request(order, request, actor=actor, reason=reason, is_unsure=is_unsure)
        )


def _action_when_skipped(item: WorkItem) -> Action | None:
    # An invoice that came before the goods were out of stock is taken up, as after a call.
    if item.step == Step.WITHDRAW_STOCK and _has_unsettled_invoice(item.order_id):
        return Action.VERIFY_INVOICE
    return ACTION_WHEN_SKIPPED.get(Step(item.step))


def _has_unsettled_invoice(order_pk: int) -> bool:
    return Package.objects.filter(
        order_id=order_pk, type=InvoiceType.OUTPUT, is_settled=False
    ).exists()


def _tell(
    order: LockedOrder, item: WorkItem, kind: str, cause: str, reason: str, actor: str
) -> None:
    write_change(
        Change(
            order=order,
            actor=actor,
            kind=kind,
            reason=reason,
            data={"step": item.step, "cause": cause},
        )
    )
    _audit(order, item, kind, reason, actor)


def _audit(order: LockedOrder, item: WorkItem, action: str, reason: str, actor: str) -> None:
    record_audit(
        actor=actor,
        action=action,
        object_type="order",
        object_id=order.order_id,
        reason=reason,
        details={"step": item.step, "work_item": item.pk},
    )
