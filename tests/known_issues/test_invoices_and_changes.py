"""
Invoices, returns, money and changes: the anchor's issues, and that they do not hurt here.

Changes alone (1219914, 1433311, 1155646, 1256685, 1348894, 748404) are in
tests/workflow/changes/test_changes.py, the first version (955489) in tests/api/test_changes.py.
"""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from oms.access.authenticating import forget_all_cached_keys
from oms.orders.documents.building import order_document
from oms.orders.documents.drafts import PaymentDraft
from oms.orders.models import InvoiceType, PackageItem
from oms.orders.statuses import Status
from tests.api.callers import Caller, parsed
from tests.workflow.changes.bodies import (
    CUPS,
    MORE_CUPS,
    MUGS,
    body,
    change,
    handled,
    item,
    remove,
)
from tests.workflow.sandboxes import ThreadedSandbox
from tests.workflow.stories import (
    last_event,
    order_of,
    payment_of,
    place_in,
    record,
    refused,
    status_of,
)
from workflow.runner import run_due
from workflow.services.invoicing import InvoicedLine
from workflow.services.refusals import InvalidInput

pytestmark = pytest.mark.django_db

RETURN = InvoiceType.INPUT


@pytest.fixture
def caller() -> Iterator[Caller]:
    forget_all_cached_keys()
    yield Caller()
    forget_all_cached_keys()


def line(reference: str, quantity: int, price: int, description: str = "") -> InvoicedLine:
    return InvoicedLine(
        reference=reference, quantity=quantity, price_cents=price, description=description
    )


def covered(number: str) -> list[tuple[str, int, int]]:
    rows = PackageItem.objects.filter(package__invoice_number=number).order_by("index")
    return list(rows.values_list("item__unique_id", "quantity", "price_cents"))


@pytest.mark.parametrize("number", ["000/2026", "NF#7", "NF 7", "50%", "a/b//"])
def test_1302085_any_invoice_number_can_be_tracked(caller: Caller, number: str) -> None:
    order_id = place_in(Status.HANDLING)
    invoice = {"issuanceDate": "2026-01-31", "invoiceNumber": number, "invoiceValue": 1000}
    assert caller.post(f"oms/pvt/orders/{order_id}/invoice", invoice).status_code == 200
    path = f"oms/pvt/orders/{order_id}/invoice/{quote(number, safe='')}"
    assert caller.ask("PATCH", path, {"trackingNumber": "BR1"}).status_code == 200
    told = {"isDelivered": True, "deliveredDate": "2026-02-01"}
    assert caller.ask("PUT", f"{path}/tracking", told).status_code == 200
    (package,) = parsed(caller.get(f"oms/pvt/orders/{order_id}"))["packageAttachment"]["packages"]
    assert (package["invoiceNumber"], package["trackingNumber"]) == (number, "BR1")
    assert package["courierStatus"]["finished"] is True


def test_1330069_the_description_of_an_invoiced_item_stays_as_sent(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place_in(Status.HANDLING)
    record(order_id, "NF-1", 1000, lines=[line("18", 1, 1000, "Cup, blue, as taxed")])
    run_due()
    (package,) = order_document(order_of(order_id))["packageAttachment"]["packages"]
    assert package["items"][0]["description"] == "Cup, blue, as taxed"


def test_1008459_lines_of_one_sku_are_invoiced_and_returned_line_by_line(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = handled()
    record(order_id, "NF-1", 500, lines=[line("cup", 2, 200), line(MORE_CUPS, 1, 100)])
    run_due()
    assert covered("NF-1") == [(CUPS, 2, 200), (MORE_CUPS, 1, 100)]
    record(order_id, "NF-2", 500, lines=[line("cup", 1, 200), line("mug", 1, 300)])
    run_due()
    assert covered("NF-2") == [(CUPS, 1, 200), (MUGS, 1, 300)]
    assert status_of(order_id) == Status.INVOICED
    record(order_id, "RET-1", 100, type_=RETURN, lines=[line(MORE_CUPS, 1, 100)])
    run_due()
    assert covered("RET-1") == [(MORE_CUPS, 1, 100)]
    assert sandbox.effects()["operations"]["refund"]["effects"] == 1


def test_387933_a_return_invoice_keeps_the_price_of_each_item(sandbox: ThreadedSandbox) -> None:
    order_id = handled()
    record(order_id, "NF-1", 1000)
    run_due()
    record(order_id, "RET-1", 500, type_=RETURN, lines=[line(CUPS, 1, 200), line(MUGS, 1, 300)])
    packages = order_document(order_of(order_id))["packageAttachment"]["packages"]
    returned = next(package for package in packages if package["type"] == "Input")
    assert [entry["price"] for entry in returned["items"]] == [200, 300]
    assert returned["invoiceValue"] == 500


def test_605517_the_value_of_a_package_is_what_was_sent_after_a_discount(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = handled()
    change(order_id, body(manualDiscountValue=33))
    record(order_id, "NF-1", 967)
    run_due()
    (package,) = order_document(order_of(order_id))["packageAttachment"]["packages"]
    assert (package["invoiceValue"], status_of(order_id)) == (967, Status.INVOICED)


def test_1351358_after_a_change_a_return_is_refunded_in_full_and_once(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = handled()
    change(order_id, remove(item(1, uniqueId=MUGS)))
    record(order_id, "NF-1", 700)
    run_due()
    record(order_id, "RET-1", 300, type_=RETURN)
    record(order_id, "RET-1", 300, type_=RETURN)
    record(order_id, "RET-2", 400, type_=RETURN)
    run_due()
    with refused(order_id, InvalidInput, "invoiceValue"):
        record(order_id, "RET-3", 1, type_=RETURN)
    refunds = [
        told["value"]
        for told in sandbox.effects(order_id)["effects"]
        if told["operation"] == "refund"
    ]
    assert sorted(refunds) == [300, 400]


def test_376077_an_order_with_interest_is_captured_and_refunded(sandbox: ThreadedSandbox) -> None:
    paid = PaymentDraft(index=0, payment_id="P", value_cents=1_080, installments=12)
    order_id = place_in(Status.HANDLING, payments=[paid])
    record(order_id, "NF-1", 1000)
    run_due()
    assert (status_of(order_id), payment_of(order_id).captured_cents) == (Status.INVOICED, 1000)
    record(order_id, "RET-1", 1000, type_=RETURN)
    run_due()
    assert sandbox.effects()["operations"]["refund"]["effects"] == 1


def test_646253_what_is_left_to_invoice_is_right_after_invoices_and_changes(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = handled()
    record(order_id, "NF-1", 200, lines=[line(CUPS, 1, 200)])
    run_due()
    change(order_id, remove(item(1, uniqueId=CUPS), item(1, uniqueId=MORE_CUPS)))
    for reference, most in (("cup", 1), (CUPS, 1)):
        with refused(order_id, InvalidInput, f"more than the {most} that are left"):
            record(order_id, "NF-2", 1, lines=[line(reference, 2, 200)])
    with refused(order_id, InvalidInput, "the 500 cents that are left"):
        record(order_id, "NF-2", 501)
    record(order_id, "NF-2", 500, lines=[line(CUPS, 1, 200), line(MUGS, 1, 300)])
    run_due()
    assert status_of(order_id) == Status.INVOICED


def test_1290946_the_reason_of_a_change_is_told_wherever_the_change_is() -> None:
    order_id = handled()
    request = change(order_id, remove(item(1, uniqueId=MUGS), reason="Broken on the way"))
    (told,) = order_document(order_of(order_id))["changesAttachment"]["changesData"]
    reasons = (request.reason, last_event(order_id).reason, told["reason"])
    assert reasons == ("Broken on the way",) * 3
