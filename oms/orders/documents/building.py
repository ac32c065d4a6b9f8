"""
From rows to the order document: present rows, or those that an event left behind.

Present rows are one statement for one order and for a thousand. One statement is one round trip and
one view of the database: a document never mixes two versions of an order. The rows of a snapshot
(`oms.orders.snapshots`) are the same rows as they were, so both are assembled by the same code.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

import orjson
from django.db import connection
from django.db.models import NOT_PROVIDED, DateTimeField, Model

from oms.orders.documents.assembling import OrderRows, Row, assemble
from oms.orders.models import (
    CancellationRequest,
    Change,
    ClientProfile,
    Item,
    Order,
    OrderEvent,
    Package,
    PackageItem,
    Payment,
    TrackingEvent,
)


def order_document(order: Order, *, is_in_error: bool = False) -> dict[str, Any]:
    """This function will return the contract's document of one order, from its present rows."""
    return documents_by_pk([order.pk], in_error=[order.pk] if is_in_error else [])[order.pk]


def documents_by_pk(
    pks: Sequence[int], *, in_error: Collection[int] = ()
) -> dict[int, dict[str, Any]]:
    """
    This function will return the documents of many orders, in the order of `pks`, without those
    that do not exist.

    `in_error` names the orders whose work is parked: only the caller can know.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ROWS_OF_ORDERS, {"pks": list(pks)})
        told = cursor.fetchall()
    parts: dict[int, Parts] = {}
    for part, pk, row in told:
        by_model = parts.setdefault(pk, {model: [] for model in PARTS})
        by_model[PARTS[part]].append(_decoded(PARTS[part], orjson.loads(row)))
    return {pk: assemble(_rows_of(parts[pk], pk in in_error)) for pk in pks if pk in parts}


def documents_at_events(event_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """
    This function will return each event's document: the order as the event left it.

    An event without a snapshot, from before there was any demand or after they were forgotten,
    gets the present document of its order. Events that do not exist are left out. Documents are
    large: ask for some hundred at a time.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SNAPSHOTS, [list(event_ids)])
        told = cursor.fetchall()
    present = documents_by_pk(list({pk for _, pk, rows in told if rows is None}))
    return {
        event_id: present[pk] if rows is None else assemble(_rows_of(_parts_of(rows)))
        for event_id, pk, rows in told
    }


_SNAPSHOTS: Final = """
    SELECT e.id, e.order_id, s.rows
    FROM orders_orderevent e LEFT JOIN orders_documentsnapshot s ON s.event_id = e.id
    WHERE e.id = ANY(%s)
"""

Parts = dict[type[Model], list[dict[str, Any]]]


def _parts_of(snapshot: str) -> Parts:
    told = orjson.loads(snapshot)
    return {
        model: [
            _decoded(model, _completed(model, row)) for row in told.get(model._meta.db_table) or ()
        ]
        for model in PARTS
    }


def _completed(model: type[Model], row: dict[str, Any]) -> dict[str, Any]:
    """Gives a column that was added since what the rows of that time were given."""
    if row.keys() >= COLUMNS_OF[model]:
        return row
    defaults = {
        field.attname: None if field.db_default is not NOT_PROVIDED else field.get_default()
        for field in model._meta.concrete_fields
    }
    return defaults | row


def _rows_of(part: Parts, is_in_error: bool = False) -> OrderRows:
    items = sorted(part[Item], key=_by_index)
    index_of = {item["id"]: item["index"] for item in items}
    rows = OrderRows(
        order=part[Order][0],
        client=part[ClientProfile][0] if part[ClientProfile] else None,
        items=items,
        payments=sorted(part[Payment], key=_by_index),
        packages=sorted(part[Package], key=_by_index),
        changes=sorted(part[Change], key=_by_index),
        cancellation_requests=sorted(part[CancellationRequest], key=_by_time_asked),
        cancellation=max(part[OrderEvent], key=itemgetter("seq"), default=None),
        is_in_error=is_in_error,
    )
    for line in sorted(part[PackageItem], key=_by_index):
        line["item_index"] = index_of.get(line["item_id"])
        rows.package_items.setdefault(line["package_id"], []).append(line)
    for event in sorted(part[TrackingEvent], key=_by_index):
        rows.tracking_events.setdefault(event["package_id"], []).append(event)
    return rows


def _by_index(row: Row) -> int:
    return int(row["index"])


def _by_time_asked(row: Row) -> tuple[datetime, int]:
    return row["requested_at"], row["id"]


def _decoded(model: type[Model], told: dict[str, Any]) -> dict[str, Any]:
    for name in TIMES_OF[model]:
        if told[name] is not None:
            told[name] = datetime.fromisoformat(told[name])
    return told


PARTS: Final[tuple[type[Model], ...]] = (
    Order,
    ClientProfile,
    Item,
    Payment,
    Package,
    PackageItem,
    TrackingEvent,
    Change,
    CancellationRequest,
    OrderEvent,
)
COLUMNS_OF: Final = {
    model: frozenset(field.attname for field in model._meta.concrete_fields) for model in PARTS
}
TIMES_OF: Final = {
    model: tuple(
        field.attname for field in model._meta.concrete_fields if isinstance(field, DateTimeField)
    )
    for model in PARTS
}


def _select_part(number: int, model: type[Model]) -> str:
    table = model._meta.db_table
    if model in {PackageItem, TrackingEvent}:
        return (
            f"SELECT {number}, p.order_id, row_to_json(t)::text FROM {table} t"
            " JOIN orders_package p ON p.id = t.package_id WHERE p.order_id = ANY(%(pks)s)"
        )
    key = "id" if model is Order else "order_id"
    # Of the timeline the document tells one thing: who had the order canceled.
    only = " AND t.status = 'cancel' AND t.last_status <> 'cancel'" if model is OrderEvent else ""
    return (
        f"SELECT {number}, t.{key}, row_to_json(t)::text FROM {table} t"
        f" WHERE t.{key} = ANY(%(pks)s){only}"
    )


_ROWS_OF_ORDERS: Final = " UNION ALL ".join(
    _select_part(number, model) for number, model in enumerate(PARTS)
)
