"""Somebody above agrees: the marketplace that the seller may ship, an approver that the order may go on."""

from typing import Final

from django.db import transaction

from oms.orders.locks import lock_order
from oms.orders.statuses import Flow, Status
from workflow.announcing import announce
from workflow.flows import GIVEN_UP, Action
from workflow.moves import Change, write_change
from workflow.services.handling import move_order

# The authorization may be faster than the order: it is kept and taken up on arrival.
EARLY_STATUSES: Final = frozenset(
    {
        Status.ORDER_CREATED,
        Status.ORDER_ACCEPTED,
        Status.ON_ORDER_COMPLETED,
        Status.ON_ORDER_COMPLETED_FFM,
        Status.WAITING_FOR_AUTHORIZATION,
        Status.WAITING_FOR_ORDER_AUTHORIZATION,
        # Without a seller for the moment: what is said now holds for the next one.
        Status.WINDOW_TO_CHANGE_SELLER,
    }
)


@transaction.atomic
def authorize_fulfillment(*, order_id: str, actor: str, reason: str = "") -> Status:
    """
    This function will let a fulfillment or chain order go on, and return its status.

    Said twice it changes nothing the second time. Raises OrderNotFound, TransitionNotAllowed.
    """
    order = lock_order(order_id)
    # A complete or marketplace order is authorized by its payment: the table has no row for them.
    action = (
        Action.AUTHORIZE_FULFILLMENT
        if order.flow is Flow.FULFILLMENT
        else Action.AUTHORIZE_BY_MARKETPLACE
    )
    waits_for_others = order.flow in (Flow.FULFILLMENT, Flow.CHAIN)
    if waits_for_others and order.authorized_at and order.status not in GIVEN_UP:
        return order.status
    if waits_for_others and order.status in EARLY_STATUSES:
        change = Change(
            order=order,
            actor=actor,
            kind="order.authorization-received",
            reason=reason,
            authorizes=True,
        )
    else:
        change = Change(order=order, actor=actor, action=action, reason=reason)
    written = write_change(change)
    announce(written.due_item_ids)
    return written.statuses[order.pk]


def authorize_order(*, order_id: str, actor: str, reason: str = "") -> None:
    """This function will release an order that was held because of its value."""
    move_order(order_id=order_id, action=Action.AUTHORIZE_ORDER, actor=actor, reason=reason)
