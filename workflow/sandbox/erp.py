"""What an ERP does with an order next, decided from the order's document alone. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workflow.sandbox.carrier import tracking_number
from workflow.sandbox.decisions import fraction_of
from workflow.sandbox.places import TOWNS

COURIER = "Rota Certa"
TRACKING_PAGE = "https://carrier.example/trackings"

# What the trickle plans for an order, and how many of a hundred.
PLANS: Mapping[str, int] = {"ordinary": 82, "partial": 9, "regretted": 6, "neglected": 3}
UNAUTHORIZED = frozenset({"waiting-ffmt-authorization", "waiting-for-manual-authorization"})
REGRETTED_IN = frozenset({"window-to-cancel", "ready-for-handling"})
READY_TO_INVOICE = frozenset({"handling", "ready-for-invoicing"})
OVER = frozenset({"canceled", "replaced"})


@dataclass(frozen=True, slots=True)
class Authorize:
    pass


@dataclass(frozen=True, slots=True)
class Cancel:
    reason: str


@dataclass(frozen=True, slots=True)
class StartHandling:
    pass


@dataclass(frozen=True, slots=True)
class Invoice:
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ship:
    invoice_number: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wait:
    pass


@dataclass(frozen=True, slots=True)
class Close:
    """Nothing more to do for this order, now or later."""


Act = Authorize | Cancel | StartHandling | Invoice | Ship | Wait | Close


def next_act(order: Mapping[str, Any], plan: str, *, at: datetime) -> Act:
    """This function will decide the next act on an order, from its state and the plan for it."""
    status = order["status"]
    if status in OVER:
        return Close()
    if status in UNAUTHORIZED:
        return Authorize()
    unshipped = [package for package in outputs(order) if not package.get("trackingNumber")]
    if unshipped:
        return _ship(order, unshipped[0], at)
    if status == "invoiced":
        return Close()
    if status == "cancellation-requested":
        # Whoever asked, the store agrees: a second call confirms the first.
        return Cancel("Cancelamento aceito pela loja")
    if plan == "regretted" and status in REGRETTED_IN:
        return Cancel("O cliente desistiu da compra")
    if status == "ready-for-handling":
        # A forgotten order is what the time budgets are there to show.
        return Close() if plan == "neglected" else StartHandling()
    if status in READY_TO_INVOICE:
        return _invoice(order, plan, at)
    return Wait()


def outputs(order: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """This function will list the sale invoices that the order has so far."""
    packages = (order.get("packageAttachment") or {}).get("packages") or []
    return [package for package in packages if package.get("type") == "Output"]


def _invoice(order: Mapping[str, Any], plan: str, at: datetime) -> Act:
    past = outputs(order)
    left = _quantities_left(order["items"], past)
    if not any(left):
        return Wait()
    billed = [index for index, quantity in enumerate(left) if quantity > 0]
    is_partial = plan == "partial" and not past and len(billed) > 1
    if is_partial:
        billed = billed[:1]
    items = [
        {
            "id": order["items"][index]["id"],
            "price": _unit_price(order["items"][index]),
            "quantity": left[index],
            "description": order["items"][index].get("name") or "",
        }
        for index in billed
    ]
    value = sum(item["price"] * item["quantity"] for item in items)
    if not is_partial:  # The last invoice takes freight and whatever else the order holds.
        value = order["value"] - sum(package["invoiceValue"] for package in past)
    number = f"{_serial(order):09d}-{len(past) + 1}"
    return Invoice(
        {
            "type": "Output",
            "issuanceDate": at.isoformat(),
            "invoiceNumber": number,
            "invoiceValue": str(value),
            "invoiceUrl": f"https://erp.example/invoices/{number}",
            "items": items,
        }
    )


def _ship(order: Mapping[str, Any], package: Mapping[str, Any], at: datetime) -> Act:
    city = ((order.get("shippingData") or {}).get("address") or {}).get("city")
    town = next((town for town in TOWNS if town.city == city), TOWNS[0])
    number = tracking_number(town, _serial(package))
    return Ship(
        package["invoiceNumber"],
        {
            "courier": COURIER,
            "trackingNumber": number,
            "trackingUrl": f"{TRACKING_PAGE}/{number}",
            "dispatchedDate": at.isoformat(),
        },
    )


def _quantities_left(
    items: Sequence[Mapping[str, Any]], past: Sequence[Mapping[str, Any]]
) -> list[int]:
    left = [int(item["quantity"]) for item in items]
    for package in past:
        for line in package.get("items") or []:
            left[line["itemIndex"]] -= int(line["quantity"])
    return left


def _unit_price(item: Mapping[str, Any]) -> int:
    selling = item.get("sellingPrice")
    return int(item["price"] if selling is None else selling)


def _serial(thing: Mapping[str, Any]) -> int:
    """A number that follows from the order, so that an act repeated after a lost answer is one."""
    name = thing.get("invoiceNumber") or thing["orderId"]
    return int(fraction_of(f"serial {name}") * 10**9)
