"""Reads everything that the order page shows: a constant number of queries, whatever the order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Prefetch
from django.shortcuts import get_object_or_404

from oms.backoffice.masking import mask_email, mask_name, mask_number, mask_text
from oms.backoffice.timeline import TimelinePage, names_of, read_timeline
from oms.backoffice.waiting import STUCK, Rest, WorkLine, in_order_of_urgency, rest_of
from oms.backoffice.work_facts import open_work_of
from oms.orders.models import (
    CancellationRequest,
    Change,
    ClientProfile,
    Item,
    Note,
    Order,
    Package,
    PackageItem,
    Payment,
)
from workflow.policies import policies

NOTES_SHOWN: Final = 50
TOTALS_WORDS: Final = {
    "Items": "Items",
    "Discounts": "Discounts",
    "Shipping": "Shipping",
    "Tax": "Tax",
    "Change": "Change",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A label and what it says."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """What an integration wrote into the order's log."""

    source: str
    message: str
    author: str
    at: datetime


@dataclass(frozen=True, slots=True)
class NoteLine:
    author: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OrderView:
    """The facts of one order page."""

    order: Order
    rest: Rest
    work: Sequence[WorkLine]
    items: Sequence[Item]
    totals: Sequence[tuple[str, int]]
    payments: Sequence[Payment]
    packages: Sequence[Package]
    client: Sequence[Line]
    address: Sequence[str]
    deliveries: Sequence[Line]
    siblings: Sequence[Order]
    changes: Sequence[Change]
    requests: Sequence[CancellationRequest]
    notes: Sequence[NoteLine]
    log: Sequence[LogLine]
    timeline: TimelinePage
    is_masked: bool

    @property
    def is_stuck(self) -> bool:
        return any(line.state == "parked" for line in self.work)

    def overdue_since(self, now: datetime) -> datetime | None:
        ends = self.order.budget_ends_at
        return ends if ends and ends < now else None


def get_order(pk: int) -> Order:
    """This function will read an order with its buyer, or answer 404."""
    return get_object_or_404(Order.objects.select_related("client_profile"), pk=pk)


def read_order(
    order: Order, *, is_masked: bool, now: datetime, before: int | None = None
) -> OrderView:
    """This function will read the whole page of an order."""
    work = open_work_of([order.pk]).get(order.pk, [])
    shipping = order.extra.get("shippingData") or {}
    return OrderView(
        order=order,
        rest=STUCK if any(item.parked_at for item in work) else rest_of(order.flow, order.status),
        work=in_order_of_urgency(work, now),
        items=list(order.items.order_by("index")),
        totals=_totals(order),
        payments=list(order.payments.order_by("index")),
        packages=_packages(order),
        client=_client(order, is_masked=is_masked),
        address=_address(shipping.get("address"), is_masked=is_masked),
        deliveries=_deliveries(shipping),
        siblings=list(
            Order.objects.filter(order_group=order.order_group)
            .exclude(pk=order.pk)
            .only(
                "pk", "order_id", "status", "seller_name", "seller_id", "value_cents", "currency"
            )
            .order_by("split_number", "pk")[:50]
        ),
        changes=list(order.changes.order_by("index")),
        requests=list(order.cancellation_requests.order_by("-requested_at")),
        notes=_notes(order),
        log=_log(order),
        timeline=read_timeline(
            order.pk, currency=order.currency, is_masked=is_masked, before=before
        ),
        is_masked=is_masked,
    )


def window_to_cancel_words(order: Order) -> str:
    """This function will tell how long the order's seller lets customers cancel."""
    minutes = int(policies.rules_of(order.seller_id).window_to_cancel.total_seconds() // 60)
    return f"{minutes} min"


def _packages(order: Order) -> list[Package]:
    lines = PackageItem.objects.select_related("item").order_by("index")
    return list(
        order.packages.prefetch_related(Prefetch("items", lines), "tracking_events").order_by(
            "index"
        )
    )


def _totals(order: Order) -> list[tuple[str, int]]:
    told = order.extra.get("totals") or []
    return [
        (TOTALS_WORDS.get(str(total.get("id")), str(total.get("name") or total.get("id"))), value)
        for total in told
        if isinstance(total, Mapping) and isinstance(value := total.get("value"), int) and value
    ]


def _client(order: Order, *, is_masked: bool) -> list[Line]:
    client: ClientProfile | None = getattr(order, "client_profile", None)
    if client is None:
        return []
    shown: list[tuple[str, str, Any]] = [
        ("Company", client.corporate_name, mask_name),
        ("Company document", client.corporate_document, mask_number),
        ("Name", f"{client.first_name} {client.last_name}".strip(), mask_name),
        ("E-mail", client.email, mask_email),
        (client.document_type.upper() or "Document", client.document, mask_number),
        ("Phone", client.phone, mask_number),
    ]
    return [Line(label, mask(text) if is_masked else text) for label, text, mask in shown if text]


def _address(address: Any, *, is_masked: bool) -> list[str]:
    if not isinstance(address, Mapping):
        return []

    def told(key: str) -> str:
        return str(address.get(key) or "").strip()

    def personal(*keys: str) -> str:
        text = " ".join(filter(None, map(told, keys)))
        return mask_text(text) if is_masked else text

    receiver = told("receiverName")
    place = ", ".join(filter(None, (told("city"), told("state"), told("country"))))
    lines = [
        mask_name(receiver) if is_masked else receiver,
        personal("street", "number", "complement"),
        "" if is_masked else personal("neighborhood", "reference"),
        mask_number(told("postalCode"), keep=3) if is_masked else told("postalCode"),
        place,
    ]
    return [line for line in lines if line]


def _deliveries(shipping: Mapping[str, Any]) -> list[Line]:
    """This function will tell the ways in which the items travel, each once."""
    found: dict[str, str] = {}
    for entry in shipping.get("logisticsInfo") or []:
        if not isinstance(entry, Mapping):
            continue
        name = str(entry.get("selectedSla") or entry.get("deliveryCompany") or "")
        if name:
            found.setdefault(name, str(entry.get("deliveryCompany") or ""))
    return [Line(name, company) for name, company in found.items()]


def _log(order: Order) -> list[LogLine]:
    lines = list(order.interactions.order_by("-pk")[:NOTES_SHOWN])
    names = names_of(line.actor for line in lines)
    return [
        LogLine(line.source, line.message, names.tell(line.actor), line.created_at)
        for line in lines
    ]


def _notes(order: Order) -> list[NoteLine]:
    notes = list(
        Note.objects.filter(order_id=order.pk).order_by("-created_at", "-pk")[:NOTES_SHOWN]
    )
    names = names_of(note.author for note in notes)
    return [NoteLine(names.tell(note.author), note.text, note.created_at) for note in notes]
