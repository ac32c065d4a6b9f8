"""
The body of a place-order request becomes drafts: one purchase, one order per seller.

Contract: POST /api/fulfillment/pvt/orders. Each purchase stands for itself: what is wrong with one
does not hold up the others.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson
from django.conf import settings

from oms.orders.documents.cards import without_card_secrets
from oms.orders.documents.columns import PLACED
from oms.orders.documents.deriving import (
    delivery_channel_of,
    estimate_from,
    is_express,
    shipping_estimate_of,
)
from oms.orders.documents.drafts import ClientDraft, ItemDraft, OrderDraft, PaymentDraft
from oms.orders.documents.errors import DocumentError, FieldError
from oms.orders.documents.kinds import moment_text, type_name
from oms.orders.documents.parts import own_id
from oms.orders.documents.purchases import Line, Purchase, check_purchase
from oms.orders.documents.splitting import apportion_payments, unit_prices
from oms.orders.documents.storable import storable_errors
from oms.orders.models import Order
from oms.orders.statuses import ORIGIN_OF_FLOW, DeliveryChannel, Flow, Status, priority_of

LONGEST_SALES_CHANNEL: Final = Order._meta.get_field("sales_channel").max_length or 0
START_STATUS: Final = {
    Flow.COMPLETE: Status.ORDER_CREATED,
    Flow.MARKETPLACE: Status.ORDER_CREATED,
    Flow.FULFILLMENT: Status.ORDER_ACCEPTED,
    Flow.CHAIN: Status.ORDER_CREATED,
}


# Here the payment is ours to collect; elsewhere the marketplace has its own reasons.
OWN_PAYMENT_FLOWS: Final = frozenset({Flow.COMPLETE, Flow.MARKETPLACE})


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseResult:
    """
    What became of one purchase of a request: drafts, or errors.

    `content_hash` is the same for the same purchase however often it is sent. `repeats` is the
    index of an earlier purchase of the same request that is identical to this one. `purchase` is
    what was sent, without card numbers and security codes.
    """

    index: int
    marketplace_order_id: str
    order_group: str
    content_hash: str
    drafts: tuple[OrderDraft, ...] = ()
    errors: tuple[FieldError, ...] = ()
    repeats: int | None = None
    purchase: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What a request says of all its purchases."""

    affiliate_id: str
    sales_channel: str
    flow: Flow
    now: datetime
    seller_names: Mapping[str, str]


def read_placement(
    body: object,
    *,
    affiliate_id: str,
    sales_channel: str,
    flow: Flow,
    now: datetime,
    seller_names: Mapping[str, str] | None = None,
) -> list[PurchaseResult]:
    """
    This function will check a request body of one purchase or a list of them, each for itself.

    Raises `DocumentError` only where the body as a whole is no list of purchases.
    """
    purchases = body if isinstance(body, list) else [body]
    most = settings.PLACEMENT_MAX_PURCHASES
    if not purchases:
        raise DocumentError([FieldError("", "expected at least one order")])
    if len(purchases) > most:
        raise DocumentError([FieldError("", f"expected at most {most} orders")])
    if len(sales_channel) > LONGEST_SALES_CHANNEL or "\x00" in sales_channel:
        message = f"expected at most {LONGEST_SALES_CHANNEL} characters"
        raise DocumentError([FieldError("sc", message)])
    placement = Placement(
        affiliate_id=affiliate_id,
        sales_channel=sales_channel,
        flow=flow,
        now=now,
        seller_names=seller_names or {},
    )
    return _mark_repeated(
        [_read_purchase(placement, source, index) for index, source in enumerate(purchases)]
    )


def order_group_of(affiliate_id: str, marketplace_order_id: str) -> str:
    """This function will return the group that a purchase's orders belong to, for ever."""
    return f"{affiliate_id}-{marketplace_order_id}"


def _mark_repeated(results: Sequence[PurchaseResult]) -> list[PurchaseResult]:
    first: dict[str, PurchaseResult] = {}
    marked = []
    for result in results:
        earlier = None if result.errors else first.setdefault(result.order_group, result)
        if earlier is None or earlier is result:
            marked.append(result)
        elif earlier.content_hash == result.content_hash:
            marked.append(replace(result, drafts=(), repeats=earlier.index))
        else:
            message = f"already used with other content by order {earlier.index} of this request"
            errors = (FieldError("marketplaceOrderId", message),)
            marked.append(replace(result, drafts=(), errors=errors))
    return marked


def _read_purchase(placement: Placement, source: object, index: int) -> PurchaseResult:
    errors: list[FieldError] = []
    if not isinstance(source, Mapping):
        errors = [FieldError("", f"expected an object, got {type_name(source)}")]
    else:
        errors = storable_errors(source)
    if errors or not isinstance(source, Mapping):
        return PurchaseResult(
            index=index,
            marketplace_order_id="",
            order_group="",
            content_hash="",
            errors=tuple(errors),
            purchase={},
        )
    purchase = dict(source)
    if "paymentData" in purchase:
        purchase["paymentData"] = without_card_secrets(purchase["paymentData"])
    checked = check_purchase(purchase, errors)
    if not errors and placement.flow in OWN_PAYMENT_FLOWS:
        errors += _underpaid(checked)
    content_hash = _hash(placement, purchase)
    drafts = () if errors else _split(placement, checked, content_hash)
    return PurchaseResult(
        index=index,
        marketplace_order_id=checked.marketplace_order_id,
        order_group=order_group_of(placement.affiliate_id, checked.marketplace_order_id),
        content_hash=content_hash,
        drafts=drafts,
        errors=tuple(errors),
        purchase=purchase,
    )


def _underpaid(purchase: Purchase) -> list[FieldError]:
    # Interest may make payments exceed the order; less than the order ships goods for free.
    paid = sum(payment.values["value_cents"] for payment in purchase.payments)
    value = sum(line.value_cents for line in purchase.lines)
    if not purchase.payments or paid >= value:
        return []
    return [FieldError("paymentData", f"the payments are {paid}, the order is {value} cents")]


def _hash(placement: Placement, purchase: Mapping[str, Any]) -> str:
    content = [placement.affiliate_id, placement.sales_channel, purchase]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _split(placement: Placement, purchase: Purchase, content_hash: str) -> tuple[OrderDraft, ...]:
    """This function will make one order per seller, in the order in which they first appear."""
    by_seller: dict[str, list[Line]] = {}
    for line in purchase.lines:
        by_seller.setdefault(line.seller_id, []).append(line)
    values = [sum(line.value_cents for line in lines) for lines in by_seller.values()]
    told = [paid.values["value_cents"] for paid in purchase.payments]
    rows = apportion_payments(told or [purchase.payment_value_cents], values)
    placed = {
        "content_hash": content_hash,
        "marketplace_payment_value": purchase.payment_value_cents,
        "difference": purchase.payment_value_cents - sum(values),
    }
    return tuple(
        _order(placement, purchase, number, lines, [row[number - 1] for row in rows], placed)
        for number, lines in enumerate(by_seller.values(), start=1)
    )


def _order(
    placement: Placement,
    purchase: Purchase,
    number: int,
    lines: Sequence[Line],
    paid: Sequence[int],
    placed: Mapping[str, Any],
) -> OrderDraft:
    group = order_group_of(placement.affiliate_id, purchase.marketplace_order_id)
    order_id = f"{group}-{number:02d}"
    logistics = [line.logistics for line in lines if line.logistics is not None]
    channel = _delivery_channel(purchase, logistics)
    express = is_express(logistics, settings.EXPRESS_SLA_WORDS)
    seller_id = lines[0].seller_id
    seller_name = placement.seller_names.get(seller_id, "")
    client_values, client_extra = purchase.client
    entries = [_logistics_entry(line, index, placement.now) for index, line in enumerate(lines)]
    return OrderDraft(
        order_id=order_id,
        sequence=None,
        order_group=group,
        split_number=number,
        marketplace_order_id=purchase.marketplace_order_id,
        seller_order_id=order_id if placement.flow == Flow.FULFILLMENT else "",
        affiliate_id=placement.affiliate_id,
        origin=ORIGIN_OF_FLOW[placement.flow],
        flow=placement.flow.value,
        sales_channel=placement.sales_channel,
        seller_id=seller_id,
        seller_name=seller_name[:160],
        delivery_channel=channel.value,
        is_express=express,
        priority=priority_of(delivery_channel=channel, is_express=express),
        currency=settings.STORE_CURRENCY,
        value_cents=sum(line.value_cents for line in lines),
        item_count=sum(line.values["quantity"] for line in lines),
        created_at=placement.now,
        shipping_estimate_at=shipping_estimate_of(entry for entry in entries if entry),
        status=START_STATUS[placement.flow].value,
        status_since=placement.now,
        last_change_at=placement.now,
        client=ClientDraft(**client_values, extra=client_extra),
        items=[_item(line, index, group) for index, line in enumerate(lines)],
        payments=_payments(purchase, group, paid),
        extra={
            **purchase.rest,
            "totals": _totals(lines),
            "sellers": [_seller(seller_id, seller_name)],
            "shippingData": _shipping(purchase, [entry for entry in entries if entry]),
            "paymentData": {"giftCards": [], **purchase.payment_data},
            PLACED: dict(placed),
        },
    )


def _delivery_channel(
    purchase: Purchase, logistics: Sequence[Mapping[str, Any]]
) -> DeliveryChannel:
    kind = (purchase.address or {}).get("addressType")
    if isinstance(kind, str) and kind.lower() == "pickup":
        return DeliveryChannel.PICKUP
    return delivery_channel_of(logistics)


def _item(line: Line, index: int, group: str) -> ItemDraft:
    values, quantity = line.values, line.values["quantity"]
    prices = unit_prices(line.goods_cents, quantity)
    list_price = values["list_price_cents"]
    return ItemDraft(
        **{
            **values,
            "unique_id": values["unique_id"] or own_id(group, "item", line.position),
            "list_price_cents": values["price_cents"] if list_price is None else list_price,
        },
        index=index,
        selling_price_cents=prices[0][0],
        extra={
            "sellerSku": values["sku_id"],
            **line.extra,
            "priceDefinition": {
                "sellingPrices": [{"value": price, "quantity": count} for price, count in prices],
                "calculatedSellingPrice": prices[0][0],
                "total": line.goods_cents,
                "reason": None,
            },
        },
    )


def _payments(purchase: Purchase, group: str, paid: Sequence[int]) -> list[PaymentDraft]:
    """This function will make this order's share of each payment, without shares of nothing."""
    if not purchase.payments:
        return [_marketplace_payment(group, paid[0])]
    drafts: list[PaymentDraft] = []
    for number, (payment, share) in enumerate(zip(purchase.payments, paid, strict=True)):
        values = {**payment.values, "value_cents": share}
        values["payment_id"] = values["payment_id"] or own_id(group, "payment", number)
        drafts.append(
            PaymentDraft(
                **values,
                index=len(drafts),
                transaction_index=payment.transaction_index,
                transaction_id=payment.transaction_id,
                extra=payment.extra,
            )
        )
    shares = [draft for draft in drafts if draft.value_cents] or drafts[:1]
    return [replace(draft, index=index) for index, draft in enumerate(shares)]


def _marketplace_payment(group: str, value_cents: int) -> PaymentDraft:
    return PaymentDraft(
        index=0,
        payment_id=own_id(group, "payment", 0),
        payment_system_name="Marketplace",
        group="promissory",
        value_cents=value_cents,
    )


def _logistics_entry(line: Line, index: int, now: datetime) -> dict[str, Any] | None:
    """This function will return a line's delivery with the line's index in its own order."""
    if line.logistics is None:
        return None
    estimate = moment_text(estimate_from(line.logistics.get("shippingEstimate"), now))
    return {
        "listPrice": line.shipping_cents,
        "sellingPrice": line.shipping_cents,
        "shippingEstimateDate": estimate,
        **line.logistics,
        "itemIndex": index,
    }


def _shipping(purchase: Purchase, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    address = purchase.address
    return {
        "id": "shippingData",
        "trackingHints": None,
        "selectedAddresses": [] if address is None else [address],
        **purchase.shipping,
        "address": address,
        "logisticsInfo": list(entries),
    }


def _seller(seller_id: str, name: str) -> dict[str, Any]:
    return {"id": seller_id, "name": name or seller_id, "logo": None, "fulfillmentEndpoint": None}


def _totals(lines: Sequence[Line]) -> list[dict[str, Any]]:
    amounts = {
        "Items": ("Items total", sum(line.items_cents + line.surcharge_cents for line in lines)),
        "Discounts": ("Discounts total", sum(line.discount_cents for line in lines)),
        "Shipping": ("Shipping total", sum(line.shipping_cents for line in lines)),
        "Tax": ("Tax total", sum(line.tax_cents for line in lines)),
    }
    return [{"id": key, "name": name, "value": value} for key, (name, value) in amounts.items()]
