"""
An order document of the contract becomes a draft, or a list of everything that is wrong with it.

Nothing of the document is lost: what has no column stays in `extra` (see
`oms.orders.documents.columns`). The exceptions are card numbers and security codes.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from django.conf import settings

from oms.orders.documents.cards import without_card_secrets
from oms.orders.documents.columns import take
from oms.orders.documents.deriving import (
    delivery_channel_of,
    flow_of,
    group_and_split,
    is_express,
    logistics_of,
    shipping_estimate_of,
)
from oms.orders.documents.drafts import (
    CancellationRequestDraft,
    ClientDraft,
    ItemDraft,
    OrderDraft,
)
from oms.orders.documents.errors import DocumentError, FieldError, NotTaken
from oms.orders.documents.kinds import BIGGEST_COUNT, parse_moment, type_name
from oms.orders.documents.mapping import (
    CLIENT_COLUMNS,
    ITEM_COLUMNS,
    ORDER_COLUMNS,
)
from oms.orders.documents.parts import (
    ID_NAMESPACE,
    objects_of,
    own_id,
    read_changes,
    read_packages,
    read_payments,
    refuse_repeated,
)
from oms.orders.documents.storable import storable_errors
from oms.orders.statuses import Status, priority_of


def read_document(document: object) -> OrderDraft:
    """
    This function will turn an order document into a draft with its own dates and status.

    Raises `DocumentError` with every field that cannot be taken.
    """
    if not isinstance(document, Mapping):
        raise DocumentError([FieldError("", f"expected an object, got {type_name(document)}")])
    errors = storable_errors(document)
    if errors:
        raise DocumentError(errors)
    draft = _read_order(document, errors)
    if errors:
        raise DocumentError(errors)
    return draft


def _read_order(document: Mapping[str, Any], errors: list[FieldError]) -> OrderDraft:
    values, extra = take(document, ORDER_COLUMNS, "", errors)
    extra["$imported"]["status"] = values["status"]
    if "paymentData" in extra:
        extra["paymentData"] = without_card_secrets(extra["paymentData"])
    group, split_number = group_and_split(values["order_id"])
    values["order_group"] = values["order_group"] or group
    items = _read_items(values["order_id"], extra, errors)
    logistics = logistics_of(extra.get("shippingData"))
    channel = delivery_channel_of(logistics)
    express = is_express(logistics, settings.EXPRESS_SLA_WORDS)
    seller_id, seller_name, seller_ids = _read_sellers(extra, items, errors)
    return OrderDraft(
        **values,
        split_number=split_number,
        flow=flow_of(values["origin"], seller_ids, settings.OWN_SELLER_IDS),
        seller_id=seller_id,
        seller_name=seller_name,
        delivery_channel=channel,
        is_express=express,
        priority=priority_of(delivery_channel=channel, is_express=express),
        currency=_read_currency(extra, errors),
        item_count=_count_items(items, errors),
        is_imported=True,
        shipping_estimate_at=shipping_estimate_of(logistics),
        status_since=values["last_change_at"],
        canceled_at=_read_canceled_at(extra, errors),
        client=_read_client(extra, errors),
        items=items,
        payments=read_payments(values, extra, errors),
        packages=read_packages(extra, len(items), errors),
        changes=read_changes(extra, errors),
        cancellation_requests=_read_open_request(values, extra),
        extra=extra,
    )


def _read_items(order_id: str, extra: dict[str, Any], errors: list[FieldError]) -> list[ItemDraft]:
    items = []
    for index, entry in objects_of(_required_list(extra, "items", errors), "items", errors):
        values, item_extra = take(entry, ITEM_COLUMNS, f"items[{index}]", errors)
        values["unique_id"] = values["unique_id"] or own_id(order_id, "item", index)
        items.append(ItemDraft(index=index, extra=item_extra, **values))
    refuse_repeated((item.unique_id for item in items), "items", "uniqueId", errors)
    return items


def _read_sellers(
    extra: Mapping[str, Any], items: list[ItemDraft], errors: list[FieldError]
) -> tuple[str, str, list[str]]:
    """This function will return the order's seller, its name, and the ids of all sellers."""
    told = extra.get("sellers")
    sellers = (
        [entry for entry in told if isinstance(entry, Mapping)] if isinstance(told, list) else []
    )
    ids = [str(seller.get("id") or "") for seller in sellers] or [item.seller_id for item in items]
    names = [seller.get("name") for seller in sellers]
    seller_id, name = ids[0] if ids else "", names[0] if names else ""
    if len(seller_id) > 80:
        errors.append(FieldError("sellers[0].id", "expected at most 80 characters"))
    return seller_id, name[:160] if isinstance(name, str) else "", ids


def _read_currency(extra: Mapping[str, Any], errors: list[FieldError]) -> str:
    preferences = extra.get("storePreferencesData")
    code = preferences.get("currencyCode") if isinstance(preferences, Mapping) else None
    if code is None:
        return str(settings.STORE_CURRENCY)
    if not isinstance(code, str) or len(code) != 3:
        errors.append(FieldError("storePreferencesData.currencyCode", "expected three letters"))
        return str(settings.STORE_CURRENCY)
    return code


def _count_items(items: Iterable[ItemDraft], errors: list[FieldError]) -> int:
    total = sum(item.quantity for item in items)
    if total > BIGGEST_COUNT:
        errors.append(FieldError("items", f"expected at most {BIGGEST_COUNT} units in one order"))
    return total


def _read_canceled_at(extra: Mapping[str, Any], errors: list[FieldError]) -> datetime | None:
    cancellation = extra.get("cancellationData")
    if not isinstance(cancellation, Mapping) or cancellation.get("CancellationDate") is None:
        return None
    try:
        return parse_moment(cancellation["CancellationDate"])
    except NotTaken as error:
        errors.append(FieldError("cancellationData.CancellationDate", str(error)))
        return None


def _read_client(extra: dict[str, Any], errors: list[FieldError]) -> ClientDraft | None:
    profile = extra.get("clientProfileData")
    if profile is None:
        return None
    if not isinstance(profile, Mapping):
        errors.append(
            FieldError("clientProfileData", f"expected an object, got {type_name(profile)}")
        )
        return None
    del extra["clientProfileData"]
    values, client_extra = take(profile, CLIENT_COLUMNS, "clientProfileData", errors)
    return ClientDraft(extra=client_extra, **values)


AWAITS_DECISION: Final = frozenset(
    {Status.CANCELLATION_REQUESTED, Status.WAITING_FOR_SELLER_DECISION}
)


def _read_open_request(
    order: Mapping[str, Any], extra: Mapping[str, Any]
) -> list[CancellationRequestDraft]:
    """
    This function will find the request that the seller of an imported order still has to decide.

    A denied one leads back to where requests of that origin come from. Decided ones are history
    and stay in the document alone.
    """
    entries = extra.get("cancellationRequests")
    if order["status"] not in AWAITS_DECISION:
        return []
    last = entries[-1] if isinstance(entries, list) and entries else {}
    last = last if isinstance(last, Mapping) else {}
    origin = order["origin"]
    try:
        request_id = UUID(str(last.get("id")))
    except ValueError:
        request_id = uuid5(ID_NAMESPACE, f"{order['order_id']} cancellation request")
    try:
        requested_at = parse_moment(last.get("cancellationRequestDate") or "")
    except NotTaken:
        requested_at = None
    reason = last.get("reason")
    return [
        CancellationRequestDraft(
            request_id=request_id,
            reason=reason if isinstance(reason, str) else "",
            requested_by="role:import",
            requested_at=requested_at or order["last_change_at"],
            status_before=Status.PAYMENT_APPROVED if origin == "Marketplace" else Status.HANDLING,
        )
    ]


def _required_list(extra: dict[str, Any], key: str, errors: list[FieldError]) -> list[Any]:
    entries = extra.pop(key, None)
    if not isinstance(entries, list):
        errors.append(FieldError(key, f"expected a list, got {type_name(entries)}"))
        return []
    return entries
