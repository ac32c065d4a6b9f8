"""From "ready" to "handling": the ERP or the warehouse takes the order up."""

from django.db import transaction

from oms.orders.locks import LockedOrder, lock_order
from workflow.announcing import announce
from workflow.flows import Action
from workflow.moves import Change, write_change


@transaction.atomic
def move_order(*, order_id: str, action: Action, actor: str, reason: str = "") -> LockedOrder:
    """
    This function will move one order by an action that needs nothing but the table's consent.

    Returns the order as it was before. Raises OrderNotFound, TransitionNotAllowed.
    """
    order = lock_order(order_id)
    written = write_change(Change(order=order, actor=actor, action=action, reason=reason))
    announce(written.due_item_ids)
    return order


def start_handling(*, order_id: str, actor: str) -> None:
    """This function will start the handling of an order that is ready for it."""
    move_order(order_id=order_id, action=Action.START_HANDLING, actor=actor)


def finish_picking(*, order_id: str, actor: str) -> None:
    """This function will say that the warehouse has picked an order that is being handled."""
    move_order(order_id=order_id, action=Action.FINISH_PICKING, actor=actor)


def release_from_warehouse(*, order_id: str, actor: str) -> None:
    """This function will say that the warehouse system lets an order go on to handling."""
    move_order(order_id=order_id, action=Action.RELEASE_FROM_WAREHOUSE, actor=actor)
