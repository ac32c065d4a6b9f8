"""
The body of a change request becomes what is asked: pure, every field checked, problems by name.

Contract: PATCH /api/order-system/orders/{changeOrderId}/changes. Liberal where clients differ:
`add` and `remove` may be an object or a list of objects, money a number or digits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Literal

from oms.orders.documents.columns import at
from oms.orders.documents.errors import NotTaken
from oms.orders.documents.kinds import (
    Kind,
    as_is,
    cents_or_digits,
    count,
    identifier,
    text,
    type_name,
)
from oms.orders.documents.mapping import CLIENT_COLUMNS
from workflow.services.refusals import InvalidInput, Problem

MOST_ITEMS: Final = 500
BIGGEST_QUANTITY: Final = 1_000_000
BIGGEST_CENTS: Final = 2**53
SMALLEST_MULTIPLIER: Final = Decimal("0.000001")
BIGGEST_MULTIPLIER: Final = Decimal(1_000_000)
THINGS_TO_ASK: Final = (
    "add", "remove", "replace", "manualDiscountValue", "manualIncrementValue",
)  # fmt: skip

OperationName = Literal["add", "remove", "replace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Units to be taken off the order: of the line `unique_id`, or of lines of a SKU."""

    field: str
    sku_id: str
    unique_id: str
    quantity: int
    price_cents: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Units to be put on the order. None is "as it was", or for a new SKU "not told"."""

    field: str
    sku_id: str
    unique_id: str
    quantity: int
    price_cents: int | None
    tax_cents: int | None
    discount_cents: int
    increment_cents: int
    multiplier: Fraction | None
    told: Mapping[str, Any]
    delivery: Mapping[str, Any] | None
    shipping_cents: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    name: OperationName
    field: str
    taken: Sequence[Taken] = ()
    put: Sequence[Put] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomField:
    """A value of the order's custom data; `value` None takes it away."""

    entity: Mapping[str, Any]
    name: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    reason: str
    operations: Sequence[Operation]
    discount_cents: int
    increment_cents: int
    client: Mapping[str, Any] = field(default_factory=dict)
    custom_fields: Sequence[CustomField] = ()


def read_change(body: Mapping[str, Any]) -> Asked:
    """
    This function will check a change request's body.

    Raises InvalidInput naming every field that is wrong, and for a body that asks for nothing.
    """
    reader = _Reader()
    operations = list(_operations(reader, body))
    asked = Asked(
        reason=reader.take(body, "reason", text(2_000), "", required=True) or "",
        operations=operations,
        discount_cents=reader.cents(body, "manualDiscountValue", "") or 0,
        increment_cents=reader.cents(body, "manualIncrementValue", "") or 0,
        client=_client(reader, body),
        custom_fields=_custom_fields(reader, body),
    )
    items = sum(len(operation.taken) + len(operation.put) for operation in operations)
    if items > MOST_ITEMS:
        reader.complain("", f"Expected at most {MOST_ITEMS} items.")
    asks = asked.discount_cents or asked.increment_cents or asked.client or asked.custom_fields
    if not reader.problems and not (items or asks):
        reader.complain("", "Nothing is asked for.", THINGS_TO_ASK)
    if reader.problems:
        raise InvalidInput(*reader.problems)
    return asked


class _Reader:
    """Takes fields out of objects and collects what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def complain(self, path: str, message: str, allowed: Sequence[str] = ()) -> None:
        self.problems.append(Problem(path, message, allowed))

    def take(
        self,
        source: Mapping[str, Any],
        key: str,
        kind: Kind,
        path: str,
        *,
        required: bool = False,
    ) -> Any:
        raw = source.get(key)
        if raw is None or raw == "":
            if required:
                self.complain(at(path, key), "required")
            return None
        try:
            return kind.read(raw)
        except NotTaken as error:
            self.complain(at(path, key), str(error), error.allowed)
            return None

    def cents(self, source: Mapping[str, Any], key: str, path: str) -> int | None:
        value: int | None = self.take(source, key, cents_or_digits(), path)
        if value is not None and not 0 <= value <= BIGGEST_CENTS:
            self.complain(at(path, key), f"expected 0 to {BIGGEST_CENTS} cents")
            return None
        return value

    def object(self, source: Mapping[str, Any], key: str, path: str) -> Mapping[str, Any]:
        found = source.get(key)
        if found is None:
            return {}
        if isinstance(found, Mapping):
            return found
        self.complain(at(path, key), f"expected an object, got {type_name(found)}")
        return {}

    def objects(
        self, source: Mapping[str, Any], key: str, path: str
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """This function will yield the objects of a list, or the one object, with their paths."""
        found = source.get(key)
        where = at(path, key)
        if isinstance(found, Mapping):
            yield where, found
        elif found is not None and not isinstance(found, list):
            self.complain(where, f"expected a list, got {type_name(found)}")
        for index, entry in enumerate(found if isinstance(found, list) else ()):
            if isinstance(entry, Mapping):
                yield f"{where}[{index}]", entry
            else:
                self.complain(f"{where}[{index}]", f"expected an object, got {type_name(entry)}")


def _operations(reader: _Reader, body: Mapping[str, Any]) -> Iterator[Operation]:
    for path, entry in reader.objects(body, "replace", ""):
        told = {key for key in ("from", "to") if not entry.get(key)}
        for key in sorted(told):
            reader.complain(at(path, key), "required")
        taken = _taken(reader, reader.object(entry, "from", path), at(path, "from"))
        put = _put(reader, reader.object(entry, "to", path), at(path, "to"))
        if taken or put:
            yield Operation(name="replace", field=path, taken=taken, put=put)
    for path, entry in reader.objects(body, "remove", ""):
        if taken := _taken(reader, entry, path):
            yield Operation(name="remove", field=path, taken=taken)
    for path, entry in reader.objects(body, "add", ""):
        if put := _put(reader, entry, path):
            yield Operation(name="add", field=path, put=put)


def _taken(reader: _Reader, side: Mapping[str, Any], path: str) -> list[Taken]:
    return [
        Taken(
            field=where,
            sku_id=_sku_id(reader, item, where),
            unique_id=reader.take(item, "uniqueId", text(64), where) or "",
            quantity=_quantity(reader, item, where),
            price_cents=reader.cents(item, "price", where),
        )
        for where, item in reader.objects(side, "items", path)
    ]


def _put(reader: _Reader, side: Mapping[str, Any], path: str) -> list[Put]:
    items = list(reader.objects(side, "items", path))
    deliveries: dict[int, tuple[str, Mapping[str, Any]]] = {}
    shipping = reader.object(side, "shippingData", path)
    for where, entry in reader.objects(shipping, "logisticsInfo", at(path, "shippingData")):
        index = reader.take(entry, "itemIndex", count(), where, required=True)
        if index is not None and index >= len(items):
            reader.complain(at(where, "itemIndex"), "no item of this list has this index")
        elif index is not None:
            deliveries[index] = (where, entry)
    return [
        _put_one(reader, item, where, deliveries.get(index))
        for index, (where, item) in enumerate(items)
    ]


def _put_one(
    reader: _Reader,
    item: Mapping[str, Any],
    where: str,
    delivery: tuple[str, Mapping[str, Any]] | None,
) -> Put:
    shipping = None if delivery is None else reader.cents(delivery[1], "price", delivery[0])
    price = reader.cents(item, "price", where)
    return Put(
        field=where,
        sku_id=_sku_id(reader, item, where),
        unique_id=reader.take(item, "uniqueId", text(64), where) or "",
        quantity=_quantity(reader, item, where),
        price_cents=reader.cents(item, "manualPrice", where) if price is None else price,
        tax_cents=reader.cents(item, "tax", where),
        discount_cents=reader.cents(item, "manualDiscountValue", where) or 0,
        increment_cents=reader.cents(item, "manualIncrementValue", where) or 0,
        multiplier=reader.take(item, "unitMultiplier", MULTIPLIER, where),
        told={
            key: value
            for key in TOLD_OF_ITEMS
            if (value := reader.take(item, key, TOLD_OF_ITEMS[key], where)) is not None
        },
        delivery=None if delivery is None else delivery[1],
        shipping_cents=shipping,
    )


def _sku_id(reader: _Reader, item: Mapping[str, Any], where: str) -> str:
    is_named = bool(item.get("uniqueId"))
    return reader.take(item, "id", identifier(80), where, required=not is_named) or ""


def _quantity(reader: _Reader, item: Mapping[str, Any], where: str) -> int:
    kind = count(smallest=1, biggest=BIGGEST_QUANTITY)
    return reader.take(item, "quantity", kind, where, required=True) or 1


def _read_multiplier(raw: Any) -> Fraction:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise NotTaken(f"expected a number, got {type_name(raw)}")
    # A float's shortest spelling is what was sent: 0.1 is a tenth here, not almost a tenth.
    value = Decimal(repr(raw))
    if not SMALLEST_MULTIPLIER <= value <= BIGGEST_MULTIPLIER:
        raise NotTaken(f"expected {SMALLEST_MULTIPLIER} to {BIGGEST_MULTIPLIER}")
    return Fraction(value)


MULTIPLIER: Final = Kind(_read_multiplier, as_is)
TOLD_OF_ITEMS: Final[Mapping[str, Kind]] = {
    "name": text(400),
    "seller": identifier(80),
    "refId": text(120),
    "measurementUnit": text(20),
    "productId": text(80),
    "ean": text(40),
    "imageUrl": text(2_000),
    "detailUrl": text(2_000),
}


def _client(reader: _Reader, body: Mapping[str, Any]) -> dict[str, Any]:
    """This function will collect the buyer's new data from wherever the contract shows it."""
    client: dict[str, Any] = {}
    for path, profile in _profiles(reader, body):
        for column in CLIENT_COLUMNS:
            if column.key in profile and profile[column.key] is not None:
                value = reader.take(profile, column.key, column.kind, path)
                if value is not None:
                    client[column.attribute] = value
    return client


def _profiles(reader: _Reader, body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, side in _sides(reader, body, ("to",), ("add",)):
        yield from reader.objects(side, "clientProfileData", path)
        for where, item in reader.objects(side, "items", path):
            yield from reader.objects(item, "clientProfileData", where)
    yield from reader.objects(body, "clientProfileData", "")


def _sides(
    reader: _Reader, body: Mapping[str, Any], of_replace: Sequence[str], plain: Sequence[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    quiet = _Reader()
    for path, entry in quiet.objects(body, "replace", ""):
        for key in of_replace:
            if isinstance(side := entry.get(key), Mapping):
                yield at(path, key), side
    for key in plain:
        yield from quiet.objects(body, key, "")


def _custom_fields(reader: _Reader, body: Mapping[str, Any]) -> list[CustomField]:
    gone = _fields_of(reader, _sides(reader, body, ("from",), ("remove",)))
    come = _fields_of(reader, _sides(reader, body, ("to",), ("add",)))
    return [
        *(CustomField(entity=entity, name=name, value=None) for entity, name, _ in gone),
        *(CustomField(entity=entity, name=name, value=value) for entity, name, value in come),
    ]


def _fields_of(
    reader: _Reader, sides: Iterator[tuple[str, Mapping[str, Any]]]
) -> list[tuple[Mapping[str, Any], str, Any]]:
    found: list[tuple[Mapping[str, Any], str, Any]] = []
    for path, side in sides:
        data = reader.object(side, "customData", path)
        for where, group in reader.objects(data, "customFields", at(path, "customData")):
            entity = reader.object(group, "linkedEntity", where)
            for inner, entry in reader.objects(group, "fields", where):
                name = reader.take(entry, "name", text(200), inner, required=True)
                value = reader.take(entry, "value", text(2_000), inner)
                if name is not None:
                    found.append((dict(entity), name, value or ""))
    return found
