"""
A plan becomes rows: lines, value, totals, payments, and the change that the document shows.

The caller holds the order's row lock and writes the event with what comes back from here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from django.db.models import Max
from django.db.models.functions import Coalesce

from oms.orders.documents.deriving import logistics_of
from oms.orders.documents.kinds import moment_text
from oms.orders.locks import LockedOrder
from oms.orders.lookup_keys import document_key, email_key, phone_key
from oms.orders.models import Change as ToldChange
from oms.orders.models import ClientProfile, Item, Order, Payment
from workflow.changes.asking import Asked, CustomField
from workflow.changes.parts import OrderParts
from workflow.changes.pricing import TOTAL_NAMES, Line, Plan, spelled
from workflow.models import ChangeRequest


@dataclass(frozen=True, slots=True)
class Applied:
    """What became different, by field: [old, new]. `client_fields` names personal ones only."""

    changes: dict[str, list[Any]]
    client_fields: list[str]


def apply_plan(
    order: LockedOrder, parts: OrderParts, plan: Plan, request: ChangeRequest
) -> Applied:
    """This function will write a plan's outcome and return what changed, by line uniqueId."""
    changes = _differences(plan)
    row = parts.order
    new_value = row.value_cents + plan.difference_cents
    if new_value != row.value_cents:
        changes["value_cents"] = [row.value_cents, new_value]
    changes |= _write_payments(parts.payments, plan.difference_cents)
    _write_lines(parts, plan)
    row.value_cents = new_value
    row.item_count = sum(line.quantity for line in plan.after)
    if row.extra.get("totals"):
        row.extra["totals"] = _totals(row.extra["totals"], plan.totals)
    _write_deliveries(row, plan)
    if plan.asked.custom_fields:
        row.extra["customData"] = _custom_data(row.extra.get("customData"), plan.asked)
    row.save(update_fields=["value_cents", "item_count", "extra"])
    _write_told(order, plan, request)
    return Applied(changes, _write_client(row, plan.asked))


# Lines


def _differences(plan: Plan) -> dict[str, list[Any]]:
    before = {line.unique_id: line for line in plan.before}
    after = {line.unique_id: line for line in plan.after}
    changes: dict[str, list[Any]] = {}
    for unique_id in dict.fromkeys([*before, *after]):
        old, new = before.get(unique_id), after.get(unique_id)
        path = f"lines.{unique_id}"
        if old is None or new is None or old.sku_id != new.sku_id:
            changes[path] = [_in_words(old), _in_words(new)]
            continue
        for name in ("quantity", "goods_cents", "tax_cents", "multiplier"):
            was, becomes = getattr(old, name), getattr(new, name)
            if was != becomes:
                changes[f"{path}.{name}"] = [_plain(was), _plain(becomes)]
    return changes


def _in_words(line: Line | None) -> str | None:
    return None if line is None else f"{line.quantity} x {line.name or line.sku_id}"


def _plain(value: Any) -> Any:
    return spelled(value) if isinstance(value, Fraction) else value


def _write_lines(parts: OrderParts, plan: Plan) -> None:
    """Order of writes: what goes makes room for numbers and ids that what comes may use."""
    items = {item.pk: item for item in parts.items}
    kept = {line.pk for line in plan.after}
    Item.objects.filter(pk__in=[pk for pk in items if pk not in kept]).delete()
    untouched = {line.pk: line for line in plan.before}
    position_of = {item.pk: position for position, item in enumerate(parts.items)}
    position_now: dict[int, int] = {}
    for position, line in enumerate(plan.after):
        if line.pk is not None:
            position_now[position_of[line.pk]] = position
    for position, line in enumerate(plan.after):
        item = items.get(line.pk) if line.pk is not None else None
        item = item or Item(order_id=parts.order.pk)
        item.index = position
        parent = item.extra.get("parentItemIndex")
        if type(parent) is int:
            item.extra["parentItemIndex"] = position_now.get(parent)
        if untouched.get(line.pk) != line:
            _fill(item, line)
        # One by one, upwards: an index moves into the place that the one before has left.
        item.save()


def _fill(item: Item, line: Line) -> None:
    item.unique_id = line.unique_id
    item.sku_id = line.sku_id
    item.seller_id = line.seller_id
    item.name = line.name
    item.ref_id = line.ref_id
    item.quantity = line.quantity
    item.price_cents = line.price_cents
    item.list_price_cents = line.list_price_cents
    item.selling_price_cents = line.selling_price_cents
    item.tax_cents = line.tax_cents
    if line.pk is None:
        item.extra |= {"sellerSku": line.sku_id, **line.shown}
    item.extra |= _priced(line)


def _priced(line: Line) -> dict[str, Any]:
    return {
        "measurementUnit": line.measurement_unit,
        "unitMultiplier": float(line.multiplier),
        "priceDefinition": price_definition(line),
    }


def number_of(multiplier: Fraction) -> int | float:
    """This function will spell a multiplier as a JSON number. Nothing is reckoned with it."""
    return multiplier.numerator if multiplier.denominator == 1 else float(multiplier)


def price_definition(line: Line) -> dict[str, Any]:
    """This function will spell a line's prices as the contract's document does."""
    return {
        "sellingPrices": [{"value": price, "quantity": count} for price, count in line.prices],
        "calculatedSellingPrice": line.selling_price_cents,
        "total": line.goods_cents,
        "reason": None,
    }


# The order


def _totals(told: Any, differences: Mapping[str, int]) -> list[dict[str, Any]]:
    totals = [dict(entry) for entry in told or () if isinstance(entry, Mapping)]
    by_id = {entry.get("id"): entry for entry in totals}
    for key, difference in differences.items():
        if key in by_id:
            by_id[key]["value"] = (by_id[key].get("value") or 0) + difference
        elif difference:
            totals.append({"id": key, "name": TOTAL_NAMES[key], "value": difference})
    return totals


def _write_deliveries(row: Order, plan: Plan) -> None:
    shipping = row.extra.get("shippingData")
    if not isinstance(shipping, Mapping) or not any(line.delivery for line in plan.after):
        return
    known = [id(entry) for entry in logistics_of(shipping)]
    entries = [
        {**line.delivery, "itemIndex": position}
        for position, line in enumerate(plan.after)
        if line.delivery is not None
    ]
    # What is no entry of a line stays as it came.
    others = [
        entry
        for entry in shipping.get("logisticsInfo") or ()
        if id(entry) not in known and not isinstance(entry, Mapping)
    ]
    row.extra["shippingData"] = {**shipping, "logisticsInfo": [*entries, *others]}


def _custom_data(told: Any, asked: Asked) -> dict[str, Any]:
    data = dict(told) if isinstance(told, Mapping) else {}
    groups = [
        dict(group) for group in data.get("customFields") or () if isinstance(group, Mapping)
    ]
    for wanted in asked.custom_fields:
        group = next((g for g in groups if g.get("linkedEntity") == wanted.entity), None)
        if group is None:
            group = {"linkedEntity": dict(wanted.entity), "fields": []}
            groups.append(group)
        group["fields"] = _fields(group.get("fields"), wanted)
    return {**data, "customFields": [group for group in groups if group["fields"]]}


def _fields(told: Any, wanted: CustomField) -> list[dict[str, Any]]:
    others = [
        dict(entry)
        for entry in told or ()
        if isinstance(entry, Mapping) and entry.get("name") != wanted.name
    ]
    come = [] if wanted.value is None else [{"name": wanted.name, "value": wanted.value}]
    return [*others, *come]


def _write_client(row: Order, asked: Asked) -> list[str]:
    client = ClientProfile.objects.filter(order_id=row.pk).first() if asked.client else None
    if client is None:
        return []
    changed = [name for name, value in asked.client.items() if getattr(client, name) != value]
    for name in changed:
        setattr(client, name, asked.client[name])
    client.email_key = email_key(client.email)
    client.document_key = document_key(client.document)
    client.phone_key = phone_key(client.phone)
    if changed:
        client.save()
    return changed


# Money


def chargeable(payments: Iterable[Payment], allowed_systems: Sequence[str]) -> Payment | None:
    """This function will find the payment that a higher value can be charged to, if there is one."""
    for payment in payments:
        group = payment.group.lower()
        if group in CHARGEABLE_GROUPS or payment.payment_system in allowed_systems:
            return payment
    return None


# Contract: card, notes payable, cash, customer credit. A payment that says nothing is taken.
CHARGEABLE_GROUPS: Final = frozenset(
    {"", "creditcard", "creditcardpaymentgroup", "promissory", "cash", "creditcontrol"}
    | {"customercredit", "custompayment", "marketplace"}
)


def _write_payments(payments: Sequence[Payment], difference: int) -> dict[str, list[Any]]:
    """This function will raise the one that can be charged, or lower the last, not below captured."""
    changes: dict[str, list[Any]] = {}
    left = difference
    raised = [chargeable(payments, ()) or payments[0]] if payments else []
    for payment in raised if difference > 0 else reversed(payments):
        if left == 0:
            break
        old = payment.value_cents
        step = left if left > 0 else -min(-left, old - payment.captured_cents)
        payment.value_cents += step
        left -= step
        if step:
            payment.save(update_fields=["value_cents"])
            changes[f"payments.{payment.payment_id}.value_cents"] = [old, payment.value_cents]
    return changes


# What the document tells


def _write_told(order: LockedOrder, plan: Plan, request: ChangeRequest) -> None:
    index = ToldChange.objects.filter(order_id=order.pk).aggregate(
        next=Coalesce(Max("index") + 1, 0)
    )["next"]
    ToldChange.objects.create(
        order_id=order.pk,
        index=index,
        reason=plan.asked.reason,
        discount_cents=plan.asked.discount_cents,
        increment_cents=plan.asked.increment_cents,
        items_added=[_told(line) for step in plan.steps for line in step.put],
        items_removed=[_told(line) for step in plan.steps for line in step.taken],
        receipt={
            "date": moment_text(order.read_at),
            "orderId": order.order_id,
            "receipt": str(request.workflow_id),
        },
    )


def _told(line: Line) -> dict[str, Any]:
    return {
        "id": line.sku_id,
        "uniqueId": line.unique_id,
        "name": line.name or line.sku_id,
        "quantity": line.quantity,
        "price": line.selling_price_cents,
        "unitMultiplier": spelled(line.multiplier),
    }
