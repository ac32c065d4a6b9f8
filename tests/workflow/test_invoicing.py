"""Sales in parts and returns: sums, lines, numbers of any spelling, captures, refusals."""

from typing import Any

import pytest

from oms.orders.documents.drafts import ItemDraft
from oms.orders.models import InvoiceType, Package, PackageItem
from oms.orders.statuses import Flow, Status
from tests.workflow.sandboxes import ThreadedSandbox
from tests.workflow.stories import (
    assert_legal_history,
    item_of,
    kinds_of,
    last_event,
    nothing_changes,
    order_of,
    payment_of,
    place,
    place_in,
    record,
    refused,
    status_of,
    statuses_of,
    steps_of,
)
from workflow.flows import TABLES, Action, TransitionNotAllowed
from workflow.models import WorkItem
from workflow.runner import run_due
from workflow.services.handling import start_handling
from workflow.services.invoicing import InvoicedLine
from workflow.services.refusals import InvalidInput
from workflow.services.repair import force_status, retry_work, skip_work
from workflow.services.tracking import Shipment
from workflow.steps import Step

pytestmark = pytest.mark.django_db

ODD_NUMBERS = ["1/2", "a#b", "50%", "50%25", "NF 7", "🧾", "?x=1", "..", "x" * 500, "é", "'\"--"]
INPUT = InvoiceType.INPUT


def two_lines(**given: Any) -> dict[str, Any]:
    """Two lines of one SKU and a third of another; 3 x 2.00, 2 x 2.00 and 1 x 0.00."""
    lines = [("U1", "18", 3, 200), ("U2", "18", 2, 200), ("U3", "gift", 1, 0)]
    return {
        "value_cents": 1000,
        "items": [
            ItemDraft(
                unique_id=unique_id,
                index=index,
                sku_id=sku,
                quantity=quantity,
                price_cents=price,
                selling_price_cents=price,
            )
            for index, (unique_id, sku, quantity, price) in enumerate(lines)
        ],
    } | given


def line(reference: str, quantity: int, price_cents: int = 200) -> InvoicedLine:
    return InvoicedLine(reference=reference, quantity=quantity, price_cents=price_cents)


def covered(number: str) -> list[tuple[str, int]]:
    """This function will list what an invoice covers: line and quantity."""
    rows = PackageItem.objects.filter(package__invoice_number=number).order_by("index")
    return list(rows.values_list("item__unique_id", "quantity"))


def invoiced(flow: Flow = Flow.COMPLETE, **given: Any) -> str:
    """This function will place an order and invoice it whole, all steps done."""
    start = (
        Status.HANDLING if flow in (Flow.COMPLETE, Flow.FULFILLMENT) else Status.PAYMENT_APPROVED
    )
    order_id = place_in(start, flow, **given)
    record(order_id, "NF-1", 1000)
    run_due()
    assert status_of(order_id) == Status.INVOICED
    return order_id


@pytest.mark.parametrize("flow", list(Flow))
def test_in_every_status_an_invoice_moves_or_is_refused(flow: Flow) -> None:
    for status in statuses_of(flow):
        order_id = place_in(status, flow)
        reached = TABLES[flow].get((status, Action.RECORD_INVOICE))
        if reached is None:
            with refused(order_id, TransitionNotAllowed):
                record(order_id)
        else:
            record(order_id)
            assert status_of(order_id) == reached


def test_an_invoice_is_kept_whole_and_leaves_a_receipt() -> None:
    order_id = place_in(Status.HANDLING)
    shipment = Shipment(tracking_number="BR1", tracking_url="https://t/1", courier="Post")
    receipt = record(
        order_id, "NF-1", 1000, key="K", url="https://i/1", embedded="<x/>", shipment=shipment
    )
    package, event = Package.objects.get(), last_event(order_id)
    assert (receipt.order_id, receipt.at) == (order_id, event.occurred_at)
    assert (package.receipt, package.type, package.index) == (receipt.receipt, "Output", 0)
    assert (package.invoice_key, package.invoice_url) == ("K", "https://i/1")
    assert (package.embedded_invoice, package.courier) == ("<x/>", "Post")
    assert (package.tracking_number, package.tracking_url) == ("BR1", "https://t/1")
    assert (event.kind, event.actor) == ("order.invoice-recorded", "key:erp")
    assert event.changes == {"status": ["handling", "invoice"], "packages.NF-1": [None, 1000]}
    assert event.data == {
        "invoiceNumber": "NF-1",
        "type": "Output",
        "receipt": str(receipt.receipt),
    }
    assert steps_of(order_id) == {Step.SETTLE_INVOICE, Step.FOLLOW_TRACKING}


def test_the_same_number_again_gives_a_new_receipt_and_changes_nothing() -> None:
    order_id = place_in(Status.HANDLING)
    first = record(order_id, "NF-1", 400)
    with nothing_changes(order_id):
        second = record(order_id, "NF-1", 999)
    assert second.receipt != first.receipt


@pytest.mark.parametrize("flow", list(Flow))
def test_parts_make_the_whole_to_the_cent(sandbox: ThreadedSandbox, flow: Flow) -> None:
    is_shipping = flow in (Flow.COMPLETE, Flow.FULFILLMENT)
    order_id = place_in(Status.HANDLING if is_shipping else Status.PAYMENT_APPROVED, flow)
    for number, cents in (("NF-1", 333), ("NF-2", 333), ("NF-3", 333)):
        record(order_id, number, cents)
        run_due()
        between = Status.HANDLING if is_shipping else Status.WAITING_SELLER_HANDLING
        assert status_of(order_id) == between
    with refused(order_id, InvalidInput, "invoiceValue: 2 is more than the 1 cents"):
        record(order_id, "NF-4", 2)
    record(order_id, "NF-4", 1)
    run_due()
    order = order_of(order_id)
    assert (order.status, order.invoiced_at) == (Status.INVOICED, order.last_change_at)
    assert kinds_of(order_id).count("order.partly-invoiced") == 3
    assert_legal_history(order_id)


def test_an_invoice_of_nothing_is_refused_unless_the_order_is_worth_nothing() -> None:
    order_id, free = place_in(Status.HANDLING), place_in(Status.HANDLING, value_cents=0)
    with refused(order_id, InvalidInput, "invoiceValue"):
        record(order_id, value_cents=0)
    record(free, value_cents=0)
    assert status_of(free) == Status.INVOICE


@pytest.mark.parametrize("number", ODD_NUMBERS)
def test_a_number_of_any_spelling_is_captured_under_itself(
    sandbox: ThreadedSandbox, number: str
) -> None:
    order_id = place()
    run_due()
    force_status(order_id=order_id, status=Status.HANDLING, reason="test", actor="user:ann")
    record(order_id, number, 1000)
    run_due()
    assert status_of(order_id) == Status.INVOICED
    captured = sandbox.effects(order_id)["effects"][-1]
    assert (captured["operation"], captured["subject"]) == ("capture", number)


def test_one_capture_for_each_invoice(sandbox: ThreadedSandbox) -> None:
    order_id = place()
    run_due()
    force_status(order_id=order_id, status=Status.READY_FOR_HANDLING, reason="t", actor="user:ann")
    start_handling(order_id=order_id, actor="key:erp")
    run_due()
    for number, cents in (("A", 600), ("B", 400)):
        record(order_id, number, cents)
        run_due()
    captures = [e for e in sandbox.effects(order_id)["effects"] if e["operation"] == "capture"]
    assert [(e["subject"], e["value"]) for e in captures] == [("A", 600), ("B", 400)]
    assert (payment_of(order_id).status, payment_of(order_id).captured_cents) == ("captured", 1000)
    assert list(Package.objects.values_list("is_settled", flat=True)) == [True, True]
    assert sandbox.effects()["doubled"] == []


def test_a_denied_capture_parks_the_order_until_somebody_looked(sandbox: ThreadedSandbox) -> None:
    order_id = place_in(Status.HANDLING)
    sandbox.force_outcome(order_id, "capture", "denied", times=1)
    record(order_id, "NF-1", 1000)
    run_due()
    item = WorkItem.objects.get(step=Step.SETTLE_INVOICE)
    assert (status_of(order_id), item.cause) == (Status.INVOICE, "capture denied")
    event = last_event(order_id)
    assert (event.kind, event.status) == ("work.parked", Status.INVOICE)
    assert event.data == {"step": "settle-invoice", "cause": "capture denied"}
    with refused(order_id, InvalidInput):
        record(order_id, "NF-2", 1)
    retry_work(item_pks=[item.pk], reason="the bank called back", actor="user:ann")
    run_due()
    # The sandbox answers the same call with the same answer: the effect's key has not changed.
    assert WorkItem.objects.get(step=Step.SETTLE_INVOICE).cause == "capture denied"


def test_a_part_may_come_while_the_part_before_is_being_captured(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place_in(Status.HANDLING)
    record(order_id, "NF-1", 400)

    record(order_id, "NF-2", 600)
    assert status_of(order_id) is Status.INVOICE
    run_due()

    assert status_of(order_id) is Status.INVOICED
    captures = [e for e in sandbox.effects(order_id)["effects"] if e["operation"] == "capture"]
    assert len(captures) == 2
    assert set(Package.objects.values_list("is_settled", flat=True)) == {True}


# Lines


def test_lines_by_sku_are_spread_over_the_lines_of_that_sku() -> None:
    order_id = place_in(Status.HANDLING, **two_lines())
    record(order_id, "A", 800, lines=[line("18", 4)])
    assert covered("A") == [("U1", 3), ("U2", 1)]


def test_lines_by_unique_id_are_that_line_alone() -> None:
    order_id = place_in(Status.HANDLING, **two_lines())
    record(order_id, "A", 400, lines=[line("U2", 2), line("U3", 1, 0)])
    assert covered("A") == [("U2", 2), ("U3", 1)]


def test_a_second_invoice_gets_what_the_first_has_left(sandbox: ThreadedSandbox) -> None:
    order_id = place_in(Status.HANDLING, **two_lines())
    record(order_id, "A", 400, lines=[line("18", 2)])
    run_due()
    record(order_id, "B", 600, lines=[line("18", 3)])
    assert covered("B") == [("U1", 1), ("U2", 2)]


@pytest.mark.parametrize(
    ("lines", "problems"),
    [
        ([line("99", 1)], [("items[0].id", "99 is not in this order.")]),
        ([line("18", 6)], [("items[0].quantity", "6 is more than the 5 that are left.")]),
        ([line("U2", 3)], [("items[0].quantity", "3 is more than the 2 that are left.")]),
        (
            [line("18", 5), line("U1", 1)],
            [("items[1].quantity", "1 is more than the 0 that are left.")],
        ),
        (
            [line("nope", 1), line("18", 9)],
            [
                ("items[0].id", "nope is not in this order."),
                ("items[1].quantity", "9 is more than the 5 that are left."),
            ],
        ),
    ],
)
def test_lines_that_contradict_the_order_are_refused_each_with_its_place(
    lines: list[InvoicedLine], problems: list[tuple[str, str]]
) -> None:
    order_id = place_in(Status.HANDLING, **two_lines())
    with refused(order_id, InvalidInput):
        record(order_id, "A", 100, lines=lines)
    with pytest.raises(InvalidInput) as refusal:
        record(order_id, "A", 100, lines=lines)
    assert [(p.field, p.message) for p in refusal.value.problems] == problems


def test_an_unknown_line_is_answered_with_those_there_are() -> None:
    order_id = place_in(Status.HANDLING, **two_lines())
    with pytest.raises(InvalidInput) as refusal:
        record(order_id, "A", 100, lines=[line("99", 1)])
    assert refusal.value.details[0]["allowed"] == ("18", "gift")


def test_an_order_without_lines_takes_invoices_without_lines() -> None:
    order_id = place_in(Status.HANDLING, items=[], item_count=0)
    record(order_id)
    assert status_of(order_id) == Status.INVOICE


# Returns


@pytest.mark.parametrize("flow", list(Flow))
def test_a_return_is_refunded_where_the_payment_is_ours(
    sandbox: ThreadedSandbox, flow: Flow
) -> None:
    order_id = invoiced(flow)
    record(order_id, "R-1", 300, type_=INPUT)
    event = last_event(order_id)
    assert (event.kind, event.status) == ("order.return-invoiced", Status.INVOICED)
    assert event.changes == {"packages.R-1": [None, 300]}
    run_due()
    refunds = [
        e for e in sandbox.effects(order_id).get("effects", []) if e["operation"] == "refund"
    ]
    if flow in (Flow.COMPLETE, Flow.MARKETPLACE):
        assert [(e["subject"], e["value"], e["result"]) for e in refunds] == [
            ("R-1", 300, "refunded")
        ]
        assert last_event(order_id).kind == "payment.refunded"
        assert last_event(order_id).changes == {"packages.R-1.settled": [False, True]}
    else:
        assert refunds == []
    assert steps_of(order_id) == set()


def test_returns_in_parts_up_to_what_was_invoiced_and_no_further(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = invoiced(**two_lines())
    record(order_id, "R-1", 600, type_=INPUT, lines=[line("18", 3)])
    with refused(order_id, InvalidInput, "invoiceValue: 401 is more than the 400"):
        record(order_id, "R-2", 401, type_=INPUT)
    with refused(order_id, InvalidInput, "more than the 2 that are left"):
        record(order_id, "R-2", 400, type_=INPUT, lines=[line("18", 3)])
    record(order_id, "R-2", 400, type_=INPUT, lines=[line("18", 2)])
    run_due()
    assert status_of(order_id) == Status.INVOICED


def test_a_return_before_the_whole_sale_is_refused() -> None:
    order_id = place_in(Status.HANDLING)
    record(order_id, "NF-1", 400)
    with refused(order_id, InvalidInput, "wholly invoiced"):
        record(order_id, "R-1", 100, type_=INPUT)


def test_sale_and_return_may_share_a_number(sandbox: ThreadedSandbox) -> None:
    order_id = invoiced()
    record(order_id, "NF-1", 1000, type_=INPUT)
    run_due()
    assert sorted(Package.objects.values_list("type", "is_settled")) == [
        ("Input", True),
        ("Output", True),
    ]


def test_a_denied_refund_is_parked(sandbox: ThreadedSandbox) -> None:
    order_id = invoiced()
    sandbox.force_outcome(order_id, "refund", "denied")
    record(order_id, "R-1", 100, type_=INPUT)
    run_due()
    item = WorkItem.objects.get(step=Step.REFUND_RETURN)
    assert item.cause == "refund denied"
    assert not Package.objects.get(type="Input").is_settled


# Connectors send start-handling and the invoice in one breath, before the stock call is back.


def test_an_invoice_right_after_start_handling_is_taken_and_follows(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    start_handling(order_id=order_id, actor="key:erp")
    record(order_id, "NF-1", 600)
    record(order_id, "NF-2", 400)
    assert status_of(order_id) == Status.START_HANDLING
    run_due()
    assert status_of(order_id) == Status.INVOICED
    assert kinds_of(order_id)[-6:] == [
        "order.handling-started",
        "order.invoice-recorded",
        "order.invoice-recorded",
        "order.invoice-taken-up",
        "payment.captured",
        "order.invoiced",
    ]
    assert sandbox.effects()["operations"]["withdrawal"]["effects"] == 1
    assert_legal_history(order_id)


def test_an_early_invoice_of_a_part_leaves_the_rest_to_be_handled(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place_in(Status.START_HANDLING)
    record(order_id, "NF-1", 400)
    run_due()
    assert status_of(order_id) == Status.HANDLING


def test_a_stock_call_under_way_when_the_invoice_comes_is_not_believed() -> None:
    order_id = place_in(Status.START_HANDLING)
    before = item_of(order_id, Step.WITHDRAW_STOCK).pk
    record(order_id, "NF-1", 400)
    assert item_of(order_id, Step.WITHDRAW_STOCK).pk != before


def test_skipping_the_withdrawal_takes_up_the_invoice_that_came_early() -> None:
    order_id = place_in(Status.START_HANDLING)
    record(order_id, "NF-1", 400)
    item = item_of(order_id, Step.WITHDRAW_STOCK)
    done = skip_work(item_pks=[item.pk], reason="counted by hand", actor="user:ann")
    assert (done.done, status_of(order_id)) == (1, Status.INVOICE)


# Prices of invoiced lines


def test_a_line_may_be_invoiced_at_another_price_than_ordered() -> None:
    """Taxes and rounding are the ERP's: what is captured is the invoice's value, and that is bound."""
    order_id = place_in(Status.HANDLING)
    record(order_id, "NF-1", 1000, lines=[line("18", 1, price_cents=1180)])
    assert PackageItem.objects.get().price_cents == 1180
    with refused(order_id, InvalidInput, "invoiceValue"):
        record(order_id, "NF-2", 180)
