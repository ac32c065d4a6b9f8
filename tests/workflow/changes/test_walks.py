"""Whatever changes, invoices and answers of the gateway follow each other, the sums of an order agree."""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.models import Sum

from oms.orders.checks import find_drift
from oms.orders.documents.building import order_document
from oms.orders.documents.drafts import PaymentDraft
from oms.orders.models import Package, Payment
from oms.orders.statuses import Flow, Status
from tests.workflow.changes.bodies import ACTOR, add, body, change, handled, item, remove, swap
from tests.workflow.sandboxes import ThreadedSandbox
from tests.workflow.stories import order_of, record
from workflow.flows import TransitionNotAllowed
from workflow.runner import run_due
from workflow.sandbox.server import SandboxOptions
from workflow.services.changes import (
    ChangeInProgress,
    ChangeOver,
    NotChangeable,
    cancel_change,
    requests_of,
)
from workflow.services.refusals import InvalidInput

pytestmark = pytest.mark.django_db

STEPS = 15
BEGINNINGS = (
    (Flow.COMPLETE, Status.HANDLING),
    (Flow.COMPLETE, Status.WAITING_FOR_FULFILLMENT),
    (Flow.FULFILLMENT, Status.HANDLING),
)
REFUSALS = (InvalidInput, ChangeInProgress, ChangeOver, NotChangeable, TransitionNotAllowed)

Act = Callable[[str, random.Random, dict[str, Any]], object]


@pytest.fixture
def sandbox(settings: Any) -> Iterator[ThreadedSandbox]:
    with ThreadedSandbox(SandboxOptions(port=0, seed=1)) as running:
        settings.CONNECTORS = running.connectors
        yield running


def discounted_with_freight(flow: Flow, status: Status) -> str:
    """This function will place goods of 10.00, discounted by 1.00, with 6.00 for three deliveries."""
    freight = [{"itemIndex": index, "sellingPrice": 100 * (index + 1)} for index in range(3)]
    totals = [("Items", 1000), ("Discounts", -100), ("Shipping", 600)]
    return handled(
        flow,
        status,
        value_cents=1500,
        extra={
            "shippingData": {"logisticsInfo": freight},
            "totals": [{"id": key, "name": key, "value": value} for key, value in totals],
        },
        payments=[
            PaymentDraft(index=0, payment_id="CARD", value_cents=1000, group="creditCard"),
            PaymentDraft(index=1, payment_id="GIFT", value_cents=500, group="giftCard"),
        ],
    )


def _of(line: dict[str, Any], **given: Any) -> dict[str, Any]:
    return item(uniqueId=line["uniqueId"]) | given


def _cancel(order_id: str, *_: object) -> None:
    for request in requests_of(order_of(order_id)):
        if request.is_open:
            cancel_change(order_id=order_id, request_id=request.request_id, actor=ACTOR)


ACTS: dict[str, Act] = {
    "remove": lambda o, r, line: change(o, remove(_of(line, quantity=r.randint(1, 3)))),
    "more": lambda o, r, line: change(o, add(_of(line, id=line["id"], quantity=r.randint(1, 3)))),
    "new": lambda o, r, _: change(o, add(item(2, id=f"new{r.random()}", price=r.randint(0, 300)))),
    "quantity": lambda o, r, line: change(
        o, swap(_of(line), _of(line, id=line["id"], quantity=r.randint(1, 4)))
    ),
    "price": lambda o, r, line: change(
        o, swap(_of(line), item(r.randint(1, 3), id=line["id"], price=r.randint(0, 400)))
    ),
    "other": lambda o, r, line: change(o, swap(_of(line), item(1, id="other", price=250))),
    "weight": lambda o, r, line: change(
        o, swap(_of(line), _of(line, id=line["id"], unitMultiplier=r.choice([0.5, 1.333])))
    ),
    "discount": lambda o, r, _: change(o, body(manualDiscountValue=r.randint(1, 200))),
    "increment": lambda o, r, _: change(o, body(manualIncrementValue=r.randint(1, 200))),
    "invoice": lambda o, r, _: record(o, f"NF-{r.random()}", r.randint(1, 400)),
    "gateway": lambda *_: run_due(),
    "give up": _cancel,
}


@pytest.mark.parametrize("seed", range(12))
def test_value_totals_payments_and_invoices_agree_after_each_step(
    seed: int, sandbox: ThreadedSandbox
) -> None:
    rng = random.Random(seed)
    order_id = discounted_with_freight(*rng.choice(BEGINNINGS))
    taken = []
    for _ in range(STEPS):
        name = rng.choice(list(ACTS))
        line = rng.choice(order_document(order_of(order_id))["items"])
        with contextlib.suppress(*REFUSALS):
            ACTS[name](order_id, rng, line)
            taken.append(name)
        assert_sums_agree(order_id, taken)


def assert_sums_agree(order_id: str, taken: list[str]) -> None:
    order = order_of(order_id)
    value = order.value_cents
    payments = list(Payment.objects.filter(order=order))
    sales = Package.objects.filter(order=order, type="Output")
    invoiced = sales.aggregate(total=Sum("invoice_value_cents"))["total"] or 0
    assert sum(total["value"] for total in order_document(order)["totals"]) == value, taken
    assert sum(payment.value_cents for payment in payments) == value, taken
    assert all(0 <= payment.captured_cents <= payment.value_cents for payment in payments), taken
    assert 0 <= invoiced <= value, taken
    assert list(find_drift()) == [], taken
