"""
Drafts become rows: the same few statements for any number of orders, in the caller's transaction.

Nothing is decided or checked here beyond what the database guards itself: a conflict of order ids,
sequences or placement raises `IntegrityError`. Events are the caller's (`oms.orders.ledger`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Final

import orjson
from django.db import connection, transaction
from django.db.models import JSONField, Model

from oms.ops.statements import Statement, as_json, run_together
from oms.orders.documents.drafts import (
    CancellationRequestDraft,
    ChangeDraft,
    ClientDraft,
    ItemDraft,
    OrderDraft,
    PackageDraft,
    PackageItemDraft,
    PaymentDraft,
    TrackingEventDraft,
)
from oms.orders.lookup_keys import document_key, email_key, phone_key
from oms.orders.models import (
    CancellationRequest,
    Change,
    ClientProfile,
    Item,
    Order,
    Package,
    PackageItem,
    Payment,
    TrackingEvent,
)
from oms.orders.numbers import NEXT_SEQUENCES_SQL

Values = tuple[Any, ...]
# COPY takes two round trips a table, INSERT one for all of them but more of PostgreSQL's time.
FEW: Final = 10


def insert_orders(drafts: Sequence[OrderDraft]) -> list[int]:
    """
    This function will insert orders with all their parts and return their primary keys in order.

    Drafts without a sequence get the next order numbers. Raises `IntegrityError` when an order id,
    a sequence or a placement is already there; the caller's transaction is then lost.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("insert_orders needs a transaction")
    if not drafts:
        return []
    numbers = _draw_numbers(drafts)
    batch = _Batch(numbers)
    for draft in drafts:
        batch.add(draft)
    filled = [table for table in batch.tables.values() if table.rows]
    if len(drafts) <= FEW:
        run_together(*(_insert(table) for table in filled))
    else:
        for table in filled:
            _copy(table)
    return numbers.order_pks


@dataclass(slots=True)
class _Numbers:
    """Primary keys and order numbers drawn ahead, so that parts can name their parents."""

    order_pks: list[int]
    item_pks: Iterator[int]
    package_pks: Iterator[int]
    sequences: Iterator[int]


def _draw_numbers(drafts: Sequence[OrderDraft]) -> _Numbers:
    unnumbered = sum(draft.sequence is None for draft in drafts)
    with connection.cursor() as cursor:
        cursor.execute(
            _DRAW_NUMBERS,
            [
                len(drafts),
                sum(len(draft.items) for draft in drafts),
                sum(len(draft.packages) for draft in drafts),
                unnumbered,
            ],
        )
        order_pks, item_pks, package_pks, sequences = cursor.fetchone()
    return _Numbers(order_pks, iter(item_pks), iter(package_pks), iter(sequences))


_DRAW_NUMBERS: Final = f"""
    SELECT ARRAY(SELECT nextval('orders_order_id_seq') FROM generate_series(1, %s)),
           ARRAY(SELECT nextval('orders_item_id_seq') FROM generate_series(1, %s)),
           ARRAY(SELECT nextval('orders_package_id_seq') FROM generate_series(1, %s)),
           ARRAY({NEXT_SEQUENCES_SQL})
"""


@dataclass(slots=True)
class _Table:
    """Rows for one table. `own` are columns that no draft holds; they come first in each row."""

    name: str
    columns: tuple[str, ...]
    read: Callable[[Any], Values]
    json_positions: tuple[int, ...]
    rows: list[Values] = field(default_factory=list)

    def add(self, own: Values, draft: Any) -> None:
        self.rows.append((*own, *self.read(draft)))

    @property
    def quoted_columns(self) -> str:
        return ", ".join(f'"{name}"' for name in self.columns)


def _table(model: type[Model], draft: type, own: tuple[str, ...]) -> Callable[[], _Table]:
    """This function will work out, once, how drafts of a kind become rows of a model's table."""
    held = {found.column: found for found in model._meta.concrete_fields}
    copied = tuple(
        found.name for found in fields(draft) if found.name in held and found.name not in own
    )
    columns = own + copied
    json_positions = tuple(
        position for position, name in enumerate(columns) if isinstance(held[name], JSONField)
    )
    read = attrgetter(*copied)
    return lambda: _Table(model._meta.db_table, columns, read, json_positions)


# In the order of their foreign keys.
TABLES: Final = {
    OrderDraft: _table(Order, OrderDraft, ("id", "sequence")),
    ClientDraft: _table(
        ClientProfile, ClientDraft, ("order_id", "email_key", "document_key", "phone_key")
    ),
    ItemDraft: _table(Item, ItemDraft, ("id", "order_id")),
    PaymentDraft: _table(Payment, PaymentDraft, ("order_id",)),
    PackageDraft: _table(Package, PackageDraft, ("id", "order_id")),
    PackageItemDraft: _table(PackageItem, PackageItemDraft, ("package_id", "item_id")),
    TrackingEventDraft: _table(TrackingEvent, TrackingEventDraft, ("package_id",)),
    ChangeDraft: _table(Change, ChangeDraft, ("order_id",)),
    CancellationRequestDraft: _table(
        CancellationRequest, CancellationRequestDraft, ("order_id", "is_denied", "deny_reason")
    ),
}


class _Batch:
    """The rows of all tables for a batch of drafts."""

    def __init__(self, numbers: _Numbers) -> None:
        self.numbers = numbers
        self.pks = iter(numbers.order_pks)
        self.tables = {draft: make() for draft, make in TABLES.items()}

    def add(self, draft: OrderDraft) -> None:
        pk = next(self.pks)
        sequence = draft.sequence if draft.sequence is not None else next(self.numbers.sequences)
        self.tables[OrderDraft].add((pk, sequence), draft)
        if (client := draft.client) is not None:
            self.tables[ClientDraft].add((pk, *_lookup_keys(client)), client)
        item_pks = [next(self.numbers.item_pks) for _ in draft.items]
        for item_pk, item in zip(item_pks, draft.items, strict=True):
            self.tables[ItemDraft].add((item_pk, pk), item)
        for payment in draft.payments:
            self.tables[PaymentDraft].add((pk,), payment)
        for package in draft.packages:
            self._add_package(pk, package, item_pks)
        for change in draft.changes:
            self.tables[ChangeDraft].add((pk,), change)
        for request in draft.cancellation_requests:
            self.tables[CancellationRequestDraft].add((pk, False, ""), request)

    def _add_package(self, order_pk: int, package: PackageDraft, item_pks: Sequence[int]) -> None:
        pk = next(self.numbers.package_pks)
        self.tables[PackageDraft].add((pk, order_pk), package)
        for line in package.items:
            item_pk = None if line.item_index is None else item_pks[line.item_index]
            self.tables[PackageItemDraft].add((pk, item_pk), line)
        for event in package.tracking_events:
            self.tables[TrackingEventDraft].add((pk,), event)


def _lookup_keys(client: ClientDraft) -> Values:
    return email_key(client.email), document_key(client.document), phone_key(client.phone)


def _insert(table: _Table) -> Statement:
    rows = [dict(zip(table.columns, values, strict=True)) for values in table.rows]
    return Statement(
        f"INSERT INTO {table.name} ({table.quoted_columns}) SELECT {table.quoted_columns}"
        f" FROM json_populate_recordset(NULL::{table.name}, %s)",
        [as_json(rows)],
    )


def _copy(table: _Table) -> None:
    statement = f"COPY {table.name} ({table.quoted_columns}) FROM STDIN"
    # The errors of COPY arrive when it is closed, outside of what Django's cursor translates.
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        for values in table.rows:
            copy.write_row(_copied(values, table.json_positions))


def _copied(values: Values, json_positions: Sequence[int]) -> list[Any]:
    row = list(values)
    for position in json_positions:
        if row[position] is not None:
            row[position] = orjson.dumps(row[position]).decode()
    return row
