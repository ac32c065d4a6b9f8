"""The only place that locks order rows: in ascending id, so that two batches cannot deadlock."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import connection

from oms.orders.statuses import Flow, Status


class OrderNotFound(Exception):
    """There is no order with this id."""

    def __init__(self, reference: str) -> None:
        self.reference = reference
        super().__init__(f"Order {reference} not found.")


@dataclass(frozen=True, slots=True)
class LockedOrder:
    """
    The facts of an order that rules look at, read under its row lock.

    `read_at` is PostgreSQL's clock after the lock was granted: the time of whatever the holder
    does next. `invoiced_cents` is the sum of output invoices, filled while an invoice is verified;
    `status_before_request` likewise while a denied cancellation is undone.
    """

    pk: int
    order_id: str
    flow: Flow
    status: Status
    version: int
    status_since: datetime
    last_change_at: datetime
    value_cents: int
    currency: str
    seller_id: str
    delivery_channel: str
    priority: int
    authorized_at: datetime | None
    is_complete: bool
    invoiced_cents: int
    status_before_request: str
    read_at: datetime

    @property
    def needs_authorization(self) -> bool:
        limit: int = settings.AUTHORIZATION_ABOVE_CENTS
        return 0 < limit < self.value_cents


KNOWN_STATUSES: Final = frozenset(status.value for status in Status)

_COLUMNS: Final = """
    SELECT o.id, o.order_id, o.flow, o.status, o.version, o.status_since, o.last_change_at,
           o.value_cents, o.currency, o.seller_id, o.delivery_channel, o.priority,
           o.authorized_at, o.is_complete,
           0::bigint, ''::text, clock_timestamp()
    FROM orders_order o
"""
_LOCK_MANY: Final = _COLUMNS + " WHERE o.id = ANY(%s) ORDER BY o.id FOR UPDATE OF o"
_LOCK_FREE: Final = _LOCK_MANY + " SKIP LOCKED"
_LOCK_ONE: Final = _COLUMNS + " WHERE o.order_id = %s FOR UPDATE OF o"

# What lies in other tables is read by a statement of its own, after the lock: the locking one waits
# with the snapshot that it began with, and would miss what the lock's last holder wrote there.
_NEEDS_PARTS: Final = frozenset({Status.INVOICE, Status.CANCELLATION_REQUEST_DENIED_FFM})
_PARTS: Final = """
    SELECT o.id,
           coalesce((SELECT sum(p.invoice_value_cents) FROM orders_package p
                     WHERE p.order_id = o.id AND p.type = 'Output'), 0)::bigint,
           coalesce((SELECT c.status_before FROM orders_cancellationrequest c
                     WHERE c.order_id = o.id ORDER BY c.requested_at DESC, c.id DESC LIMIT 1), '')
    FROM orders_order o WHERE o.id = ANY(%s)
"""


def lock_orders(pks: Sequence[int], *, skip_locked: bool = False) -> dict[int, LockedOrder]:
    """
    This function will lock the orders until the end of the transaction and return their facts.

    With `skip_locked`, orders that somebody else holds are left out instead of waited for. So are
    orders in a status that this code does not know: during a rolling deploy they are newer code's.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_FREE if skip_locked else _LOCK_MANY, [list(pks)])
        rows = [row for row in cursor.fetchall() if row[3] in KNOWN_STATUSES]
    return _with_parts({row[0]: _locked(row) for row in rows})


def lock_order(order_id: str) -> LockedOrder:
    """
    This function will lock one order by its public id.

    :raises OrderNotFound: if there is no such order.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_ONE, [order_id])
        row = cursor.fetchone()
    if row is None:
        raise OrderNotFound(order_id)
    return _with_parts({row[0]: _locked(row)})[row[0]]


def _with_parts(orders: dict[int, LockedOrder]) -> dict[int, LockedOrder]:
    wanted = [pk for pk, order in orders.items() if order.status in _NEEDS_PARTS]
    if not wanted:
        return orders
    with connection.cursor() as cursor:
        cursor.execute(_PARTS, [wanted])
        for pk, invoiced_cents, status_before in cursor.fetchall():
            orders[pk] = replace(
                orders[pk], invoiced_cents=invoiced_cents, status_before_request=status_before
            )
    return orders


def _locked(row: tuple) -> LockedOrder:  # type: ignore[type-arg]
    return LockedOrder(row[0], row[1], Flow(row[2]), Status(row[3]), *row[4:])
