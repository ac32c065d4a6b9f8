"""Rows become the contract's order document. Pure: the queries are in `building`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from oms.orders.documents.columns import IMPORTED, give, is_imported
from oms.orders.documents.completing import complete
from oms.orders.documents.defaults import (
    client_defaults,
    item_defaults,
    order_defaults,
    package_defaults,
    payment_defaults,
)
from oms.orders.documents.errors import NotTaken
from oms.orders.documents.kinds import moment_text, parse_moment
from oms.orders.documents.mapping import (
    CHANGE_COLUMNS,
    CLIENT_COLUMNS,
    COURIER_STATUS_COLUMNS,
    ITEM_COLUMNS,
    ORDER_COLUMNS,
    PACKAGE_COLUMNS,
    PACKAGE_ITEM_COLUMNS,
    PAYMENT_COLUMNS,
    TRACKING_COLUMNS,
)
from oms.orders.documents.permitted import allows_cancellation, allows_edition
from oms.orders.models import InvoiceType
from oms.orders.statuses import Status, label_of

Row = Mapping[str, Any]

DECIDED_BY_SELLER: Final = (Status.CANCELLATION_REQUESTED, Status.WAITING_FOR_SELLER_DECISION)


@dataclass(slots=True)
class OrderRows:
    """All rows of one order, each from column to value, parts in the order of their `index`."""

    order: Row
    client: Row | None = None
    items: Sequence[Row] = field(default_factory=list)
    payments: Sequence[Row] = field(default_factory=list)
    packages: Sequence[Row] = field(default_factory=list)
    package_items: dict[int, list[Row]] = field(default_factory=dict)
    tracking_events: dict[int, list[Row]] = field(default_factory=dict)
    changes: Sequence[Row] = field(default_factory=list)
    cancellation_requests: Sequence[Row] = field(default_factory=list)
    cancellation: Row | None = None
    is_in_error: bool = False


def assemble(rows: OrderRows) -> dict[str, Any]:
    """This function will build the whole order document of the contract from an order's rows."""
    order = rows.order
    given = give(order, ORDER_COLUMNS, all_fields=True)
    document = {**order_defaults(order["currency"]), **given}
    document |= _facts_of_status(rows)
    document["items"] = [_item(row) for row in rows.items]
    document["clientProfileData"] = _client(rows, given)
    document["paymentData"] = _payment_data(document["paymentData"], rows.payments)
    document["packageAttachment"] = _with_rows(
        document["packageAttachment"], "packages", [_package(row, rows) for row in rows.packages]
    )
    document["changesAttachment"] = _with_rows(
        document["changesAttachment"],
        "changesData",
        [give(row, CHANGE_COLUMNS) for row in rows.changes],
        empty={"id": "changeAttachment"},
    )
    document["cancellationData"] = _cancellation_data(rows, document["cancellationData"])
    if rows.cancellation_requests:
        document["cancellationRequests"] = _cancellation_requests(
            document.get("cancellationRequests"), rows.cancellation_requests
        )
    if not is_imported(order["extra"]):
        complete(document)
    return document


def _facts_of_status(rows: OrderRows) -> dict[str, Any]:
    """
    This function will return the fields that follow from the status.

    While an imported order stands where the import found it, they are those of its document.
    """
    order, extra = rows.order, rows.order["extra"]
    is_partly_invoiced = any(package["type"] == InvoiceType.OUTPUT for package in rows.packages)
    facts = {
        "statusDescription": label_of(order["status"]),
        "lastMessage": None,
        "allowCancellation": allows_cancellation(
            order["status"], is_partly_invoiced=is_partly_invoiced
        ),
        "allowEdition": allows_edition(order["status"]),
    }
    if extra.get(IMPORTED, {}).get("status") == order["status"]:
        facts |= {key: extra[key] for key in facts if key in extra}
    return {**facts, "workflowIsInError": rows.is_in_error}


def _client(rows: OrderRows, given: Row) -> Any:
    if rows.client is None:
        return given.get("clientProfileData")
    known = give(rows.client, CLIENT_COLUMNS)
    return known if is_imported(rows.client["extra"]) else {**client_defaults(), **known}


def _item(row: Row) -> dict[str, Any]:
    known = give(row, ITEM_COLUMNS)
    return known if is_imported(row["extra"]) else {**item_defaults(), **known}


def _payment(row: Row) -> dict[str, Any]:
    known = give(row, PAYMENT_COLUMNS)
    return known if is_imported(row["extra"]) else {**payment_defaults(), **known}


def _payment_data(data: Any, payments: Sequence[Row]) -> Any:
    """This function will put the payments back into their transactions."""
    if not payments:
        return data
    data = data if isinstance(data, Mapping) else {"giftCards": []}
    transactions = [dict(told) for told in data.get("transactions") or []]
    last = max(row["transaction_index"] for row in payments)
    while len(transactions) <= last:
        transactions.append({"isActive": True, "transactionId": None, "merchantName": None})
    for row in payments:
        transaction = transactions[row["transaction_index"]]
        if row["transaction_id"]:
            transaction["transactionId"] = row["transaction_id"]
        transaction["payments"] = [*(transaction.get("payments") or []), _payment(row)]
    return {**data, "transactions": transactions}


def _package(row: Row, rows: OrderRows) -> dict[str, Any]:
    known = give(row, PACKAGE_COLUMNS)
    if not is_imported(row["extra"]):
        known = {**package_defaults(), **known}
    lines = [_package_item(line) for line in rows.package_items.get(row["id"], ())]
    if lines:
        known["items"] = lines
    status = _courier_status(row, rows.tracking_events.get(row["id"], ()))
    if status is not None:
        known["courierStatus"] = status
    return known


def _package_item(row: Row) -> dict[str, Any]:
    known = give(row, PACKAGE_ITEM_COLUMNS)
    if row["item_index"] is not None:
        known = {"itemIndex": row["item_index"], **known}
    return known if is_imported(row["extra"]) else {"unitMultiplier": 1.0, **known}


def _courier_status(package: Row, events: Sequence[Row]) -> dict[str, Any] | None:
    """This function will tell what the carrier said, None while it said nothing."""
    told = package["extra"].get("courierStatus")
    if told is None and not events and not package["is_delivered"]:
        return None
    if told is None:
        told = {"status": "delivered" if package["is_delivered"] else "in transit", "data": []}
    known = give({**package, "extra": told}, COURIER_STATUS_COLUMNS)
    if events:
        known["data"] = [_tracking_event(event) for event in events]
    return known


def _tracking_event(row: Row) -> dict[str, Any]:
    known = give(row, TRACKING_COLUMNS)
    if is_imported(row["extra"]):
        return known
    return {"lastChange": moment_text(row["occurred_at"]), **known}


def _with_rows(
    holder: Any, key: str, rows: list[dict[str, Any]], empty: Mapping[str, Any] | None = None
) -> Any:
    """This function will put rows back under their name; without rows all stays as it came."""
    if not rows:
        return holder
    return {**((empty or {}) if holder is None else holder), key: rows}


def _cancellation_data(rows: OrderRows, told: Any) -> Any:
    """
    This function will say who canceled, when and why.

    Who is read from the event that started it, which nothing can overwrite (KI 1249934, 792650).
    """
    order = rows.order
    canceled_at = order["canceled_at"]
    if canceled_at is None:
        return told
    known = told if isinstance(told, Mapping) else {}
    try:
        if parse_moment(known.get("CancellationDate") or "") == canceled_at:
            return told
    except NotTaken:
        pass
    return {
        **_who_canceled(rows.cancellation),
        **known,
        "Reason": order["cancel_reason"] or None,
        "CancellationDate": moment_text(canceled_at),
    }


def _who_canceled(event: Row | None) -> dict[str, bool]:
    actor = "" if event is None else event["actor"]
    decided = event is not None and event["last_status"] in DECIDED_BY_SELLER
    unpaid = event is not None and event["last_status"] == Status.PAYMENT_DENIED
    return {
        "RequestedByUser": actor.startswith(("user:", "key:")) and not decided,
        "RequestedBySystem": actor.startswith(("role:", "command:")) and not unpaid,
        "RequestedBySellerNotification": actor.startswith(("user:", "key:")) and decided,
        "RequestedByPaymentNotification": unpaid,
    }


def _cancellation_requests(told: Any, rows: Sequence[Row]) -> list[Any]:
    """This function will list imported requests and our own; one that is both is told once."""
    requests = {
        str(entry.get("id")): entry
        for entry in (told if isinstance(told, list) else [])
        if isinstance(entry, Mapping)
    }
    for row in rows:
        key = str(row["request_id"])
        told_of_it = requests.get(key, {}) if row["decided_at"] is None else {}
        requests[key] = {**_cancellation_request(row), **told_of_it}
    return list(requests.values())


def _cancellation_request(row: Row) -> dict[str, Any]:
    denied_at = row["decided_at"] if row["is_denied"] else None
    return {
        "id": str(row["request_id"]),
        "reason": row["reason"] or None,
        "cancellationRequestDate": moment_text(row["requested_at"]),
        "requestedByUser": not row["requested_by"].startswith("role:"),
        "deniedBySeller": row["is_denied"],
        "deniedBySellerReason": row["deny_reason"] or None,
        "cancellationRequestDenyDate": moment_text(denied_at),
    }
