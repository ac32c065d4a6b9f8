"""Invoices and tracking over HTTP: what real ERPs send, and what they must not."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from django.http import HttpResponse

from oms.access.authenticating import forget_all_cached_keys
from oms.access.scopes import Scope
from oms.orders.models import Package, PackageItem, TrackingEvent
from oms.orders.statuses import Status
from tests.api.callers import Caller, fields_of, parsed, refusal
from tests.workflow.stories import last_event, nothing_changes, order_of, place_in, status_of

pytestmark = pytest.mark.django_db

ODD_NUMBERS = [
    "1/2", "a#b", "50%", "50%25", "NF 7", "🧾 é", "?x=1&y", "x" * 500, "'\";--", "a+b", "a;b", "//",
    "tracking", "\\", "{{7*7}}",
]  # fmt: skip
GOOD = {
    "type": "Output",
    "issuanceDate": "2026-01-31T18:25:43.4617653-05:00",
    "invoiceNumber": "NF-1",
    "invoiceValue": "1000",
    "items": [],
}


@pytest.fixture
def caller() -> Iterator[Caller]:
    forget_all_cached_keys()
    yield Caller()
    forget_all_cached_keys()


def send(caller: Caller, order_id: str, body: object = None, **given: Any) -> HttpResponse:
    told = body if body is not None else {**GOOD, **given}
    return caller.post(f"oms/pvt/orders/{order_id}/invoice", told)


def package_path(order_id: str, number: str, rest: str = "") -> str:
    return f"oms/pvt/orders/{order_id}/invoice/{quote(number, safe='')}{rest}"


def assert_receipt(answer: HttpResponse, order_id: str) -> str:
    body = parsed(answer)
    assert answer.status_code == 200, body
    assert set(body) == {"date", "orderId", "receipt"}
    assert body["orderId"] == order_id
    receipt: str = body["receipt"]
    assert re.fullmatch(r"[0-9a-f]{32}", receipt)
    return receipt


def test_an_invoice_as_the_contract_spells_it(caller: Caller) -> None:
    order_id = place_in(Status.HANDLING)
    unique_id = order_of(order_id).items.get().unique_id
    item = {"id": "18", "price": 1000, "quantity": 1, "description": "Cup, as invoiced"}
    answer = send(
        caller,
        order_id,
        invoiceKey="K-1",
        invoiceUrl="https://i/1",
        embeddedInvoice="<xml/>",
        courier="Post",
        trackingNumber="BR1",
        trackingUrl="https://t/1",
        dispatchedDate="2026-02-01",
        items=[item],
    )
    receipt = assert_receipt(answer, order_id)
    package, row = Package.objects.get(), PackageItem.objects.get()
    assert package.receipt is not None
    assert package.receipt.hex == receipt
    assert package.issued_at == datetime(2026, 1, 31, 23, 25, 43, 461765, tzinfo=UTC)
    assert package.dispatched_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert (package.invoice_value_cents, package.embedded_invoice) == (1000, "<xml/>")
    assert row.item is not None
    assert (row.item.unique_id, row.quantity, row.price_cents) == (unique_id, 1, 1000)
    assert row.description == "Cup, as invoiced"
    assert last_event(order_id).actor == caller.actor


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"invoiceValue": 1000}, 1000),
        ({"invoiceValue": "1000"}, 1000),
        ({"invoiceValue": " 7 "}, 7),
        ({"items": None}, 1000),
        ({"invoiceKey": None, "invoiceUrl": None, "embeddedInvoice": None}, 1000),
        ({"courier": None, "trackingNumber": None, "dispatchedDate": None}, 1000),
        ({"issuanceDate": "2026-01-31"}, 1000),
        ({"issuanceDate": "2026-01-31T10:00:00"}, 1000),
        ({"issuanceDate": "2026-01-31T10:00:00Z"}, 1000),
        ({"status": "canceled", "account": "x", "is_staff": True, "__proto__": {}}, 1000),
    ],
)
def test_what_real_clients_send_is_taken(
    caller: Caller, given: dict[str, Any], value: int
) -> None:
    order_id = place_in(Status.HANDLING)
    assert_receipt(send(caller, order_id, **given), order_id)
    assert Package.objects.get().invoice_value_cents == value
    assert status_of(order_id) == Status.INVOICE


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"invoiceNumber": ""}, ["invoiceNumber"]),
        ({"invoiceNumber": None}, ["invoiceNumber"]),
        ({"invoiceNumber": "x" * 513}, ["invoiceNumber"]),
        ({"invoiceNumber": ["a"]}, ["invoiceNumber"]),
        ({"invoiceValue": "24.99"}, ["invoiceValue"]),
        ({"invoiceValue": 24.99}, ["invoiceValue"]),
        ({"invoiceValue": -1}, ["invoiceValue"]),
        ({"invoiceValue": True}, ["invoiceValue"]),
        ({"invoiceValue": None}, ["invoiceValue"]),
        ({"invoiceValue": 0}, ["invoiceValue"]),
        ({"invoiceValue": 1001}, ["invoiceValue"]),
        ({"invoiceValue": "9" * 5000}, ["invoiceValue"]),
        ({"invoiceValue": 2**62}, ["invoiceValue"]),
        ({"type": "Sale"}, ["type"]),
        ({"type": "Input"}, ["type"]),
        ({"issuanceDate": "yesterday"}, ["issuanceDate"]),
        ({"issuanceDate": ""}, ["issuanceDate"]),
        ({"issuanceDate": "2026-02-30"}, ["issuanceDate"]),
        ({"issuanceDate": "9999-12-31T23:59:59-12:00"}, ["issuanceDate"]),
        ({"issuanceDate": "0001-01-01T00:00:00+12:00"}, ["issuanceDate"]),
        ({"issuanceDate": 1769882400}, ["issuanceDate"]),
        ({"invoiceUrl": "x" * 2001}, ["invoiceUrl"]),
        ({"trackingNumber": "x" * 161}, ["trackingNumber"]),
        ({"items": {}}, ["items"]),
        ({"items": [{"id": "99", "price": 1, "quantity": 1}]}, ["items[0].id"]),
        ({"items": [{"id": "18", "price": 1, "quantity": 2}]}, ["items[0].quantity"]),
        ({"items": [{"id": "18", "price": 1, "quantity": 0}]}, ["items[0].quantity"]),
        ({"items": [{"id": "18", "price": 1, "quantity": -1}]}, ["items[0].quantity"]),
        ({"items": [{"id": "18", "price": 1, "quantity": 1.5}]}, ["items[0].quantity"]),
        ({"items": [{"id": "18", "price": "1,5", "quantity": 1}]}, ["items[0].price"]),
        ({"items": [{"price": 1, "quantity": 1}]}, ["items[0].id"]),
        ({"items": [{"id": "18"}]}, ["items[0].quantity", "items[0].price"]),
        ({"items": ["18"]}, ["items[0]"]),
    ],
)  # fmt: skip
def test_what_contradicts_itself_or_the_order_is_refused_by_field(
    caller: Caller, given: dict[str, Any], fields: list[str]
) -> None:
    order_id = place_in(Status.HANDLING)
    with nothing_changes(order_id):
        assert fields_of(send(caller, order_id, **given)) == fields


def test_an_invoice_without_anything_names_all_that_is_missing(caller: Caller) -> None:
    order_id = place_in(Status.HANDLING)
    with nothing_changes(order_id):
        assert fields_of(send(caller, order_id, {})) == [
            "issuanceDate",
            "invoiceNumber",
            "invoiceValue",
        ]


def test_an_unknown_sku_is_answered_with_those_of_the_order(caller: Caller) -> None:
    order_id = place_in(Status.HANDLING)
    answer = send(caller, order_id, items=[{"id": "99", "price": 1, "quantity": 1}])
    assert refusal(answer, 400, "invalid")["details"] == [
        {"field": "items[0].id", "message": "99 is not in this order.", "allowed": ["18"]}
    ]


def test_the_same_invoice_again_answers_another_receipt(caller: Caller) -> None:
    order_id = place_in(Status.HANDLING)
    first = assert_receipt(send(caller, order_id), order_id)
    with nothing_changes(order_id):
        assert assert_receipt(send(caller, order_id), order_id) != first


def test_an_order_that_takes_no_invoice_is_409(caller: Caller) -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    with nothing_changes(order_id):
        refusal(send(caller, order_id), 409, "OMS003")


def test_who_may_ship_may_not_therefore_refund() -> None:
    order_id = place_in(Status.INVOICED)
    with nothing_changes(order_id):
        shipper, refunder = Caller([Scope.SHIPPING_ACTION]), Caller([Scope.REFUND_ACTION])
        refusal(send(shipper, order_id, type="Input"), 403, "forbidden")
        refusal(send(refunder, order_id, type="Output"), 403, "forbidden")


# Packages


@pytest.mark.parametrize("number", ODD_NUMBERS)
def test_an_invoice_of_any_number_is_stored_and_addressable(caller: Caller, number: str) -> None:
    order_id = place_in(Status.HANDLING)
    assert_receipt(send(caller, order_id, invoiceNumber=number), order_id)
    shipped = caller.ask("PATCH", package_path(order_id, number), {"trackingNumber": "BR1"})
    assert_receipt(shipped, order_id)
    told = caller.ask("PUT", package_path(order_id, number, "/tracking"), {"isDelivered": True})
    assert_receipt(told, order_id)
    package = Package.objects.get()
    assert (package.invoice_number, package.tracking_number) == (number, "BR1")
    assert package.is_delivered
    document = parsed(caller.get(f"oms/pvt/orders/{order_id}"))
    assert document["packageAttachment"]["packages"][0]["invoiceNumber"] == number


def test_shipment_and_tracking_as_the_contract_spells_them(caller: Caller) -> None:
    order_id = place_in(Status.HANDLING)
    send(caller, order_id)
    shipment = {
        "trackingNumber": "87658",
        "trackingUrl": "https://www.tracking.com/url",
        "courier": "carrierOne",
        "dispatchedDate": "2022-02-08T13:16:13.4617653+00:00",
    }
    assert_receipt(caller.ask("PATCH", package_path(order_id, "NF-1"), shipment), order_id)
    tracking = {
        "isDelivered": False,
        "deliveredDate": None,
        "events": [
            {"city": "Rio", "state": "RJ", "description": "Coletado", "date": "2015-06-23"},
            {"city": "Sao Paulo", "state": "SP", "description": "A caminho", "date": "2015-06-24"},
        ],
    }
    path = package_path(order_id, "NF-1", "/tracking")
    assert_receipt(caller.ask("PUT", path, tracking), order_id)
    package = Package.objects.get()
    assert (package.courier, package.tracking_url) == ("carrierOne", shipment["trackingUrl"])
    assert package.dispatched_at == datetime(2022, 2, 8, 13, 16, 13, 461765, tzinfo=UTC)
    events = TrackingEvent.objects.order_by("index").values_list("city", "occurred_at")
    assert list(events) == [
        ("Rio", datetime(2015, 6, 23, tzinfo=UTC)),
        ("Sao Paulo", datetime(2015, 6, 24, tzinfo=UTC)),
    ]
    with nothing_changes(order_id):
        assert_receipt(caller.ask("PUT", path, tracking), order_id)


@pytest.mark.parametrize(("method", "rest"), [("PATCH", ""), ("PUT", "/tracking")])
def test_an_unknown_invoice_is_not_there(caller: Caller, method: str, rest: str) -> None:
    order_id = place_in(Status.HANDLING)
    with nothing_changes(order_id):
        answer = caller.ask(method, package_path(order_id, "NF-9", rest), {"courier": "x"})
        refusal(answer, 404, "not_found")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"isDelivered": "perhaps"}, ["isDelivered"]),
        ({"deliveredDate": "soon"}, ["deliveredDate"]),
        ({"events": "none"}, ["events"]),
        ({"events": [{"description": "no date"}]}, ["events[0].date"]),
        ({"events": [{"date": "2026-01-31", "city": "c" * 161}]}, ["events[0].city"]),
        ({"events": [{"date": "2026-01-31"}, 7]}, ["events[1]"]),
    ],
)
def test_tracking_that_cannot_be_read_is_refused_by_field(
    caller: Caller, body: object, fields: list[str]
) -> None:
    order_id = place_in(Status.HANDLING)
    send(caller, order_id)
    with nothing_changes(order_id):
        answer = caller.ask("PUT", package_path(order_id, "NF-1", "/tracking"), body)
        assert fields_of(answer) == fields
