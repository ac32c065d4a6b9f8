"""
Reads that find orders by what people and programs know of them: exact look-up by indexes alone.

A text is first classified (pure), then each reading of it is one indexed query.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from django.db.models import Model, QuerySet

from oms.orders.documents.kinds import BIGGEST_SEQUENCE
from oms.orders.locks import OrderNotFound
from oms.orders.lookup_keys import PHONE_KEY_DIGITS, document_key, email_key, phone_key
from oms.orders.models import ClientProfile, Order, Package

SEQUENCE_REFERENCE: Final = re.compile(r"seq(\d{1,15})", re.ASCII | re.IGNORECASE)
LOOKS_LIKE_PHONE: Final = re.compile(r"[+(]?[\d\s().+-]+", re.ASCII)
LOOKS_LIKE_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
SHORTEST_DOCUMENT: Final = 5
MOST_FOUND: Final = 50


class LookupKind(StrEnum):
    """What a text may be. Named after the column that answers it."""

    ORDER_ID = "order id"
    SEQUENCE = "sequence"
    ORDER_GROUP = "order group"
    MARKETPLACE_ID = "marketplace order id"
    EMAIL = "e-mail"
    DOCUMENT = "document"
    PHONE = "phone"
    TRACKING_NUMBER = "tracking number"
    INVOICE_NUMBER = "invoice number"


@dataclass(frozen=True, slots=True)
class Lookup:
    kind: LookupKind
    value: str


def get_order(reference: str) -> Order:
    """
    This function will return an order by its id, or by `seq` and its sequence number.

    Without `extra`: the document is built from the row itself. Raises `OrderNotFound`.
    """
    order = Order.objects.defer("extra").filter(order_id=reference).first()
    if order is None and (match := SEQUENCE_REFERENCE.fullmatch(reference)):
        order = Order.objects.defer("extra").filter(sequence=int(match[1])).first()
    if order is None:
        raise OrderNotFound(reference)
    return order


def orders_of_group(group: str) -> list[Order]:
    """This function will return all orders of one purchase, in the order of their ids."""
    return list(
        Order.objects.defer("extra").filter(order_group=group).order_by("split_number", "order_id")
    )


def classify(text: str) -> list[Lookup]:
    """
    This function will list everything that a text may exactly be, the likeliest first.

    `seq502556` is a sequence and nothing else, an address with `@` is an e-mail and nothing else.
    Blank text and text with NUL characters are nothing.
    """
    wanted = text.strip()
    if not wanted or "\x00" in wanted:
        return []
    if match := SEQUENCE_REFERENCE.fullmatch(wanted):
        return [Lookup(LookupKind.SEQUENCE, str(int(match[1])))]
    if LOOKS_LIKE_EMAIL.fullmatch(wanted):
        return [Lookup(LookupKind.EMAIL, email_key(wanted))]
    return [
        Lookup(LookupKind.ORDER_ID, wanted),
        Lookup(LookupKind.ORDER_GROUP, wanted),
        Lookup(LookupKind.MARKETPLACE_ID, wanted),
        *_number_lookups(wanted),
        Lookup(LookupKind.TRACKING_NUMBER, wanted),
        Lookup(LookupKind.INVOICE_NUMBER, wanted),
    ]


def _number_lookups(wanted: str) -> list[Lookup]:
    lookups = []
    if wanted.isascii() and wanted.isdigit() and int(wanted) < BIGGEST_SEQUENCE:
        lookups.append(Lookup(LookupKind.SEQUENCE, str(int(wanted))))
    document = document_key(wanted)
    if len(document) >= SHORTEST_DOCUMENT and any(character.isdigit() for character in document):
        lookups.append(Lookup(LookupKind.DOCUMENT, document))
    digits = phone_key(wanted)
    if LOOKS_LIKE_PHONE.fullmatch(wanted) and len(digits) >= PHONE_KEY_DIGITS - 2:
        lookups.append(Lookup(LookupKind.PHONE, digits))
    return lookups


ANSWERED_BY: Final[Mapping[LookupKind, tuple[type[Model], str, str]]] = {
    LookupKind.ORDER_ID: (Order, "order_id", "pk"),
    LookupKind.SEQUENCE: (Order, "sequence", "pk"),
    LookupKind.ORDER_GROUP: (Order, "order_group", "pk"),
    LookupKind.MARKETPLACE_ID: (Order, "marketplace_order_id", "pk"),
    LookupKind.EMAIL: (ClientProfile, "email_key", "order_id"),
    LookupKind.DOCUMENT: (ClientProfile, "document_key", "order_id"),
    LookupKind.PHONE: (ClientProfile, "phone_key", "order_id"),
    LookupKind.TRACKING_NUMBER: (Package, "tracking_number", "order_id"),
    LookupKind.INVOICE_NUMBER: (Package, "invoice_number", "order_id"),
}


def find_orders(text: str, *, limit: int = MOST_FOUND) -> list[Order]:
    """
    This function will return the orders that a text names exactly, newest first, at most `limit`.

    Each reading of the text is one index look-up; they are put together in one statement.
    """
    pks = matching_pks(text, limit=limit)
    if not pks:
        return []
    newest_first = Order.objects.defer("extra").filter(pk__in=pks).order_by("-created_at", "-pk")
    return list(newest_first[:limit])


def matching_pks(text: str, *, limit: int = MOST_FOUND) -> list[int]:
    """This function will return the keys of orders that a text names, up to `limit` a reading."""
    queries = [_pks_of(lookup, limit) for lookup in classify(text)]
    return list(queries[0].union(*queries[1:])) if queries else []


def _pks_of(lookup: Lookup, limit: int) -> QuerySet[Any, int]:
    model, column, key = ANSWERED_BY[lookup.kind]
    matching = model._default_manager.filter(**{column: lookup.value})
    return matching.order_by(f"-{key}").values_list(key, flat=True)[:limit]
