"""
The timeline of an order in plain words: what happened, who did it, what it was before and after.

The tables are pure; `read_timeline` reads a page of events and the names of those who acted in a
constant number of queries.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.utils.dateparse import parse_datetime

from oms.access.models import AppKey
from oms.backoffice.masking import mask_changes, mask_document
from oms.backoffice.money import money
from oms.backoffice.times import exact
from oms.backoffice.waiting import step_words
from oms.orders.models import OrderEvent, PaymentStatus
from oms.orders.statuses import Status

PAGE_SIZE: Final = 50

SENTENCES: Final[Mapping[str, str]] = {
    "order.placed": "Order placed",
    "order.imported": "Order imported with its history",
    "order.completed": "Order data complete",
    "order.creation-failed": "Creating the order failed",
    "order.creation-retried": "Creating the order tried again",
    "order.seller-asked": "Seller asked for confirmation",
    "order.held-for-authorization": "Held: its value needs authorization",
    "order.authorized": "Order authorized",
    "order.seller-confirmed": "Seller confirmed, stock reserved",
    "order.stock-reserved": "Stock reserved",
    "order.payment-authorized": "Payment authorized by the gateway",
    "order.payment-denied": "Payment denied",
    "order.payment-approved": "Payment approved, antifraud passed",
    "order.payment-window-opened": "The customer may pay another way",
    "order.payment-retried": "Payment tried again",
    "order.seller-lost": "The seller gave the order up",
    "order.seller-changed": "Another seller took the order",
    "order.seller-left": "Stock held by the former seller given back",
    "order.manual-authorization-asked": "Authorization by hand asked for",
    "order.fulfillment-authorized": "Fulfillment authorized",
    "order.marketplace-authorized": "Authorized by the marketplace",
    "order.authorization-received": "Authorization came early and was kept",
    "order.seller-awaited": "Handed to the seller",
    "order.stock-confirmed": "Stock confirmed, window to cancel opened",
    "order.window-to-cancel-closed": "Window to cancel closed",
    "order.handed-to-warehouse": "Handed to the warehouse system",
    "order.released-from-warehouse": "Released by the warehouse system",
    "order.handling-started": "Handling started",
    "order.handling-acknowledged": "Items taken out of stock, being handled",
    "order.picked": "Picked and packed",
    "order.invoice-recorded": "Invoice received",
    "order.invoice-taken-up": "Invoice taken up, being verified",
    "order.invoiced": "Wholly invoiced",
    "order.partly-invoiced": "Partly invoiced",
    "order.return-invoiced": "Return invoiced",
    "order.cancellation-requested": "Cancellation asked for",
    "order.seller-decision-awaited": "Seller asked to decide on the cancellation",
    "order.cancellation-accepted": "Cancellation accepted",
    "order.cancellation-denied": "Cancellation denied",
    "order.returned-to-ready": "Back to ready for handling",
    "order.returned-to-handling": "Back to handling",
    "order.returned-to-invoicing": "Back to ready for invoicing",
    "order.cancellation-started": "Canceling",
    "order.canceled": "Canceled: payment and stock given back",
    "order.replaced": "Replaced by another order",
    "order.change-requested": "Change asked for: the higher amount is being authorized",
    "order.changed": "Order changed",
    "order.change-canceled": "Change given up",
    "order.forced": "Status forced by hand",
    "payment.pending": "Payment is pending",
    "payment.approved": "Payment approved",
    "payment.denied": "Payment denied",
    "payment.captured": "Payment captured",
    "payment.voided": "Payment voided",
    "payment.refunded": "Payment refunded",
    "package.shipped": "Shipping data received",
    "package.tracked": "News from the carrier",
    "package.delivered": "Package delivered",
    "work.parked": "Stuck: could not {step}",
    "work.retried": "Stuck work started again: {step}",
    "work.skipped": "Step skipped: {step}",
    "note.added": "Note added",
}

# The icon beside an event, by the beginning of its kind; names of Material Symbols.
ICONS: Final[Mapping[str, str]] = {
    "order.placed": "shopping_cart",
    "order.imported": "input",
    "order.forced": "gavel",
    "order.cancel": "cancel",
    "order.payment": "credit_card",
    "order.invoice": "receipt_long",
    "order.partly": "receipt_long",
    "order.return-": "assignment_return",
    "order.stock": "inventory_2",
    "order.seller": "storefront",
    "order.handling": "package_2",
    "order.picked": "package_2",
    "order.change": "edit_note",
    "order.window": "timer",
    "payment.": "credit_card",
    "package.": "local_shipping",
    "work.parked": "error",
    "work.": "build",
    "note.": "sticky_note_2",
}
ROLES: Final[Mapping[str, str]] = {
    "workflow": "the workflow",
    "backoffice": "the back office",
    "web": "the web process",
    "sandbox": "the sandbox",
    "watch": "the watcher",
}
FIELDS: Final[Mapping[str, str]] = {
    "status": "Status",
    "value_cents": "Value",
    "tracking_number": "tracking number",
    "tracking_url": "tracking link",
    "courier": "carrier",
    "dispatched_at": "handed to the carrier",
    "delivered": "delivered",
    "tracking": "last news",
    "settled": "Captured for package",
    "seller_id": "Seller",
}
FIELDS_OF_LINES: Final[Mapping[str, str]] = {
    "quantity": "quantity",
    "goods_cents": "price",
    "tax_cents": "tax",
    "multiplier": "units of measure",
}
# Facts of an event that no change tells: shown beneath it, under these words.
TOLD_DATA: Final[Mapping[str, str]] = {
    "cause": "Cause",
    "skipped": "Skipped",
    "source": "Source",
    "fileName": "File",
    "line": "Line",
}


@dataclass(frozen=True, slots=True)
class FieldChange:
    field: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One event in words."""

    seq: int
    position: int | None
    at: datetime
    sentence: str
    icon: str
    kind: str
    actor: str
    actor_code: str
    reason: str
    status: str
    moved_from: str
    moved_to: str
    changes: Sequence[FieldChange] = ()
    facts: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """Newest first. `older_before`: the sequence number that the next older page begins below."""

    entries: Sequence[Entry]
    older_before: int | None = None


@dataclass(slots=True)
class Names:
    """Who hides behind the actor codes of some events."""

    users: dict[str, str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)

    def tell(self, actor: str) -> str:
        """This function will name an actor: a person, an integration's owner, a role."""
        kind, _, name = actor.partition(":")
        match kind:
            case "user":
                return self.users.get(name) or name
            case "key":
                owner = self.owners.get(name)
                return f"{owner} (app key)" if owner else f"app key {name}"
            case "role":
                return ROLES.get(name, f"the {name} role")
            case "command":
                return f"command line ({name})"
        return actor


def read_timeline(
    order_pk: int,
    *,
    currency: str,
    is_masked: bool,
    before: int | None = None,
    limit: int = PAGE_SIZE,
) -> TimelinePage:
    """This function will read one page of an order's events, newest first, three queries."""
    events = OrderEvent.objects.filter(order_id=order_pk).select_related("ledger_entry")
    if before is not None:
        events = events.filter(seq__lt=before)
    page = list(events.order_by("-seq")[: limit + 1])
    more, page = len(page) > limit, page[:limit]
    names = names_of(event.actor for event in page)
    entries = [tell(event, names, currency=currency, is_masked=is_masked) for event in page]
    return TimelinePage(entries, page[-1].seq if more else None)


def names_of(actors: Iterable[str]) -> Names:
    """This function will look up the names behind actor codes, one query per kind in use."""
    by_kind: dict[str, set[str]] = {"user": set(), "key": set()}
    for actor in actors:
        kind, _, name = actor.partition(":")
        if kind in by_kind:
            by_kind[kind].add(name)
    names = Names()
    if by_kind["user"]:
        people = get_user_model().objects.filter(username__in=by_kind["user"])
        names.users = {person.get_username(): person.get_full_name() for person in people}
    if by_kind["key"]:
        keys = AppKey.objects.filter(app_key__in=by_kind["key"])
        names.owners = dict(keys.values_list("app_key", "owner_name"))
    return names


def tell(event: OrderEvent, names: Names, *, currency: str, is_masked: bool) -> Entry:
    """This function will put one event into words."""
    changes = mask_changes(event.changes) if is_masked else event.changes
    data = mask_document(event.data) if is_masked else event.data
    moved = event.status != event.last_status
    entry = getattr(event, "ledger_entry", None)
    return Entry(
        seq=event.seq,
        position=entry.position if entry else None,
        at=event.occurred_at,
        sentence=sentence_of(event.kind, data),
        icon=icon_of(event.kind),
        kind=event.kind,
        actor=names.tell(event.actor),
        actor_code=event.actor,
        reason=event.reason,
        status=event.status,
        moved_from=event.last_status if moved and event.last_status != Status.NULL else "",
        moved_to=event.status if moved else "",
        changes=[
            change_in_words(path, values, currency)
            for path, values in changes.items()
            if path != "status"
        ],
        facts=[(words, str(data[key])) for key, words in TOLD_DATA.items() if data.get(key)],
    )


def sentence_of(kind: str, data: Mapping[str, Any]) -> str:
    """This function will say what happened; a kind it does not know is spelled out."""
    sentence = SENTENCES.get(kind) or kind.replace(".", " ").replace("-", " ").capitalize()
    return sentence.format(
        step=step_words(str(data.get("step") or data.get("skipped") or "go on"))
    )


def icon_of(kind: str) -> str:
    fitting = [prefix for prefix in ICONS if kind.startswith(prefix)]
    return ICONS[max(fitting, key=len)] if fitting else "arrow_forward"


def change_in_words(path: str, values: Any, currency: str) -> FieldChange:
    """This function will tell a changed field with its old and new value."""
    old, new = (
        (values[0], values[1]) if isinstance(values, list) and len(values) == 2 else (None, values)
    )
    name = _field_words(path)
    is_amount = path.endswith("_cents") or (path.startswith("packages.") and _is_amount(new))
    return FieldChange(name, _value(old, currency, is_amount), _value(new, currency, is_amount))


def _field_words(path: str) -> str:
    head, _, rest = path.partition(".")
    if head == "packages" and rest:
        number, dot, last = rest.rpartition(".")
        if dot and last in FIELDS:
            return f"Invoice {number}, {FIELDS[last]}"
        return f"Invoice {rest}"
    if head == "lines" and rest:
        line, dot, last = rest.rpartition(".")
        if dot and last in FIELDS_OF_LINES:
            return f"Line {_shortened(line)}, {FIELDS_OF_LINES[last]}"
        return f"Line {_shortened(rest)}"
    if head == "payments" and rest:
        number, _, last = rest.rpartition(".")
        return f"Payment {_shortened(number or last)}"
    return FIELDS.get(path, path.replace("_", " ").capitalize())


def _shortened(identifier: str) -> str:
    return identifier if len(identifier) <= 12 else f"…{identifier[-8:]}"


def _is_amount(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _value(value: Any, currency: str, is_amount: bool) -> str:
    if value is None or value == "":
        return ""
    if is_amount and _is_amount(value):
        return money(value, currency)
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    if len(text) >= 19 and text[4:5] == "-" and (moment := _moment(text)):
        return moment
    return PaymentStatus(text).label if text in set(PaymentStatus) else text


def _moment(text: str) -> str | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return exact(moment) if moment and moment.tzinfo else None
