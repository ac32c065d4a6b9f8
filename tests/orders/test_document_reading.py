"""What an order document must say, what is read between its lines, and what is refused."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings

from oms.orders.documents.deriving import estimate_from, group_and_split
from oms.orders.documents.errors import DocumentError
from oms.orders.documents.reading import read_document
from oms.orders.models import PaymentStatus
from oms.orders.statuses import Priority, Status
from tests.orders.documents import example_document

Change = Callable[[dict[str, Any]], Any]


def changed(change: Change) -> dict[str, Any]:
    document = example_document()
    change(document)
    return document


def item(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["items"][0]
    return found


def package(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["packageAttachment"]["packages"][0]
    return found


def payment(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["paymentData"]["transactions"][0]["payments"][0]
    return found


def deep(levels: int) -> Any:
    nested: Any = 1
    for _ in range(levels):
        nested = [nested]
    return nested


BAD: list[tuple[str, Change, str, str]] = [
    ("no id", lambda d: d.pop("orderId"), "orderId", "required"),
    ("blank id", lambda d: d.update(orderId=""), "orderId", "blank"),
    ("slash in the id", lambda d: d.update(orderId="a/b"), "orderId", "slash"),
    ("long id", lambda d: d.update(orderId="x" * 161), "orderId", "at most 160 characters"),
    ("unknown status", lambda d: d.update(status="handlin"), "status", "'handlin'"),
    ("unknown origin", lambda d: d.update(origin="Store"), "origin", "allowed"),
    ("money as text", lambda d: d.update(value="1160"), "value", "whole number, got text"),
    ("money as float", lambda d: d.update(value=1160.0), "value", "whole cents"),
    ("money as boolean", lambda d: d.update(value=True), "value", "true or false"),
    ("money beyond 64 bits", lambda d: d.update(value=2**63), "value", "from -"),
    ("no date", lambda d: d.pop("creationDate"), "creationDate", "required"),
    ("unreadable date", lambda d: d.update(creationDate="yesterday"), "creationDate", "ISO 8601"),
    (
        "date before all time",
        lambda d: d.update(lastChange="0001-01-01T00:00:00+05:00"),
        "lastChange",
        "ISO 8601",
    ),
    ("sequence of letters", lambda d: d.update(sequence="abc"), "sequence", "15 digits"),
    ("items is an object", lambda d: d.update(items={}), "items", "a list"),
    ("items is missing", lambda d: d.pop("items"), "items", "a list, got null"),
    ("item is text", lambda d: d["items"].append("x"), "items[1]", "an object"),
    ("no quantity", lambda d: item(d).pop("quantity"), "items[0].quantity", "required"),
    ("quantity zero", lambda d: item(d).update(quantity=0), "items[0].quantity", "from 1 to"),
    ("line id twice", lambda d: d["items"].append(item(d)), "items[1].uniqueId", "used twice"),
    ("name too long", lambda d: item(d).update(name="x" * 401), "items[0].name", "at most 400"),
    (
        "too many units",
        lambda d: [
            item(d).update(quantity=2**31 - 1),
            d["items"].append(dict(item(d), uniqueId=1)),
        ],
        "items",
        "at most 2147483647 units",
    ),
    ("client is a list", lambda d: d.update(clientProfileData=[]), "clientProfileData", "object"),
    (
        "payment id twice",
        lambda d: d["paymentData"]["transactions"].append(d["paymentData"]["transactions"][0]),
        "paymentData.payments[1].id",
        "used twice",
    ),
    (
        "payments is text",
        lambda d: d["paymentData"]["transactions"][0].update(payments="x"),
        "paymentData.transactions[0].payments",
        "a list",
    ),
    (
        "package type",
        lambda d: package(d).update(type="Sideways"),
        "packageAttachment.packages[0].type",
        "Output, Input",
    ),
    (
        "invoice twice",
        lambda d: d["packageAttachment"]["packages"].append(package(d)),
        "packageAttachment.packages[1].invoiceNumber",
        "used twice",
    ),
    (
        "courier status is text",
        lambda d: package(d).update(courierStatus="ok"),
        "packageAttachment.packages[0].courierStatus",
        "an object",
    ),
    ("NUL", lambda d: d.update(openTextField={"a": ["b\x00"]}), "openTextField.a[0]", "NUL"),
    ("NUL in a name", lambda d: d.update(customData={"b\x00": 1}), "customData", "NUL"),
    ("half a pair", lambda d: d.update(openTextField="\ud800"), "openTextField", "surrogate"),
    ("huge number", lambda d: d.update(openTextField=2**64), "openTextField", "64 bits"),
    ("deep nesting", lambda d: d.update(openTextField=deep(300)), "openTextField[0]", "deeper"),
    ("our own mark", lambda d: d.update({"$imported": {}}), "$imported", "reserved"),
]


@pytest.mark.parametrize(
    ("change", "field", "words"), [row[1:] for row in BAD], ids=[r[0] for r in BAD]
)
def test_a_bad_field_is_refused_with_its_path(change: Change, field: str, words: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        read_document(changed(change))
    (error,) = refusal.value.errors
    assert error.field.startswith(field)
    assert words in str(error)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    document = example_document(status="lost", value="12", creationDate=None)
    item(document)["price"] = 9.9
    with pytest.raises(DocumentError) as refusal:
        read_document(document)
    assert [error.field for error in refusal.value.errors] == [
        "status",
        "value",
        "creationDate",
        "items[0].price",
    ]
    assert refusal.value.errors[0].allowed == tuple(status.value for status in Status)


@pytest.mark.parametrize("document", [None, [], "x", 5])
def test_what_is_no_object_is_refused(document: Any) -> None:
    with pytest.raises(DocumentError, match="expected an object"):
        read_document(document)


def test_messages_repeat_nothing_of_a_person() -> None:
    document = example_document()
    document["clientProfileData"]["document"] = "845.134.270-19" * 10
    document["clientProfileData"]["email"] = ["rodrigo.smith@email.com"]
    with pytest.raises(DocumentError) as refusal:
        read_document(document)
    assert len(refusal.value.errors) == 2
    assert "rodrigo" not in str(refusal.value)
    assert "845" not in str(refusal.value)


def logistics(**entry: Any) -> dict[str, Any]:
    return {"shippingData": {"logisticsInfo": [{"itemIndex": 0, **entry}]}}


SLAS = [{"id": "fast", "name": "Entrega Expressa"}, {"id": "slow", "name": "Normal"}]
DERIVED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("own seller", {}, {"flow": "complete", "seller_id": "1", "seller_name": "Lux Store"}),
    ("other seller", {"sellers": [{"id": "lux2"}]}, {"flow": "marketplace", "seller_id": "lux2"}),
    ("sellers told as text", {"sellers": "x"}, {"flow": "complete", "seller_id": "1"}),
    ("fulfillment", {"origin": "Fulfillment"}, {"flow": "fulfillment", "origin": "Fulfillment"}),
    ("chain", {"origin": "Chain"}, {"flow": "chain"}),
    ("delivered home", {}, {"delivery_channel": "delivery", "priority": Priority.NORMAL}),
    (
        "picked up",
        logistics(selectedDeliveryChannel="pickup-in-point"),
        {"delivery_channel": "pickup-in-point", "priority": Priority.URGENT},
    ),
    (
        "picked up, older spelling",
        logistics(deliveryChannel="pickup-in-point"),
        {"delivery_channel": "pickup-in-point"},
    ),
    (
        "express by id",
        logistics(selectedSla="EXPRESS 2h"),
        {"is_express": True, "priority": Priority.URGENT},
    ),
    ("express by name", logistics(selectedSla="fast", slas=SLAS), {"is_express": True}),
    ("another express", logistics(selectedSla="slow", slas=SLAS), {"is_express": False}),
    ("not a word of its own", logistics(selectedSla="Inexpressive"), {"is_express": False}),
    ("shipping told oddly", {"shippingData": {"logisticsInfo": "x"}}, {"is_express": False}),
    ("currency", {"storePreferencesData": {"currencyCode": "EUR"}}, {"currency": "EUR"}),
    ("no currency", {"storePreferencesData": None}, {"currency": "BRL"}),
    ("group from the id", {"orderGroup": None}, {"order_group": "1172452900788"}),
    (
        "second split",
        {"orderId": "115-02", "orderGroup": None},
        {"order_group": "115", "split_number": 2},
    ),
    ("no sequence", {"sequence": None}, {"sequence": None}),
    ("null status", {"status": None}, {"status": Status.NULL}),
    (
        "never changed",
        {"lastChange": None, "creationDate": "2024-01-02T03:04:05Z"},
        {"last_change_at": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)},
    ),
]


@pytest.mark.parametrize(
    ("changes", "expected"), [row[1:] for row in DERIVED], ids=[row[0] for row in DERIVED]
)
def test_columns_are_read_between_the_lines(
    changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    draft = read_document(example_document(**changes))
    assert {name: getattr(draft, name) for name in expected} == expected


def test_the_words_for_express_are_a_setting(settings: Settings) -> None:
    settings.EXPRESS_SLA_WORDS = ["relâmpago"]
    assert read_document(example_document(**logistics(selectedSla="Relâmpago"))).is_express
    assert not read_document(example_document(**logistics(selectedSla="Express"))).is_express


def test_the_latest_promise_is_the_orders() -> None:
    dates = ["2024-03-09T10:13:40.1020453+00:00", "2024-03-11T00:00:00Z", None, "soon", 7]
    entries = [{"shippingEstimateDate": date} for date in dates]
    draft = read_document(example_document(shippingData={"logisticsInfo": entries}))
    assert draft.shipping_estimate_at == datetime(2024, 3, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "authorized", "expected", "captured"),
    [
        ("invoiced", True, PaymentStatus.CAPTURED, 3990),
        ("handling", True, PaymentStatus.APPROVED, 0),
        ("payment-pending", False, PaymentStatus.PENDING, 0),
        ("payment-denied", False, PaymentStatus.DENIED, 0),
        ("canceled", True, PaymentStatus.VOIDED, 0),
    ],
)
def test_a_payment_stands_where_its_orders_status_says(
    status: str, authorized: bool, expected: PaymentStatus, captured: int
) -> None:
    date = "2024-02-04T20:46:11Z" if authorized else None
    (payment_draft,) = read_document(example_document(status=status, authorizedDate=date)).payments
    assert (payment_draft.status, payment_draft.captured_cents) == (expected, captured)


def test_card_numbers_and_security_codes_are_taken_out_at_any_depth() -> None:
    document = example_document()
    payment(document).update(cardNumber="4444333322221111", cvv2="351")
    document["paymentData"]["giftCards"] = [{"inner": {"CVV": "352", "id": "kept"}}]
    draft = read_document(document)
    assert "4444333322221111" not in repr(draft)
    assert "'351'" not in repr(draft)
    assert "'352'" not in repr(draft)
    assert draft.extra["paymentData"]["giftCards"] == [{"inner": {"CVV": None, "id": "kept"}}]
    assert draft.payments[0].extra["lastDigits"] == "1111"


def test_lines_and_payments_without_id_get_the_same_one_each_time() -> None:
    document = example_document()
    item(document)["uniqueId"] = None
    del payment(document)["id"]
    first, second = read_document(document), read_document(document)
    assert first.items[0].unique_id == second.items[0].unique_id
    assert len(first.items[0].unique_id) == 32
    assert first.payments[0].payment_id == second.payments[0].payment_id
    assert first.payments[0].payment_id != first.items[0].unique_id


def test_an_undecided_cancellation_is_still_to_be_decided() -> None:
    request_id = "7f0d1b9e-6b1c-4b36-8f3c-000000000001"
    document = example_document(
        status="waiting-for-seller-decision",
        cancellationRequests=[
            {"id": request_id, "reason": "late", "cancellationRequestDate": "2024-02-07T10:00:00Z"}
        ],
    )
    (request,) = read_document(document).cancellation_requests
    assert (str(request.request_id), request.reason) == (request_id, "late")
    assert request.requested_at == datetime(2024, 2, 7, 10, tzinfo=UTC)
    assert request.status_before == Status.PAYMENT_APPROVED
    document["status"] = "handling"
    assert read_document(document).cancellation_requests == []


@pytest.mark.parametrize(
    ("order_id", "expected"),
    [
        ("115-01", ("115", 1)),
        ("GHB-701-02", ("GHB-701", 2)),
        ("115-001", ("115-001", 1)),
        ("115", ("115", 1)),
        ("-01", ("-01", 1)),
    ],
)
def test_an_id_tells_group_and_split(order_id: str, expected: tuple[str, int]) -> None:
    assert group_and_split(order_id) == expected


FRIDAY = datetime(2024, 3, 8, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        ("3bd", datetime(2024, 3, 13, 12, tzinfo=UTC)),
        ("0bd", FRIDAY),
        ("3d", datetime(2024, 3, 11, 12, tzinfo=UTC)),
        ("2h", datetime(2024, 3, 8, 14, tzinfo=UTC)),
        ("30m", datetime(2024, 3, 8, 12, 30, tzinfo=UTC)),
        ("soon", None),
        (None, None),
        (3, None),
    ],
)
def test_an_estimate_becomes_a_date(estimate: Any, expected: datetime | None) -> None:
    assert estimate_from(estimate, FRIDAY) == expected
