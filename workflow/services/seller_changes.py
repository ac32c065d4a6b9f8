"""
Another seller takes an order over: allowed while no seller has begun to handle it for good.

A seller that gives an order up (`cancellation.cancel_order` with `as_seller`) leaves it in
window-to-change-seller, which ends by this or by cancellation (research, workflow 1.9).
Payments stay with the order: what is authorized is not authorized again (KI 1082298).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from oms.orders.locks import LockedOrder, lock_order
from oms.orders.models import Item, Order, SellerPolicy
from oms.orders.statuses import Status
from workflow.announcing import announce
from workflow.flows import Action
from workflow.models import StoreRules, WorkItem
from workflow.moves import Change, write_change
from workflow.policies import policies
from workflow.services.refusals import InvalidInput, Problem
from workflow.steps import Step

LONGEST_WINDOW_DAYS: Final = 365
# What a delivery option of the former seller says of its warehouses means nothing to the new one.
OF_THE_WAREHOUSE: Final = ("deliveryIds",)
# The buyer pays what the order says: freight of the new seller is between seller and marketplace.
OF_THE_BUYER: Final = ("price", "listPrice", "sellingPrice")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSeller:
    """Who takes the order over. `logistics` are entries with `itemIndex`; untold stays as it is."""

    seller_id: str
    payment_value_cents: int | None = None
    logistics: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


@transaction.atomic
def change_seller(*, order_id: str, seller: NewSeller, actor: str) -> datetime:
    """
    This function will hand an order to another seller, whose stock is asked next.

    Said twice it changes nothing the second time. Returns the time. Raises OrderNotFound;
    TransitionNotAllowed where it is too late or not a marketplace's order; InvalidInput.
    """
    order = lock_order(order_id)
    if order.seller_id == seller.seller_id and order.status is Status.WAITING_FOR_AUTHORIZATION:
        return order.read_at
    change = Change(
        order=order,
        actor=actor,
        action=Action.CHANGE_SELLER,
        changes={"seller_id": [order.seller_id, seller.seller_id]},
        data={"marketplacePaymentValue": seller.payment_value_cents},
        parts_changed=True,
    )
    change.next_status()
    if order.seller_id == seller.seller_id:
        raise InvalidInput(Problem("newSellerId", "This seller has the order already."))
    busy_until = _stock_call_out_until(order)
    _rewrite(order, seller)
    written = write_change(change)
    if busy_until is None:
        announce(written.due_item_ids)
    else:
        _wait_for_stock_call(order, busy_until)
    return order.read_at


def set_window_to_change_seller(days: int) -> None:
    """
    This function will set for how many days an order without a seller waits for another one.

    Orders that wait already keep their time. Raises InvalidInput.
    """
    if not 1 <= days <= LONGEST_WINDOW_DAYS:
        message = f"Expected 1 to {LONGEST_WINDOW_DAYS} days."
        raise InvalidInput(Problem("waitingTime", message))
    StoreRules.objects.update_or_create(id=1, defaults={"days_to_change_seller": days})
    policies.forget()


def _rewrite(order: LockedOrder, seller: NewSeller) -> None:
    row = Order.objects.get(pk=order.pk)
    name = SellerPolicy.objects.filter(seller_id=seller.seller_id).values_list("name", flat=True)
    row.seller_name = next(iter(name), "")
    row.seller_id = seller.seller_id
    row.seller_order_id = ""
    row.extra["sellers"] = [
        {
            "id": seller.seller_id,
            "name": row.seller_name or seller.seller_id,
            "logo": None,
            "fulfillmentEndpoint": None,
        }
    ]
    row.extra["shippingData"] = _reshipped(row.extra.get("shippingData"), seller.logistics)
    row.save(update_fields=["seller_id", "seller_name", "seller_order_id", "extra"])
    Item.objects.filter(order_id=order.pk).update(seller_id=seller.seller_id)


def _reshipped(shipping: Any, told: Sequence[Mapping[str, Any]]) -> Any:
    """This function will return shipping data without the former seller's warehouses."""
    told_of = _by_item(told)
    if not isinstance(shipping, Mapping):
        return shipping
    entries = [
        {
            **entry,
            **{key: [] for key in OF_THE_WAREHOUSE if key in entry},
            **told_of.get(_place(entry), {}),
            **{key: entry[key] for key in OF_THE_BUYER if key in entry},
        }
        for entry in shipping.get("logisticsInfo") or []
        if isinstance(entry, Mapping)
    ]
    return {**shipping, "logisticsInfo": entries}


def _by_item(told: Sequence[Mapping[str, Any]]) -> dict[int | None, Mapping[str, Any]]:
    for index, entry in enumerate(told):
        if _place(entry) is None:
            where = f"shippingData.logisticsInfo[{index}].itemIndex"
            raise InvalidInput(Problem(where, "Expected the place of an item, from 0."))
    return {_place(entry): entry for entry in told}


def _place(entry: Mapping[str, Any]) -> int | None:
    index = entry.get("itemIndex")
    return index if type(index) is int else None


def _stock_call_out_until(order: LockedOrder) -> datetime | None:
    item = WorkItem.objects.filter(order_id=order.pk, step=Step.RESERVE_STOCK).first()
    if item is None or item.leased_until is None or item.leased_until <= order.read_at:
        return None
    return item.leased_until


def _wait_for_stock_call(order: LockedOrder, busy_until: datetime) -> None:
    # A reservation at the former seller may land meanwhile: it has to be there to be given back.
    at = busy_until + timedelta(seconds=settings.CONNECTOR_TIMEOUT_SECONDS)
    WorkItem.objects.filter(order_id=order.pk, step=Step.RESERVE_STOCK).update(
        due_at=at, next_attempt_at=at
    )
