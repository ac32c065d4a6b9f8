"""Which orders a key may see and touch: all, or those of its sellers and affiliates."""

from collections.abc import Iterable

from rest_framework.exceptions import PermissionDenied

from oms.access.authenticating import Principal
from oms.ops.logs import bind_requested_order
from oms.orders.locks import LockedOrder, OrderNotFound, lock_order
from oms.orders.models import Order
from oms.orders.selectors import get_order


def is_visible(order: Order, principal: Principal) -> bool:
    """This function will say whether the order lies within the key's sellers and affiliates."""
    return principal.serves_seller(order.seller_id) and principal.serves_affiliate(
        order.affiliate_id
    )


def visible_order(reference: str, principal: Principal) -> Order:
    """
    This function will return an order by id or `seq` number.

    An order outside the key's scope is not there: OrderNotFound either way.
    """
    order = get_order(reference)
    if not is_visible(order, principal):
        raise OrderNotFound(reference)
    # Not before it is known to be one: what is asked for may be anything, a person's name too.
    bind_requested_order(order.order_id)
    return order


def lock_visible(reference: str, principal: Principal) -> LockedOrder:
    """
    This function will lock an order that the key may see; it is looked at again under the lock.

    Another seller may have taken it over between the look and the lock. Raises OrderNotFound.
    """
    locked = lock_order(visible_order(reference, principal).order_id)
    if not principal.serves_seller(locked.seller_id):
        raise OrderNotFound(reference)
    return locked


def visible_orders(orders: Iterable[Order], principal: Principal) -> list[Order]:
    return [order for order in orders if is_visible(order, principal)]


def refuse_part_of_store(principal: Principal) -> None:
    """
    This function will let only keys of the whole store set what holds for all its sellers.

    :raises PermissionDenied: if the key is one of certain sellers or affiliates.
    """
    if principal.is_restricted:
        raise PermissionDenied
