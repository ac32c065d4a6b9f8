"""The smallest valid drafts. Story set-up goes on through services."""

import itertools
from datetime import UTC, datetime
from typing import Any

from oms.orders.documents.drafts import ClientDraft, ItemDraft, OrderDraft, PaymentDraft
from oms.orders.statuses import ORIGIN_OF_FLOW, Flow, priority_of
from workflow.flows import INITIAL_STATUS

_numbers = itertools.count(1)


def order_draft(
    flow: Flow = Flow.COMPLETE, *, now: datetime | None = None, **given: Any
) -> OrderDraft:
    """This function will make an order of one line of 10.00, paid by one card."""
    number = next(_numbers)
    at = now or datetime.now(UTC)
    value = given.pop("value_cents", 1000)
    facts: dict[str, Any] = {
        "order_id": f"TST-{number}-01",
        "sequence": None,
        "order_group": f"TST-{number}",
        "marketplace_order_id": str(number),
        "affiliate_id": "TST",
        "origin": ORIGIN_OF_FLOW[flow],
        "flow": flow,
        "seller_id": "1",
        "currency": "BRL",
        "value_cents": value,
        "item_count": 1,
        "created_at": at,
        "status": INITIAL_STATUS[flow],
        "status_since": at,
        "last_change_at": at,
        "client": ClientDraft(
            email=f"ana{number}@example.com", first_name="Ana", last_name="Lima"
        ),
        "items": [
            ItemDraft(
                unique_id=f"{number:032X}",
                index=0,
                sku_id="18",
                seller_id="1",
                name="Cup",
                quantity=1,
                price_cents=value,
                selling_price_cents=value,
            )
        ],
        "payments": [PaymentDraft(index=0, payment_id=f"P{number}", value_cents=value)],
    } | given
    facts["priority"] = given.get(
        "priority",
        priority_of(
            delivery_channel=facts.get("delivery_channel", "delivery"),
            is_express=facts.get("is_express", False),
        ),
    )
    return OrderDraft(**facts)
