"""
The checks on a purchase as the contract's place-order request describes it, field by field.

Clients may send more than the contract names; that is kept. What it names must be of its type.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings

from oms.orders.documents.columns import IMPORTED, RESERVED, Column, at, take
from oms.orders.documents.errors import FieldError, NotTaken
from oms.orders.documents.kinds import (
    BIGGEST_CENTS,
    BIGGEST_COUNT,
    Kind,
    boolean,
    cents,
    count,
    identifier,
    text,
    type_name,
)
from oms.orders.documents.mapping import (
    CLIENT_COLUMNS,
    ITEM_COLUMNS,
    ORDER_COLUMNS,
    PAYMENT_COLUMNS,
)
from oms.orders.documents.parts import objects_of, refuse_repeated
from oms.orders.models import Order

LONGEST_MARKETPLACE_ID: Final = Order._meta.get_field("marketplace_order_id").max_length or 0
PURCHASE_FIELDS: Final = {
    "marketplaceOrderId": (identifier(LONGEST_MARKETPLACE_ID), True),
    "marketplaceServicesEndpoint": (text(2000), True),
    "marketplacePaymentValue": (cents(smallest=0), True),
    "isCreatedAsync": (boolean(), False),
    "openTextField": (text(None), False),
}
CLIENT_REQUIRED: Final = ("email", "firstName", "lastName", "documentType", "document")
ADDRESS_REQUIRED: Final = (
    "addressType",
    "receiverName",
    "postalCode",
    "city",
    "state",
    "country",
    "street",
    "number",
)
# What an order says of itself is not for the sender to say, and is left out of what is kept.
OWN_FIELDS: Final = frozenset(
    {
        *(column.key for column in ORDER_COLUMNS),
        "items",
        "clientProfileData",
        "shippingData",
        "paymentData",
        "marketplacePaymentValue",
        "packageAttachment",
        "changesAttachment",
        "cancellationData",
        "cancellationRequests",
        "storePreferencesData",
        "workflowIsInError",
        "statusDescription",
        "lastMessage",
        "allowCancellation",
        "allowEdition",
    }
)
UNNAMED_TRANSACTION: Final = {"isActive": True, "transactionId": None, "merchantName": None}
NARROWER: Final = {
    "id": Column("id", "sku_id", identifier(80), required=True, default=""),
    "seller": Column("seller", "seller_id", identifier(80), required=True, default=""),
    "price": Column("price", "price_cents", cents(smallest=0), required=True, default=0),
    "tax": Column("tax", "tax_cents", cents(smallest=0), default=0),
}
PURCHASED_ITEM_COLUMNS: Final = tuple(
    NARROWER.get(column.key, column) for column in ITEM_COLUMNS if column.key != "sellingPrice"
)
PURCHASE_PAYMENT_COLUMNS: Final = tuple(
    Column("value", "value_cents", cents(smallest=0), required=True, default=0)
    if column.key == "value"
    else column
    for column in PAYMENT_COLUMNS
)


@dataclass(slots=True, kw_only=True)
class Line:
    """
    One line of a purchase. `values` and `extra` are the item's; the amounts are of the whole line.

    `discount_cents` is zero or negative, `surcharge_cents` what positive price tags add.
    """

    position: int
    values: dict[str, Any]
    extra: dict[str, Any]
    items_cents: int = 0
    discount_cents: int = 0
    surcharge_cents: int = 0
    shipping_cents: int = 0
    logistics: Mapping[str, Any] | None = None

    @property
    def seller_id(self) -> str:
        return str(self.values["seller_id"])

    @property
    def goods_cents(self) -> int:
        return self.items_cents + self.discount_cents + self.surcharge_cents

    @property
    def tax_cents(self) -> int:
        return int(self.values["tax_cents"])

    @property
    def value_cents(self) -> int:
        return self.goods_cents + self.shipping_cents + self.tax_cents


@dataclass(slots=True, kw_only=True)
class PurchasePayment:
    transaction_index: int
    transaction_id: str
    values: dict[str, Any]
    extra: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Purchase:
    """A checked purchase: `rest` is what no other field holds, as it came."""

    marketplace_order_id: str
    payment_value_cents: int
    lines: list[Line]
    client: tuple[dict[str, Any], dict[str, Any]]
    address: Mapping[str, Any] | None
    shipping: dict[str, Any]
    payments: list[PurchasePayment]
    payment_data: dict[str, Any]
    rest: dict[str, Any] = field(default_factory=dict)


def check_purchase(source: Mapping[str, Any], errors: list[FieldError]) -> Purchase:
    """This function will check one purchase; it is good for nothing when `errors` has grown."""
    rest = dict(source)
    values = {
        key: _field(source, key, kind, "", errors, required=required)
        for key, (kind, required) in PURCHASE_FIELDS.items()
    }
    for name in RESERVED & source.keys():
        errors.append(FieldError(name, "this name is reserved"))
    for name in OWN_FIELDS:
        rest.pop(name, None)
    lines = _lines(source, errors)
    shipping = _object(source, "shippingData", errors)
    address = _address(shipping, errors)
    _add_shipping(lines, shipping, errors)
    payment_data = _object(source, "paymentData", errors, required=False)
    if sum(line.value_cents for line in lines) > BIGGEST_CENTS:
        errors.append(FieldError("items", f"expected a value of at most {BIGGEST_CENTS} cents"))
    return Purchase(
        marketplace_order_id=values["marketplaceOrderId"] or "",
        payment_value_cents=values["marketplacePaymentValue"] or 0,
        lines=lines,
        client=_client(source, errors),
        address=address,
        shipping=shipping,
        payments=_payments(payment_data, errors),
        payment_data=payment_data,
        rest=rest,
    )


def _field(
    source: Mapping[str, Any],
    key: str,
    kind: Kind,
    path: str,
    errors: list[FieldError],
    *,
    required: bool = True,
) -> Any:
    raw = source.get(key)
    if raw is None:
        if required:
            errors.append(FieldError(at(path, key), "required"))
        return None
    try:
        return kind.read(raw)
    except NotTaken as error:
        errors.append(FieldError(at(path, key), str(error), error.allowed))
        return None


def _object(
    source: Mapping[str, Any], key: str, errors: list[FieldError], *, required: bool = True
) -> dict[str, Any]:
    found = source.get(key)
    if isinstance(found, Mapping):
        return dict(found)
    if found is not None:
        errors.append(FieldError(key, f"expected an object, got {type_name(found)}"))
    elif required:
        errors.append(FieldError(key, "required"))
    return {}


def _list(
    source: Mapping[str, Any], key: str, path: str, errors: list[FieldError]
) -> Sequence[Any]:
    found = source.get(key)
    if found is None:
        return ()
    if not isinstance(found, list):
        errors.append(FieldError(path, f"expected a list, got {type_name(found)}"))
        return ()
    return found


def _lines(source: Mapping[str, Any], errors: list[FieldError]) -> list[Line]:
    entries = _list(source, "items", "items", errors)
    if not entries:
        errors.append(FieldError("items", "expected at least one item"))
    most = settings.PLACEMENT_MAX_ITEMS
    if len(entries) > most:
        errors.append(FieldError("items", f"expected at most {most} items"))
        return []
    lines = [_line(entry, index, errors) for index, entry in objects_of(entries, "items", errors)]
    ids = (line.values["unique_id"] or f"#{line.position}" for line in lines)
    refuse_repeated(ids, "items", "uniqueId", errors)
    if sum(line.values["quantity"] for line in lines) > BIGGEST_COUNT:
        errors.append(FieldError("items", f"expected at most {BIGGEST_COUNT} units"))
    return lines


def _line(entry: Mapping[str, Any], index: int, errors: list[FieldError]) -> Line:
    path = f"items[{index}]"
    values, extra = take(entry, PURCHASED_ITEM_COLUMNS, path, errors)
    del extra[IMPORTED]
    line = Line(position=index, values=values, extra=extra)
    line.items_cents = values["price_cents"] * values["quantity"]
    for number, bundle in objects_of(
        _list(extra, "bundleItems", f"{path}.bundleItems", errors), f"{path}.bundleItems", errors
    ):
        where = f"{path}.bundleItems[{number}]"
        price = _field(bundle, "price", cents(smallest=0), where, errors, required=False) or 0
        units = _field(bundle, "quantity", count(smallest=1), where, errors, required=False) or 1
        line.items_cents += price * units
    for number, tag in objects_of(
        _list(extra, "priceTags", f"{path}.priceTags", errors), f"{path}.priceTags", errors
    ):
        value = _field(tag, "value", cents(), f"{path}.priceTags[{number}]", errors) or 0
        line.discount_cents += min(value, 0)
        line.surcharge_cents += max(value, 0)
    if line.goods_cents < 0:
        errors.append(FieldError(f"{path}.priceTags", "the discounts exceed the line's price"))
    return line


def _client(
    source: Mapping[str, Any], errors: list[FieldError]
) -> tuple[dict[str, Any], dict[str, Any]]:
    profile = _object(source, "clientProfileData", errors)
    if "clientProfileData" in source and profile:
        for key in CLIENT_REQUIRED:
            if profile.get(key) is None:
                errors.append(FieldError(f"clientProfileData.{key}", "required"))
    values, extra = take(profile, CLIENT_COLUMNS, "clientProfileData", errors)
    del extra[IMPORTED]
    return values, extra


def _address(shipping: Mapping[str, Any], errors: list[FieldError]) -> Mapping[str, Any] | None:
    if shipping.get("updateStatus") == "outdated":
        errors.append(FieldError("shippingData.updateStatus", "outdated data cannot be placed"))
    address = shipping.get("address")
    if address is None:
        return None
    if not isinstance(address, Mapping):
        message = f"expected an object, got {type_name(address)}"
        errors.append(FieldError("shippingData.address", message))
        return None
    for key in ADDRESS_REQUIRED:
        _field(address, key, text(None), "shippingData.address", errors)
    return address


def _add_shipping(
    lines: Sequence[Line], shipping: Mapping[str, Any], errors: list[FieldError]
) -> None:
    """This function will give each line its own entry of `logisticsInfo`, by `itemIndex`."""
    path = "shippingData.logisticsInfo"
    line_at = {line.position: line for line in lines}
    for number, entry in objects_of(_list(shipping, "logisticsInfo", path, errors), path, errors):
        where = f"{path}[{number}]"
        index = _field(entry, "itemIndex", count(), where, errors)
        _field(entry, "selectedSla", text(None), where, errors)
        price = _field(entry, "price", cents(smallest=0), where, errors) or 0
        line = line_at.get(index)
        if line is None:
            if index is not None:
                errors.append(FieldError(f"{where}.itemIndex", "no item has this index"))
        elif line.logistics is not None:
            errors.append(FieldError(f"{where}.itemIndex", "told twice for the same item"))
        else:
            line.logistics, line.shipping_cents = entry, price


def _payments(data: dict[str, Any], errors: list[FieldError]) -> list[PurchasePayment]:
    """This function will take the payments out of their transactions, or from a plain list."""
    if "transactions" not in data and "payments" in data:
        data["transactions"] = [{**UNNAMED_TRANSACTION, "payments": data.pop("payments")}]
    skeletons, payments = [], []
    path = "paymentData.transactions"
    entries = _list(data, "transactions", path, errors)
    for position, transaction in objects_of(entries, path, errors):
        skeleton = {**transaction}
        skeleton.pop("payments", None)
        skeletons.append(skeleton)
        where = f"{path}[{position}].payments"
        told = _list(transaction, "payments", where, errors)
        for index, entry in objects_of(told, where, errors):
            values, extra = take(entry, PURCHASE_PAYMENT_COLUMNS, f"{where}[{index}]", errors)
            del extra[IMPORTED]
            payments.append(
                PurchasePayment(
                    transaction_index=position,
                    transaction_id=str(transaction.get("transactionId") or "")[:64],
                    values=values,
                    extra=extra,
                )
            )
    data["transactions"] = skeletons
    ids = (paid.values["payment_id"] or f"#{number}" for number, paid in enumerate(payments))
    refuse_repeated(ids, "paymentData.payments", "id", errors)
    if sum(paid.values["value_cents"] for paid in payments) > BIGGEST_CENTS:
        errors.append(FieldError("paymentData", f"expected at most {BIGGEST_CENTS} cents"))
    return payments
