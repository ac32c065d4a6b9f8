"""
Payments, packages and changes of an order document become drafts: the lists that hold lists.

Each list that becomes rows is taken out of `extra`; the objects around it stay there, so that the
document can be put together again around the rows.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID, uuid5

from oms.orders.documents.columns import at, take
from oms.orders.documents.deriving import imported_payment_status
from oms.orders.documents.drafts import (
    ChangeDraft,
    PackageDraft,
    PackageItemDraft,
    PaymentDraft,
    TrackingEventDraft,
)
from oms.orders.documents.errors import FieldError
from oms.orders.documents.kinds import type_name
from oms.orders.documents.mapping import (
    CHANGE_COLUMNS,
    COURIER_STATUS_COLUMNS,
    PACKAGE_COLUMNS,
    PACKAGE_ITEM_COLUMNS,
    PAYMENT_COLUMNS,
    TRACKING_COLUMNS,
)
from oms.orders.models import PaymentStatus

# Lines and payments without an id of their own get one that a second import would give again.
ID_NAMESPACE: Final = UUID("6f1c2f5e-3f0b-4c55-9d0e-0b7a4b1f6d11")


def read_payments(
    order: Mapping[str, Any], extra: dict[str, Any], errors: list[FieldError]
) -> list[PaymentDraft]:
    data = extra.get("paymentData")
    if not isinstance(data, Mapping) or not isinstance(data.get("transactions"), list):
        return []
    payments: list[PaymentDraft] = []
    skeletons = []
    for position, transaction in objects_of(
        data["transactions"], "paymentData.transactions", errors
    ):
        skeleton = dict(transaction)
        path = f"paymentData.transactions[{position}].payments"
        entries = _detach_own_list(skeleton, "payments", path, errors)
        skeletons.append(skeleton)
        for index, entry in objects_of(entries, path, errors):
            payments.append(
                _read_payment(
                    order, entry, f"{path}[{index}]", position, transaction, len(payments), errors
                )
            )
    extra["paymentData"] = {**data, "transactions": skeletons}
    refuse_repeated(
        (payment.payment_id for payment in payments), "paymentData.payments", "id", errors
    )
    return payments


def _read_payment(
    order: Mapping[str, Any],
    entry: Mapping[str, Any],
    path: str,
    position: int,
    transaction: Mapping[str, Any],
    index: int,
    errors: list[FieldError],
) -> PaymentDraft:
    values, extra = take(entry, PAYMENT_COLUMNS, path, errors)
    values["payment_id"] = values["payment_id"] or own_id(order["order_id"], "payment", index)
    status = imported_payment_status(
        order["status"], is_authorized=order["authorized_at"] is not None
    )
    return PaymentDraft(
        index=index,
        transaction_index=position,
        transaction_id=str(transaction.get("transactionId") or "")[:64],
        status=status,
        captured_cents=values["value_cents"] if status == PaymentStatus.CAPTURED else 0,
        extra=extra,
        **values,
    )


def read_packages(
    extra: dict[str, Any], item_count: int, errors: list[FieldError]
) -> list[PackageDraft]:
    path = "packageAttachment.packages"
    entries = _detach_list(extra, "packageAttachment", "packages", path, errors)
    packages = [
        _read_package(entry, index, f"{path}[{index}]", item_count, errors)
        for index, entry in objects_of(entries, path, errors)
    ]
    numbers = (f"{package.type} {package.invoice_number}" for package in packages)
    refuse_repeated(numbers, path, "invoiceNumber", errors)
    return packages


def _read_package(
    entry: Mapping[str, Any], index: int, path: str, item_count: int, errors: list[FieldError]
) -> PackageDraft:
    values, extra = take(entry, PACKAGE_COLUMNS, path, errors)
    lines = _detach_own_list(extra, "items", at(path, "items"), errors)
    courier_values, events = _read_courier_status(extra, at(path, "courierStatus"), errors)
    return PackageDraft(
        **values,
        **courier_values,
        index=index,
        # History: its payment was captured before the import and must not be captured again.
        is_settled=True,
        items=[
            _read_package_item(line, position, f"{path}.items[{position}]", item_count, errors)
            for position, line in objects_of(lines, at(path, "items"), errors)
        ],
        tracking_events=events,
        extra=extra,
    )


def _read_package_item(
    entry: Mapping[str, Any], index: int, path: str, item_count: int, errors: list[FieldError]
) -> PackageItemDraft:
    values, extra = take(entry, PACKAGE_ITEM_COLUMNS, path, errors)
    position = extra.get("itemIndex")
    is_known = type(position) is int and 0 <= position < item_count
    if is_known:
        del extra["itemIndex"]
    return PackageItemDraft(
        index=index, item_index=position if is_known else None, extra=extra, **values
    )


def _read_courier_status(
    extra: dict[str, Any], path: str, errors: list[FieldError]
) -> tuple[dict[str, Any], list[TrackingEventDraft]]:
    status = extra.get("courierStatus")
    if status is None:
        return {"is_delivered": False, "delivered_at": None}, []
    if not isinstance(status, Mapping):
        errors.append(FieldError(path, f"expected an object, got {type_name(status)}"))
        return {}, []
    values, rest = take(status, COURIER_STATUS_COLUMNS, path, errors)
    extra["courierStatus"] = rest
    entries = _detach_own_list(rest, "data", at(path, "data"), errors)
    events = []
    for index, entry in objects_of(entries, at(path, "data"), errors):
        event, event_extra = take(entry, TRACKING_COLUMNS, f"{path}.data[{index}]", errors)
        events.append(TrackingEventDraft(index=index, extra=event_extra, **event))
    return values, events


def read_changes(extra: dict[str, Any], errors: list[FieldError]) -> list[ChangeDraft]:
    path = "changesAttachment.changesData"
    changes = []
    entries = _detach_list(extra, "changesAttachment", "changesData", path, errors)
    for index, entry in objects_of(entries, path, errors):
        values, change_extra = take(entry, CHANGE_COLUMNS, f"{path}[{index}]", errors)
        changes.append(ChangeDraft(index=index, extra=change_extra, **values))
    return changes


def own_id(order_id: str, what: str, index: int) -> str:
    """This function will make an id for a part that came without: 32 hex digits, upper case."""
    return uuid5(ID_NAMESPACE, f"{order_id} {what} {index}").hex.upper()


def _detach_list(
    extra: dict[str, Any], key: str, inner: str, path: str, errors: list[FieldError]
) -> list[Any]:
    """This function will move a list that becomes rows out of the object at `extra[key]`."""
    holder = extra.get(key)
    if holder is None:
        return []
    if not isinstance(holder, Mapping):
        errors.append(
            FieldError(path.rpartition(".")[0], f"expected an object, got {type_name(holder)}")
        )
        return []
    rest = dict(holder)
    entries = _detach_own_list(rest, inner, path, errors)
    extra[key] = rest
    return entries


def _detach_own_list(
    extra: dict[str, Any], key: str, path: str, errors: list[FieldError]
) -> list[Any]:
    """This function will take a list out of `extra`; null, empty and missing stay as they are."""
    entries = extra.get(key)
    if not entries and not isinstance(entries, (dict, str, int, float)):
        return []
    if not isinstance(entries, list):
        errors.append(FieldError(path, f"expected a list, got {type_name(entries)}"))
        return []
    del extra[key]
    return entries


def objects_of(
    entries: Iterable[Any], path: str, errors: list[FieldError]
) -> Iterable[tuple[int, Mapping[str, Any]]]:
    for index, entry in enumerate(entries):
        if isinstance(entry, Mapping):
            yield index, entry
        else:
            errors.append(
                FieldError(f"{path}[{index}]", f"expected an object, got {type_name(entry)}")
            )


def refuse_repeated(ids: Iterable[str], path: str, key: str, errors: list[FieldError]) -> None:
    seen: set[str] = set()
    for index, found in enumerate(ids):
        if found in seen:
            errors.append(FieldError(f"{path}[{index}].{key}", "used twice in this order"))
        seen.add(found)
