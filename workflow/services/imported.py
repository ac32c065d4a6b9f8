"""Imported orders take up their workflow where the import found them."""

from collections.abc import Sequence
from typing import Final

from django.db import connection, transaction

from oms.orders.locks import lock_orders
from workflow.announcing import announce
from workflow.budgets import budget_ends_at
from workflow.moves import open_work


@transaction.atomic
def schedule_imported(order_pks: Sequence[int]) -> int:
    """
    This function will open the work of imported orders that are not final, and return how much.

    Timers and time budgets begin now: what stood still elsewhere is not late here. Final orders
    have no steps; calling it again changes nothing.
    """
    orders = list(lock_orders(order_pks).values())
    budgets = [
        budget_ends_at(order.status, priority=order.priority, since=order.read_at)
        for order in orders
    ]
    with connection.cursor() as cursor:
        cursor.execute(_SET_BUDGETS, [[order.pk for order in orders], budgets])
    item_ids = open_work(orders)
    announce(item_ids)
    return len(item_ids)


_SET_BUDGETS: Final = """
    UPDATE orders_order o SET budget_ends_at = b.ends_at
    FROM unnest(%s::bigint[], %s::timestamptz[]) AS b (id, ends_at)
    WHERE o.id = b.id AND b.ends_at IS NOT NULL AND o.budget_ends_at IS NULL
"""
