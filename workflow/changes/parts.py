"""An order's rows as the lines that a change works on, and what else bounds a change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.db.models import Sum

from oms.orders.documents.deriving import logistics_of
from oms.orders.models import InvoiceType, Item, Order, Package, PackageItem, Payment
from workflow.changes.pricing import Line, Prices, merged

SHOWN = ("productId", "ean", "imageUrl", "detailUrl", "priceTags")


@dataclass(slots=True)
class OrderParts:
    """What a change reads of an order, under its row lock or, for a preview, without."""

    order: Order
    items: list[Item]
    payments: list[Payment]
    lines: list[Line]
    invoiced_cents: int

    @property
    def has_one_address(self) -> bool:
        entries = logistics_of(self.order.extra.get("shippingData"))
        return len({entry.get("addressId") for entry in entries if entry.get("addressId")}) <= 1


def load_parts(order_pk: int) -> OrderParts:
    """This function will read an order with its lines, payments and what is invoiced of each."""
    order = Order.objects.get(pk=order_pk)
    items = list(Item.objects.filter(order_id=order_pk).order_by("index"))
    sold = PackageItem.objects.filter(
        package__order_id=order_pk, package__type=InvoiceType.OUTPUT, item__isnull=False
    )
    invoiced = dict(
        sold.order_by()
        .values("item_id")
        .annotate(total=Sum("quantity"))
        .values_list("item_id", "total")
    )
    packages = Package.objects.filter(order_id=order_pk, type=InvoiceType.OUTPUT)
    deliveries = {
        entry.get("itemIndex"): entry for entry in logistics_of(order.extra.get("shippingData"))
    }
    return OrderParts(
        order=order,
        items=items,
        payments=list(Payment.objects.filter(order_id=order_pk).order_by("index")),
        lines=[
            _line(item, deliveries.get(position), invoiced.get(item.pk, 0))
            for position, item in enumerate(items)
        ],
        invoiced_cents=packages.aggregate(total=Sum("invoice_value_cents"))["total"] or 0,
    )


def _line(item: Item, delivery: Mapping[str, Any] | None, invoiced: int) -> Line:
    extra = item.extra
    return Line(
        pk=item.pk,
        unique_id=item.unique_id,
        sku_id=item.sku_id,
        seller_id=item.seller_id,
        name=item.name,
        ref_id=item.ref_id,
        price_cents=item.price_cents,
        list_price_cents=item.list_price_cents,
        prices=_prices(item),
        tax_cents=item.tax_cents,
        shipping_cents=_shipping(delivery),
        invoiced=min(invoiced, item.quantity),
        multiplier=_multiplier(extra.get("unitMultiplier")),
        measurement_unit=str(extra.get("measurementUnit") or "un"),
        delivery=delivery,
        shown={key: extra[key] for key in SHOWN if key in extra},
    )


def _prices(item: Item) -> Prices:
    """This function will read the price of each unit; an odd definition is as good as none."""
    definition = item.extra.get("priceDefinition")
    told = definition.get("sellingPrices") if isinstance(definition, Mapping) else None
    prices = [
        (entry["value"], entry["quantity"])
        for entry in (told if isinstance(told, Sequence) and not isinstance(told, str) else ())
        if isinstance(entry, Mapping)
        and type(entry.get("value")) is int
        and type(entry.get("quantity")) is int
        and entry["quantity"] > 0
    ]
    if sum(count for _, count in prices) == item.quantity:
        return merged(*prices)
    return ((item.selling_price_cents, item.quantity),)


def _shipping(delivery: Mapping[str, Any] | None) -> int:
    for key in ("sellingPrice", "price"):
        value = (delivery or {}).get(key)
        if type(value) is int and value >= 0:
            return value
    return 0


def _multiplier(told: Any) -> Fraction:
    is_number = isinstance(told, (int, float)) and not isinstance(told, bool)
    value = Fraction(Decimal(repr(told))) if is_number else Fraction(1)
    return value if value > 0 else Fraction(1)
