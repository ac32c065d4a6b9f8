"""
Proof that an integration has every order, in the version that is true now.

Orders are put into buckets by the hour of their creation (UTC). A bucket says how many there are,
the sum of their totals for each currency, and a hash that anybody can compute in any language:
SHA-256, in lower-case hex, over one line `orderId:version` and a line feed for each order, as
UTF-8, in ascending order of the bytes of `orderId`. Whoever keeps statuses only hashes
`orderId:status` instead. Where a bucket differs, its orders are compared one by one.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import orjson
from django.db import connection

HOUR: Final = timedelta(hours=1)
LONGEST_WINDOW: Final = timedelta(days=31)
# Counting and hashing so many takes about a second; a larger window is answered in parts.
MOST_ORDERS_AT_ONCE: Final = 200_000
MOST_DIFFERENCES: Final = 1_000


class Fact(StrEnum):
    """What of an order goes into the hash."""

    VERSION = "version"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Visible:
    """Whose orders are counted: None means all sellers or affiliates."""

    seller_ids: Collection[str] | None = None
    affiliate_ids: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """The orders created in the hour from `hour` on. `totals` are minor units by currency."""

    hour: datetime
    count: int
    totals: Mapping[str, int]
    hash: str


@dataclass(frozen=True, slots=True)
class Window:
    """Buckets of [start, end), those without orders left out. `next_hour`: where the rest begins."""

    start: datetime
    end: datetime
    buckets: list[Bucket]
    next_hour: datetime | None


@dataclass(frozen=True, slots=True)
class BucketOrder:
    order_id: str
    version: int
    status: str
    value_cents: int
    currency: str


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """What an integration has of an order: its version, or if it keeps none, its status."""

    version: int | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    An hour of an integration against ours, all in ascending bytes of order ids.

    `missing` it does not have, `older` it has as they were, `newer` it has in a version that is
    not here (our database was restored), `extra` are not of this hour here. `missing` and `older`
    together end after `MOST_DIFFERENCES`: `is_cut_off` says that there are more.
    """

    equal_count: int
    missing: list[BucketOrder]
    older: list[BucketOrder]
    newer: list[BucketOrder]
    extra: list[str]
    is_cut_off: bool


def hour_of(moment: datetime) -> datetime:
    """This function will return the beginning of a moment's hour, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def bucket_hash(facts: Iterable[tuple[str, object]]) -> str:
    """This function will hash orders and their versions or statuses as an integration has to."""
    lines = sorted((order_id.encode(), f":{fact}\n".encode()) for order_id, fact in facts)
    return hashlib.sha256(b"".join(order_id + fact for order_id, fact in lines)).hexdigest()


def read_buckets(
    *, start: datetime, end: datetime, visible: Visible, fact: Fact = Fact.VERSION
) -> Window:
    """
    This function will return the buckets of whole hours, of about MOST_ORDERS_AT_ONCE orders at most.

    One hour is always answered, however many orders it has.
    """
    until = _until(start, end)
    conditions, values = _conditions(visible)
    statement = _BUCKETS.format(fact=fact.value, conditions=conditions)
    with connection.cursor() as cursor:
        cursor.execute(statement, [start, until, *values])
        buckets = [
            Bucket(hour, count, orjson.loads(totals), digest)
            for hour, count, totals, digest in cursor.fetchall()
        ]
    return Window(start, until, buckets, until if until < end else None)


def _until(start: datetime, end: datetime) -> datetime:
    """Counts along the index of creation times, orders of all sellers: cheap, and never too few."""
    with connection.cursor() as cursor:
        cursor.execute(_CUT, [start, end, MOST_ORDERS_AT_ONCE])
        row = cursor.fetchone()
    return end if row is None else max(hour_of(row[0]), start + HOUR)


_CUT: Final = """
    SELECT created_at FROM orders_order WHERE created_at >= %s AND created_at < %s
    ORDER BY created_at OFFSET %s LIMIT 1
"""
_BUCKETS: Final = """
    WITH seen AS MATERIALIZED (
        SELECT date_trunc('hour', o.created_at, 'UTC') AS hour, o.order_id COLLATE "C" AS order_id,
               o.{fact} AS fact, o.currency, o.value_cents
        FROM orders_order o WHERE o.created_at >= %s AND o.created_at < %s{conditions}
    ), hashed AS (
        SELECT hour, count(*) AS order_count, encode(sha256(convert_to(
            string_agg(order_id || ':' || fact || E'\\n', '' ORDER BY order_id), 'UTF8')), 'hex'
        ) AS digest
        FROM seen GROUP BY hour
    ), money AS (
        SELECT hour, currency, sum(value_cents) AS cents FROM seen GROUP BY hour, currency
    )
    SELECT hour, order_count, jsonb_object_agg(currency, cents ORDER BY currency)::text, digest
    FROM hashed JOIN money USING (hour)
    GROUP BY hour, order_count, digest ORDER BY hour
"""


def read_bucket_orders(
    *, hour: datetime, visible: Visible, after: str = "", limit: int | None = None
) -> list[BucketOrder]:
    """This function will return orders of an hour in ascending bytes of their ids, after one of them."""
    conditions, values = _conditions(visible)
    with connection.cursor() as cursor:
        cursor.execute(
            _ORDERS.format(conditions=conditions), [hour, hour + HOUR, after, *values, limit]
        )
        return [BucketOrder(*row) for row in cursor.fetchall()]


_ORDERS: Final = """
    SELECT o.order_id, o.version, o.status, o.value_cents, o.currency FROM orders_order o
    WHERE o.created_at >= %s AND o.created_at < %s AND o.order_id COLLATE "C" > %s{conditions}
    ORDER BY o.order_id COLLATE "C" LIMIT %s
"""


def _conditions(visible: Visible) -> tuple[str, list[Any]]:
    conditions, values = "", []
    if visible.seller_ids is not None:
        conditions += " AND o.seller_id = ANY(%s)"
        values.append(sorted(visible.seller_ids))
    if visible.affiliate_ids is not None:
        conditions += " AND o.affiliate_id = ANY(%s)"
        values.append(sorted(visible.affiliate_ids))
    return conditions, values


class Difference(StrEnum):
    MISSING = "missing"
    OLDER = "older"
    NEWER = "newer"


def compare_orders(ours: Iterable[BucketOrder], theirs: Mapping[str, KnownOrder]) -> Comparison:
    """This function will say which orders of an hour an integration lacks or has differently."""
    found: dict[Difference, list[BucketOrder]] = {kind: [] for kind in Difference}
    extra, equal_count, wanted_count = set(theirs), 0, 0
    for order in ours:
        extra.discard(order.order_id)
        kind = _difference(order, theirs.get(order.order_id))
        if kind is None:
            equal_count += 1
        elif kind is Difference.NEWER:
            found[kind].append(order)
        else:
            wanted_count += 1
            if wanted_count <= MOST_DIFFERENCES:
                found[kind].append(order)
    return Comparison(
        equal_count=equal_count,
        missing=found[Difference.MISSING],
        older=found[Difference.OLDER],
        newer=found[Difference.NEWER],
        extra=sorted(extra, key=str.encode),
        is_cut_off=wanted_count > MOST_DIFFERENCES,
    )


def _difference(order: BucketOrder, known: KnownOrder | None) -> Difference | None:
    if known is None:
        return Difference.MISSING
    if known.version is None:
        return None if known.status == order.status else Difference.OLDER
    if known.version == order.version:
        return None
    return Difference.OLDER if known.version < order.version else Difference.NEWER
