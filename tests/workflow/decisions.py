"""Everything that automatic steps can come to: deciders and readers run over all their inputs."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from oms.orders.locks import LockedOrder
from oms.orders.models import Item, Package, Payment
from oms.orders.statuses import Flow, Status
from workflow.connectors.answers import RESULTS
from workflow.connectors.protocol import Answered, Call
from workflow.outside import CallFacts, Verdict, build_call, interpret
from workflow.steps import CONNECTOR_OF_STEP, Decision, SellerRules, Step, decide
from workflow.work import ClaimedItem

AT = datetime(2026, 1, 2, tzinfo=UTC)
VALUE_CENTS = 1000
STATUSES_BEFORE_REQUEST = (
    "",
    Status.READY_FOR_HANDLING,
    Status.HANDLING,
    Status.READY_FOR_INVOICING,
)
PACKAGE_PK = 7


def locked_order(flow: Flow, status: Status, **given: Any) -> LockedOrder:
    facts: dict[str, Any] = {
        "pk": 1,
        "order_id": "TST-1-01",
        "version": 3,
        "status_since": AT,
        "last_change_at": AT,
        "value_cents": VALUE_CENTS,
        "currency": "BRL",
        "seller_id": "1",
        "delivery_channel": "delivery",
        "priority": 10,
        "authorized_at": None,
        "is_complete": True,
        "invoiced_cents": 0,
        "status_before_request": "",
        "read_at": AT,
    }
    return LockedOrder(flow=flow, status=status, **(facts | given))


def inside_decisions(flow: Flow, status: Status, step: Step) -> Iterator[Decision]:
    """This function will run a decider over every combination of what it may look at."""
    for authorized_at, invoiced, before, value, has_warehouse in itertools.product(
        (None, AT),
        (0, VALUE_CENTS - 1, VALUE_CENTS),
        STATUSES_BEFORE_REQUEST,
        (VALUE_CENTS, VALUE_CENTS * 1_000),
        (False, True),
    ):
        order = locked_order(
            flow,
            status,
            authorized_at=authorized_at,
            invoiced_cents=invoiced,
            status_before_request=before,
            value_cents=value,
        )
        yield decide(step, order, SellerRules(timedelta(minutes=30), has_warehouse))


def outside_verdicts(flow: Flow, step: Step) -> Iterator[Verdict]:
    """This function will read every answer that a service may give to the calls of a step."""
    item = ClaimedItem(1, 1, PACKAGE_PK, step, 1, 1, 10)
    for facts in all_facts(flow):
        call = build_call(item, facts)
        if isinstance(call, Verdict):
            yield call
            continue
        for body in answers(call):
            yield interpret(item, facts, Answered(body))


def answers(call: Call) -> Iterator[dict[str, Any]]:
    if call.operation == "tracking":
        for delivered in (False, True):
            yield {"trackingNumber": "T1", "delivered": delivered, "events": []}
        return
    for result, fields in RESULTS[call.operation].items():
        yield {"result": result} | dict.fromkeys(fields, "some-id")


def all_facts(flow: Flow) -> Iterator[CallFacts]:
    part, rest = _package(1, VALUE_CENTS // 2), _package(PACKAGE_PK, VALUE_CENTS // 2)
    settled = _package(1, VALUE_CENTS, is_settled=True)
    packages_of_orders: tuple[tuple[Package, ...], ...] = ((), (part,), (part, rest), (settled,))
    for payment_status, packages in itertools.product(("pending", "approved"), packages_of_orders):
        yield CallFacts(
            order_id="TST-1-01",
            flow=flow,
            value_cents=VALUE_CENTS,
            currency="BRL",
            items=(Item(unique_id="A", sku_id="18", seller_id="1", quantity=1),),
            payments=(Payment(payment_id="P", value_cents=VALUE_CENTS, status=payment_status),),
            packages=packages,
            read_at=AT,
        )


def _package(pk: int, value_cents: int, *, is_settled: bool = False) -> Package:
    return Package(
        pk=pk,
        type="Output",
        invoice_number=f"N{pk}",
        invoice_value_cents=value_cents,
        tracking_number="T1",
        is_settled=is_settled,
        created_at=AT,
    )


def is_outside(step: Step) -> bool:
    return step in CONNECTOR_OF_STEP
