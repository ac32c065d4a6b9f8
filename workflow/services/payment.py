"""News about payments from outside: approved, denied."""

from collections.abc import Iterable
from typing import Final

from django.db import transaction

from oms.orders.locks import LockedOrder, lock_order
from oms.orders.models import Payment, PaymentStatus
from oms.orders.statuses import Status
from workflow.announcing import announce
from workflow.flows import PAYMENT_FLOWS, Action, TransitionNotAllowed, find_next_status
from workflow.moves import Change, write_change
from workflow.services.refusals import PartOfOrderNotFound

PAID: Final = frozenset({PaymentStatus.APPROVED, PaymentStatus.CAPTURED})

# The notification may be faster than the order: the payment is marked, and the order does not
# stop at payment-pending when it gets there (KI 1031035: acknowledged, not moved).
EARLY_STATUSES: Final = frozenset(
    {
        Status.ORDER_CREATED,
        Status.ON_ORDER_COMPLETED,
        Status.WAITING_FOR_AUTHORIZATION,
        Status.WAITING_FOR_ORDER_AUTHORIZATION,
        # Without a seller for the moment: what is said now holds for the next one.
        Status.WINDOW_TO_CHANGE_SELLER,
    }
)


@transaction.atomic
def approve_payment(*, order_id: str, payment_id: str, actor: str, reason: str = "") -> Status:
    """
    This function will mark one payment as approved, and move the order when all of them are.

    Said twice it changes nothing the second time. Returns the order's status. Raises
    OrderNotFound, PartOfOrderNotFound, TransitionNotAllowed.
    """
    order = lock_order(order_id)
    payments = list(Payment.objects.filter(order_id=order.pk))
    payment = _find(payments, payment_id)
    if payment.status in PAID:
        return order.status
    action = _action_on_approval(order, payments, payment)
    old = payment.status
    payment.status = PaymentStatus.APPROVED
    payment.save(update_fields=["status"])
    written = write_change(
        Change(
            order=order,
            actor=actor,
            action=action,
            kind="" if action else "payment.approved",
            reason=reason,
            changes={f"payments.{payment_id}.status": [old, payment.status]},
            parts_changed=True,
        )
    )
    announce(written.due_item_ids)
    return written.statuses[order.pk]


@transaction.atomic
def deny_payment(*, order_id: str, payment_id: str, actor: str, reason: str) -> Status:
    """
    This function will mark one payment as denied, which denies the order's payment as a whole.

    Said twice it changes nothing the second time. Returns the order's status. Raises
    OrderNotFound, PartOfOrderNotFound, TransitionNotAllowed.
    """
    order = lock_order(order_id)
    payment = _find(Payment.objects.filter(order_id=order.pk), payment_id)
    if payment.status == PaymentStatus.DENIED:
        return order.status
    old = payment.status
    payment.status = PaymentStatus.DENIED
    payment.save(update_fields=["status"])
    written = write_change(
        Change(
            order=order,
            actor=actor,
            action=Action.DENY_PAYMENT,
            reason=reason or "Payment denied.",
            changes={f"payments.{payment_id}.status": [old, payment.status]},
            parts_changed=True,
        )
    )
    announce(written.due_item_ids)
    return written.statuses[order.pk]


def _find(payments: Iterable[Payment], payment_id: str) -> Payment:
    for payment in payments:
        if payment.payment_id == payment_id:
            return payment
    raise PartOfOrderNotFound(f"The order has no payment {payment_id}.")


def _action_on_approval(
    order: LockedOrder, payments: list[Payment], payment: Payment
) -> Action | None:
    if order.flow in PAYMENT_FLOWS and order.status in EARLY_STATUSES:
        return None
    action = (
        Action.RETRY_PAYMENT
        if order.status is Status.WINDOW_TO_CHANGE_PAYMENT
        else Action.APPROVE_PAYMENT
    )
    if find_next_status(order.flow, order.status, action) is None:
        raise TransitionNotAllowed(
            order_id=order.order_id, flow=order.flow, status=order.status, action=action
        )
    others_paid = all(other.status in PAID for other in payments if other is not payment)
    return action if others_paid else None
