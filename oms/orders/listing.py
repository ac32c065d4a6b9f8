"""
One page of the order list, read from the order rows themselves: what was committed is there.

A page costs two statements in one round trip: its rows, and the figures over the first
`MOST_COUNTED` orders of the whole list. Nothing is counted beyond those, and deep pages go by
cursor (a position to read on from), never by a growing offset.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db.models import F, QuerySet
from django.db.models.fields.tuple_lookups import TupleGreaterThan, TupleLessThan

from oms.ops.statements import Statement, run_together
from oms.orders.models import Item, Order

MOST_COUNTED: Final = 10_000

SortKey = str | int | datetime


class SortField(StrEnum):
    """What the list may be sorted by, in the contract's words."""

    CREATION_DATE = "creationDate"
    ORDER_ID = "orderId"
    ITEMS = "items"
    TOTAL_VALUE = "totalValue"
    ORIGIN = "origin"


COLUMN_OF: Final = {
    SortField.CREATION_DATE: "created_at",
    SortField.ORDER_ID: "order_id",
    SortField.ITEMS: "item_count",
    SortField.TOTAL_VALUE: "value_cents",
    SortField.ORIGIN: "origin",
}


@dataclass(frozen=True, slots=True)
class Sorting:
    """Orders that are equal in the field follow by their keys, in the same direction."""

    field: SortField = SortField.CREATION_DATE
    is_descending: bool = True

    @property
    def column(self) -> str:
        return COLUMN_OF[self.field]


@dataclass(frozen=True, slots=True)
class Position:
    """The order after which a page begins: its value in the sorting's field, and its key."""

    key: SortKey
    pk: int


@dataclass(frozen=True, slots=True)
class ListedOrder:
    """One row of the list."""

    pk: int
    order_id: str
    sequence: int
    marketplace_order_id: str
    affiliate_id: str
    origin: str
    sales_channel: str
    status: str
    currency: str
    value_cents: int
    item_count: int
    is_complete: bool
    created_at: datetime
    shipping_estimate_at: datetime | None
    authorized_at: datetime | None
    first_name: str
    last_name: str
    corporate_name: str
    operator_name: str
    gift_list_id: str
    gift_list_type: str
    payment_names: str
    last_message: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What the orders of one origin and currency add up to, exactly: whole cents, whole items."""

    origin: str
    currency: str
    count: int
    value_least: int
    value_most: int
    value_sum: int
    value_squares: int
    items_least: int
    items_most: int
    items_sum: int
    items_squares: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A page, where the next one begins (None: this is the last), and the figures of the list."""

    orders: list[ListedOrder]
    next: Position | None
    figures: list[Figures]

    @property
    def total(self) -> int:
        return sum(figures.count for figures in self.figures)

    @property
    def is_total_exact(self) -> bool:
        return self.total < MOST_COUNTED


def list_orders(
    orders: QuerySet[Order],
    *,
    sorting: Sorting,
    size: int,
    offset: int = 0,
    after: Position | None = None,
) -> Listing:
    """
    This function will read the page of `size` orders at an offset, or after a position.

    What `orders` are filtered by is in `oms.orders.criteria`.
    """
    try:
        statements = statements_of(orders, sorting=sorting, size=size, offset=offset, after=after)
    except EmptyResultSet:
        return Listing([], None, [])
    rows, figures = run_together(*statements)
    listed = [ListedOrder(*row) for row in rows]
    following = None
    if len(listed) > size:
        last = listed[size - 1]
        following = Position(getattr(last, sorting.column), last.pk)
    return Listing(
        orders=listed[:size],
        next=following,
        figures=[_exact(row) for row in figures],
    )


def statements_of(
    orders: QuerySet[Order], *, sorting: Sorting, size: int, offset: int, after: Position | None
) -> tuple[Statement, Statement]:
    """
    This function will write the statements of a page: its rows and one more, and the figures.

    Raises EmptyResultSet where it is known without asking that there are none.
    """
    found = _sorted(orders, sorting)
    page = found if after is None else found.filter(_beyond(sorting, after))
    rows = _rows_of(page[offset : offset + size + 1], sorting)
    return rows, _figures_of(found)


def listed_items(pks: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """This function will read the lines of orders as a buyer's list shows them: one query."""
    found: dict[int, list[dict[str, Any]]] = {}
    columns = ("order_id", "seller_id", "quantity", "name", "extra__ean", "ref_id", "sku_id",
               "extra__productId", "selling_price_cents", "price_cents")  # fmt: skip
    lines = Item.objects.filter(order_id__in=pks).order_by("order_id", "index")
    for pk, *values in lines.values_list(*columns):
        told = ("" if value is None else value for value in values)
        found.setdefault(pk, []).append(dict(zip(ITEM_KEYS, told, strict=True)))
    return found


ITEM_KEYS: Final = (
    "seller", "quantity", "description", "ean", "refId", "id", "productId", "sellingPrice", "price",
)  # fmt: skip


def _sorted(orders: QuerySet[Order], sorting: Sorting) -> QuerySet[Order]:
    sign = "-" if sorting.is_descending else ""
    return orders.order_by(f"{sign}{sorting.column}", f"{sign}pk")


def _beyond(sorting: Sorting, position: Position) -> Any:
    """One comparison of rows, not `a < x OR a = x AND b < y`: an index begins reading there."""
    compare = TupleLessThan if sorting.is_descending else TupleGreaterThan
    return compare((F(sorting.column), F("pk")), (position.key, position.pk))


def _rows_of(page: QuerySet[Order], sorting: Sorting) -> Statement:
    keys, parameters = page.values("pk").query.sql_with_params()
    direction = "DESC" if sorting.is_descending else "ASC"
    order = f"o.{sorting.column} {direction}, o.id {direction}"
    return Statement(f"{_ROWS} WHERE o.id = ANY(ARRAY({keys})) ORDER BY {order}", parameters)


def _figures_of(found: QuerySet[Order]) -> Statement:
    counted = found[:MOST_COUNTED].values("origin", "currency", "value_cents", "item_count")
    sql, parameters = counted.query.sql_with_params()
    return Statement(f"{_FIGURES} FROM ({sql}) AS s GROUP BY origin, currency", parameters)


def _exact(row: Sequence[Any]) -> Figures:
    origin, currency, *numbers = row
    return Figures(origin, currency, *(int(number) for number in numbers))


_ROWS: Final = """
    SELECT o.id, o.order_id, o.sequence, o.marketplace_order_id, o.affiliate_id, o.origin,
           o.sales_channel, o.status, o.currency, o.value_cents, o.item_count, o.is_complete,
           o.created_at, o.shipping_estimate_at, o.authorized_at,
           coalesce(c.first_name, ''), coalesce(c.last_name, ''), coalesce(c.corporate_name, ''),
           coalesce(f.operator_name, ''), coalesce(f.gift_list_id, ''),
           coalesce(f.gift_list_type, ''),
           coalesce((SELECT string_agg(n.name, ', ' ORDER BY n.first)
                     FROM (SELECT p.payment_system_name AS name, min(p.index) AS first
                           FROM orders_payment p
                           WHERE p.order_id = o.id AND p.payment_system_name <> ''
                           GROUP BY p.payment_system_name) AS n), ''),
           coalesce((SELECT m.first_words FROM orders_conversationmessage m
                     WHERE m.order_id = o.id ORDER BY m.sent_at DESC, m.id DESC LIMIT 1), '')
    FROM orders_order o
    LEFT JOIN orders_clientprofile c ON c.order_id = o.id
    LEFT JOIN orders_listfacts f ON f.order_id = o.id
"""
# numeric: the square of a value, and a sum of them, exceed 64 bits (KI 756314: no floats).
_FIGURES: Final = """
    SELECT origin, currency, count(*),
           min(value_cents), max(value_cents), sum(value_cents),
           sum(value_cents::numeric * value_cents),
           min(item_count), max(item_count), sum(item_count),
           sum(item_count::numeric * item_count)
"""
