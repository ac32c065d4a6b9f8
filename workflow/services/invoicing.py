"""
Invoices: sales (`Output`) in one or several parts, returns (`Input`).

Idempotent by invoice number: the same number again changes nothing (research, workflow 1.7).
Lines are addressed by `uniqueId`, or by SKU, which is then spread over the lines of that SKU.
Their prices are the sender's and are kept, not compared with the order's: taxes and rounding are
the ERP's business (contract: "price of the invoiced item"). What is captured is the value of the
invoice, and the sum of those never exceeds the order's value.
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import Sum

from oms.orders.locks import LockedOrder, lock_order
from oms.orders.models import InvoiceType, Item, Package, PackageItem
from oms.orders.statuses import Status
from workflow.announcing import announce
from workflow.flows import PAYMENT_FLOWS, Action
from workflow.moves import Change, write_change
from workflow.services.cancellation import DECIDING
from workflow.services.refusals import InvalidInput, Problem
from workflow.services.tracking import Shipment, follow_package
from workflow.steps import Step
from workflow.work import NewWorkItem, add_work_items


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoicedLine:
    """`reference` is a line's uniqueId or a SKU. Price is per unit."""

    reference: str
    quantity: int
    price_cents: int
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    type: InvoiceType
    number: str
    value_cents: int
    issued_at: datetime
    lines: Sequence[InvoicedLine] = ()
    key: str = ""
    url: str = ""
    embedded: str = ""
    shipment: Shipment = field(default_factory=Shipment)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the contract answers to an invoice: when, which order, under which receipt."""

    at: datetime
    order_id: str
    receipt: uuid.UUID


@transaction.atomic
def record_invoice(*, order_id: str, invoice: Invoice, actor: str) -> Receipt:
    """
    This function will take an invoice into an order and move the order to its verification.

    The same number of the same type again gives a new receipt and changes nothing. Raises
    OrderNotFound; InvalidInput where lines, quantities or sums contradict the order;
    TransitionNotAllowed where the order cannot take an invoice now.
    """
    order = lock_order(order_id)
    receipt = Receipt(order.read_at, order.order_id, uuid.uuid4())
    if _is_known(order, invoice):
        return receipt
    if invoice.type is InvoiceType.INPUT:
        _record_return(order, invoice, actor, receipt)
    else:
        _record_sale(order, invoice, actor, receipt)
    return receipt


def _is_known(order: LockedOrder, invoice: Invoice) -> bool:
    return Package.objects.filter(
        order_id=order.pk, type=invoice.type, invoice_number=invoice.number
    ).exists()


def _record_sale(order: LockedOrder, invoice: Invoice, actor: str, receipt: Receipt) -> None:
    change = Change(
        order=order,
        actor=actor,
        action=Action.RECORD_INVOICE,
        # An invoice is the answer to a cancellation request that is open: no.
        reason=f"Invoiced under {invoice.number}." if order.status in DECIDING else "",
        changes={f"packages.{invoice.number}": [None, invoice.value_cents]},
        data={
            "invoiceNumber": invoice.number,
            "type": invoice.type,
            "receipt": str(receipt.receipt),
        },
        parts_changed=True,
    )
    change.next_status()
    _refuse_nothing(order, invoice)
    _refuse_sum_above(order, invoice, InvoiceType.OUTPUT, order.value_cents)
    package = _write_package(order, invoice, receipt)
    _write_lines(order, package, invoice, limit=_quantities_left(order))

    written = write_change(change)
    announce([*written.due_item_ids, *follow_package(order, package)])


def _record_return(order: LockedOrder, invoice: Invoice, actor: str, receipt: Receipt) -> None:
    if order.status is not Status.INVOICED:
        problem = Problem("type", "A return needs an order that is wholly invoiced.", ("Output",))
        raise InvalidInput(problem)
    _refuse_nothing(order, invoice)
    _refuse_sum_above(order, invoice, InvoiceType.INPUT, _sum_of(order, InvoiceType.OUTPUT))
    package = _write_package(order, invoice, receipt)
    _write_lines(order, package, invoice, limit=_quantities_returnable(order))
    write_change(
        Change(
            order=order,
            actor=actor,
            kind="order.return-invoiced",
            changes={f"packages.{invoice.number}": [None, invoice.value_cents]},
            data={"invoiceNumber": invoice.number, "type": invoice.type},
            parts_changed=True,
        )
    )
    if order.flow in PAYMENT_FLOWS:
        refund = NewWorkItem(
            order_pk=order.pk,
            package_pk=package.pk,
            step=Step.REFUND_RETURN,
            priority=order.priority,
            due_at=order.read_at,
        )
        announce(add_work_items([refund]))


def _sum_of(order: LockedOrder, type_: InvoiceType) -> int:
    packages = Package.objects.filter(order_id=order.pk, type=type_)
    return packages.aggregate(total=Sum("invoice_value_cents"))["total"] or 0


def _refuse_nothing(order: LockedOrder, invoice: Invoice) -> None:
    # The contract wants more than 0; a wholly discounted order has nothing more to invoice.
    if invoice.value_cents == 0 and order.value_cents > 0:
        raise InvalidInput(Problem("invoiceValue", "Must be more than 0 cents."))


def _refuse_sum_above(
    order: LockedOrder, invoice: Invoice, type_: InvoiceType, limit_cents: int
) -> None:
    left = limit_cents - _sum_of(order, type_)
    if invoice.value_cents > left:
        message = f"{invoice.value_cents} is more than the {left} cents that are left to invoice."
        raise InvalidInput(Problem("invoiceValue", message))


def _write_package(order: LockedOrder, invoice: Invoice, receipt: Receipt) -> Package:
    return Package.objects.create(
        order_id=order.pk,
        index=Package.objects.filter(order_id=order.pk).count(),
        type=invoice.type,
        invoice_number=invoice.number,
        invoice_value_cents=invoice.value_cents,
        invoice_key=invoice.key,
        invoice_url=invoice.url,
        embedded_invoice=invoice.embedded,
        issued_at=invoice.issued_at,
        courier=invoice.shipment.courier,
        tracking_number=invoice.shipment.tracking_number,
        tracking_url=invoice.shipment.tracking_url,
        dispatched_at=invoice.shipment.dispatched_at,
        receipt=receipt.receipt,
    )


def _quantities_left(order: LockedOrder) -> dict[int, int]:
    left = dict(Item.objects.filter(order_id=order.pk).values_list("pk", "quantity"))
    for item_pk, quantity in _quantities_of(order, InvoiceType.OUTPUT).items():
        left[item_pk] = left.get(item_pk, 0) - quantity
    return left


def _quantities_returnable(order: LockedOrder) -> dict[int, int]:
    # An invoice without lines covers the whole order, so what was ordered can come back.
    ordered = dict(Item.objects.filter(order_id=order.pk).values_list("pk", "quantity"))
    for item_pk, quantity in _quantities_of(order, InvoiceType.INPUT).items():
        ordered[item_pk] = ordered.get(item_pk, 0) - quantity
    return ordered


def _quantities_of(order: LockedOrder, type_: InvoiceType) -> dict[int, int]:
    lines = PackageItem.objects.filter(
        package__order_id=order.pk, package__type=type_, item__isnull=False
    )
    totals = lines.order_by().values("item_id").annotate(total=Sum("quantity"))
    return {row["item_id"]: row["total"] for row in totals}


def _write_lines(
    order: LockedOrder, package: Package, invoice: Invoice, *, limit: dict[int, int]
) -> None:
    items = list(Item.objects.filter(order_id=order.pk).order_by("index").defer("extra"))
    by_reference: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_reference[item.unique_id].append(item)
        by_reference[item.sku_id].append(item)
    rows: list[PackageItem] = []
    problems: list[Problem] = []
    for index, line in enumerate(invoice.lines):
        field = f"items[{index}]"
        candidates = by_reference.get(line.reference)
        if candidates is None:
            known = tuple(dict.fromkeys(item.sku_id for item in items))
            problems.append(
                Problem(f"{field}.id", f"{line.reference} is not in this order.", known)
            )
            continue
        rows.extend(_spread(package, line, candidates, limit, len(rows), field, problems))
    if problems:
        raise InvalidInput(*problems)
    PackageItem.objects.bulk_create(rows)


def _spread(
    package: Package,
    line: InvoicedLine,
    candidates: Sequence[Item],
    limit: dict[int, int],
    index: int,
    field: str,
    problems: list[Problem],
) -> list[PackageItem]:
    """Gives a line's quantity to the order's lines of that reference, first come first served."""
    rows: list[PackageItem] = []
    wanted = line.quantity
    for item in candidates:
        taken = min(wanted, max(0, limit[item.pk]))
        if taken:
            limit[item.pk] -= taken
            wanted -= taken
            rows.append(
                PackageItem(
                    package=package,
                    index=index + len(rows),
                    item=item,
                    quantity=taken,
                    price_cents=line.price_cents,
                    description=line.description,
                )
            )
    if wanted:
        most = line.quantity - wanted
        problems.append(
            Problem(f"{field}.quantity", f"{line.quantity} is more than the {most} that are left.")
        )
    return rows
