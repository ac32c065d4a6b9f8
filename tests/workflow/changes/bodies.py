"""Bodies of change requests, and orders to change: shortest forms."""

from collections.abc import Mapping
from typing import Any

from oms.orders.documents.drafts import ItemDraft, PaymentDraft
from oms.orders.statuses import Flow, Status
from tests.workflow.stories import place_in
from workflow.models import ChangeRequest
from workflow.services.changes import request_change

CUPS, MUGS, MORE_CUPS = "U-CUPS", "U-MUGS", "U-MORE-CUPS"
ACTOR = "key:erp"


def body(**given: Any) -> dict[str, Any]:
    return {"reason": "The client asked."} | given


def item(quantity: int = 1, **given: Any) -> dict[str, Any]:
    return {"quantity": quantity} | given


def remove(*items: Mapping[str, Any], **given: Any) -> dict[str, Any]:
    return body(remove={"items": [*items]}, **given)


def add(*items: Mapping[str, Any], **given: Any) -> dict[str, Any]:
    return body(add={"items": [*items]}, **given)


def swap(old: Mapping[str, Any], new: Mapping[str, Any], **given: Any) -> dict[str, Any]:
    return body(replace=[{"from": {"items": [old]}, "to": {"items": [new]}}], **given)


def handled(flow: Flow = Flow.COMPLETE, status: Status = Status.HANDLING, **given: Any) -> str:
    """This function will place an order of 3 cups at 2.00, 1 mug at 3.00 and 1 cup at 1.00."""
    lines = [(CUPS, "cup", 3, 200), (MUGS, "mug", 1, 300), (MORE_CUPS, "cup", 1, 100)]
    totals = [
        {"id": "Items", "name": "Items Total", "value": 1000},
        {"id": "Discounts", "name": "Discounts Total", "value": 0},
        {"id": "Shipping", "name": "Shipping Total", "value": 0},
    ]
    facts: dict[str, Any] = {
        "value_cents": 1000,
        "item_count": 5,
        "extra": {"totals": totals},
        "items": [
            ItemDraft(
                unique_id=unique_id,
                index=index,
                sku_id=sku,
                seller_id="1",
                name=sku.title(),
                quantity=quantity,
                price_cents=price,
                selling_price_cents=price,
            )
            for index, (unique_id, sku, quantity, price) in enumerate(lines)
        ],
        "payments": [
            PaymentDraft(index=0, payment_id="PAY", value_cents=1000, group="creditCard")
        ],
    }
    return place_in(status, flow, **(facts | given))


def change(order_id: str, asked: Mapping[str, Any], request_id: str = "") -> ChangeRequest:
    return request_change(order_id=order_id, body=asked, actor=ACTOR, request_id=request_id)
