"""
What the order list can be asked for, each as a condition on `Order` with an index behind it.

Texts are compared whole and as they are: quotes, ampersands and double blanks in a name are
characters like others (KI 1045623, 353656, 523984). A list of texts means any of them.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import reduce
from operator import or_
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import BigAutoField, Exists, Lookup, OuterRef, Q

from oms.ops.statements import Statement, run_together
from oms.orders.models import InvoiceType, Item, ListFacts, Order, Package, Payment, SellerName
from oms.orders.models.listing import LONGEST_FACT
from oms.orders.selectors import matching_pks
from oms.orders.statuses import FINAL_STATUSES, Status

# A text may be the beginning of half of all names: so many of them, the youngest, are looked at.
MOST_MATCHES: Final = 10_000
SHORTEST_BEGINNING: Final = 2
LATE_FOR_AT_MOST: Final = timedelta(days=90)
OPEN_STATUSES: Final = tuple(status.value for status in Status if status not in FINAL_STATUSES)
NEVER_DELIVERED: Final = (Status.CANCELED.value, Status.REPLACED.value)


@dataclass(frozen=True, slots=True)
class Period:
    """From the first moment to the last, both included; None leaves a side open."""

    first: datetime | None
    last: datetime | None


def within(column: str, periods: Sequence[Period]) -> Q:
    """This function will ask for orders whose time in `column` lies in one of the periods."""
    return _any_of(_within_one(column, period) for period in periods)


def _within_one(column: str, period: Period) -> Q:
    condition = Q(**{f"{column}__isnull": False})
    if period.first is not None:
        condition &= Q(**{f"{column}__gte": period.first})
    if period.last is not None:
        condition &= Q(**{f"{column}__lte": period.last})
    return condition


def promised_in(days: int, now: datetime) -> Q:
    """
    This function will ask for orders promised today (0), tomorrow (1) or within some days (2 and
    more, today included), by the calendar of the store; a negative number asks for late ones.
    """
    today = now.astimezone(ZoneInfo(settings.STORE_TIME_ZONE)).date()
    if days < 0:
        return late(_midnight(today))
    first = today + timedelta(days=1) if days == 1 else today
    after = today + timedelta(days=days + 1)
    return Q(shipping_estimate_at__gte=_midnight(first), shipping_estimate_at__lt=_midnight(after))


def late(today: datetime) -> Q:
    """
    This function will ask for orders promised before today that nobody said are delivered.

    Those that are no longer open only while they are less than 90 days late: of older history
    carriers often say nothing more.
    """
    open_or_recent = Q(status__in=OPEN_STATUSES) | Q(
        shipping_estimate_at__gte=today - LATE_FOR_AT_MOST
    )
    delivered = Package.objects.filter(order_id=OuterRef("pk"), is_delivered=True)
    return (
        Q(shipping_estimate_at__lt=today)
        & open_or_recent
        & ~Q(status__in=NEVER_DELIVERED)
        & ~Q(Exists(delivered))
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=ZoneInfo(settings.STORE_TIME_ZONE))


def has_invoice(kind: InvoiceType, wanted: bool) -> Q:
    found = Q(Exists(Package.objects.filter(order_id=OuterRef("pk"), type=kind.value)))
    return found if wanted else ~found


def sold_by(names: Collection[str]) -> Q:
    """This function will ask for orders of sellers by any name they have had, or by their ids."""
    known = SellerName.objects.filter(name__in=names).values_list("seller_id", flat=True)
    return Q(seller_id__in={*names, *known})


def sold_in(channels: Collection[str]) -> Q:
    """This function will ask for sales channels by id, or by the names that the settings give."""
    ids = {name: key for key, name in settings.SALES_CHANNEL_NAMES.items()}
    return Q(sales_channel__in={*channels, *(ids[name] for name in channels if name in ids)})


def paid_with(names: Collection[str]) -> Q:
    return _has_payment(Q(payment_system_name__in=names))


def promoted_by(names: Collection[str]) -> Q:
    """This function will ask for orders to which a promotion or tax of one of the names applied."""
    return _has_fact(_any_of(Q(promotion_names__contains=[cut(name)]) for name in names))


def came_from(utm_sources: Collection[str]) -> Q:
    return _has_fact(Q(utm_source__in=[cut(source) for source in utm_sources]))


def taken_by_operator(names: Collection[str]) -> Q:
    """This function will ask for orders of call center operators, by name or e-mail address."""
    wanted = [cut(name) for name in names]
    return _has_fact(Q(operator_name__in=wanted) | Q(operator_email__in=wanted))


def placed_in_store(wanted: bool) -> Q:
    found = _has_fact(Q(is_in_store=True))
    return found if wanted else ~found


def on_gift_list(list_ids: Collection[str]) -> Q:
    return _has_fact(Q(gift_list_id__in=[cut(list_id) for list_id in list_ids]))


def with_sku(sku_ids: Collection[str]) -> Q:
    return Q(Exists(Item.objects.filter(order_id=OuterRef("pk"), sku_id__in=sku_ids)))


def with_transaction(ids: Collection[str]) -> Q:
    """This function will ask for a transaction: by its id, or that of one of its payments."""
    return _has_payment(Q(transaction_id__in=ids) | Q(tid__in=ids))


def with_connector_transaction(ids: Collection[str]) -> Q:
    return _has_payment(Q(tid__in=ids) | _answered(("Tid", "tid", "TID"), ids))


def with_payment(ids: Collection[str]) -> Q:
    return _has_payment(Q(payment_id__in=ids))


def with_nsu(numbers: Collection[str]) -> Q:
    return _has_payment(_answered(("Nsu", "nsu", "NSU"), numbers))


def identified_by(text: str) -> Q:
    """This function will ask for orders that a text names as SKU, gift list, transaction or payment."""
    found = [
        Order.objects.filter(criterion([text])).order_by("-pk").values_list("pk", flat=True)
        for criterion in SEARCH_FIELDS.values()
    ]
    # Each by its own index: one condition of six would be tested on every order.
    return among(found[0][:MOST_MATCHES].union(*(pks[:MOST_MATCHES] for pks in found[1:])))


class Among(Lookup):
    """`id = ANY(array)`: one parameter, where IN has one for each of ten thousand keys."""

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        column, parameters = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s::bigint[])", [*parameters, self.rhs]


BigAutoField.register_lookup(Among)


def among(pks: Iterable[int]) -> Q:
    """This function will ask for the orders of these keys."""
    return Q(pk__among=list(pks))


# The contract's `searchField`.
SEARCH_FIELDS: Final[dict[str, Callable[[Collection[str]], Q]]] = {
    "sku_Ids": with_sku,
    "listId": on_gift_list,
    "tid": with_transaction,
    "pci_tid": with_connector_transaction,
    "paymentId": with_payment,
    "nsu": with_nsu,
}


def _answered(keys: Sequence[str], values: Collection[str]) -> Q:
    return _any_of(
        Q(extra__connectorResponses__contains={key: told})
        for key in keys
        for value in values
        for told in _spellings(value)
    )


def _spellings(value: str) -> list[str | int]:
    """Connectors answer numbers as text or as numbers."""
    is_number = value.isascii() and value.isdigit() and len(value) < 19
    return [value, int(value)] if is_number else [value]


def _has_payment(condition: Q) -> Q:
    return Q(Exists(Payment.objects.filter(condition, order_id=OuterRef("pk"))))


def _has_fact(condition: Q) -> Q:
    return Q(Exists(ListFacts.objects.filter(condition, order_id=OuterRef("pk"))))


def _any_of(conditions: Iterable[Q]) -> Q:
    return reduce(or_, conditions)


def cut(text: str) -> str:
    return text[:LONGEST_FACT]


def matching(text: str) -> Q:
    """
    This function will ask for orders that a text names: exactly by anything that identifies one,
    or as the beginning of an order id or of a buyer's name, last name or company.

    The text is taken as it is: `%`, `_` and quotes mean themselves.
    """
    if not text.strip() or "\x00" in text:
        return among([])
    pks = set(matching_pks(text, limit=MOST_MATCHES))
    if len(text.strip()) >= SHORTEST_BEGINNING:
        for rows in run_together(*_beginning_with(text.strip())):
            pks.update(row[0] for row in rows)
    return among(sorted(pks, reverse=True)[:MOST_MATCHES])


def _beginning_with(text: str) -> list[Statement]:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    named = [
        Statement(
            f"SELECT order_id FROM orders_clientprofile WHERE {condition}"
            " LIKE orders_name_key(%s) || '%%' ORDER BY order_id DESC LIMIT %s",
            [escaped, MOST_MATCHES],
        )
        for condition in NAMES
    ]
    return [
        Statement(
            "SELECT id FROM orders_order WHERE order_id LIKE %s ORDER BY id DESC LIMIT %s",
            [f"{escaped}%", MOST_MATCHES],
        ),
        *named,
    ]


NAMES: Final = (
    "orders_name_key(first_name || ' ' || last_name)",
    "last_name <> '' AND orders_name_key(last_name)",
    "corporate_name <> '' AND orders_name_key(corporate_name)",
)


def seen_by(seller_ids: Collection[str] | None, affiliate_ids: Collection[str] | None) -> Q:
    """This function will ask for what lies within sellers and affiliates; None: all of them."""
    condition = Q()
    if seller_ids is not None:
        condition &= Q(seller_id__in=sorted(seller_ids))
    if affiliate_ids is not None:
        condition &= Q(affiliate_id__in=sorted(affiliate_ids))
    return condition


def bought_by(email_key: str) -> Q:
    return Q(client_profile__email_key=email_key)


def in_statuses(statuses: Collection[Status]) -> Q:
    return Q(status__in=[status.value for status in statuses])


def sent_by(affiliate_ids: Collection[str]) -> Q:
    return Q(affiliate_id__in=affiliate_ids)


def is_incomplete(wanted: bool) -> Q:
    return Q(is_complete=not wanted)
