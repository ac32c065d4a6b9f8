"""Orders on their way: placed, moved along the table, looked at, let to grow old. For any test."""

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F
from django_q.models import OrmQ

from oms.orders.locks import lock_order
from oms.orders.models import InvoiceType, Order, OrderEvent, Package, Payment
from oms.orders.statuses import Flow, Status
from tests.factories import order_draft
from workflow.flows import INITIAL_STATUS, TABLES, Action
from workflow.models import WorkItem
from workflow.moves import Change, write_change
from workflow.services.invoicing import Invoice, InvoicedLine, Receipt, record_invoice
from workflow.services.placing import place_drafts

ACTOR = "user:test"
ISSUED = datetime(2026, 1, 31, 12, tzinfo=UTC)


def place(flow: Flow = Flow.COMPLETE, **given: Any) -> str:
    """This function will place one order and return its id."""
    draft = order_draft(flow, **given)
    place_drafts([draft], actor=ACTOR)
    return draft.order_id


def place_in(status: Status, flow: Flow = Flow.COMPLETE, **given: Any) -> str:
    """This function will place an order and move it along the table's shortest way to a status."""
    order_id = place(flow, **given)
    move_to(order_id, status)
    return order_id


def move_to(order_id: str, status: Status) -> None:
    """This function will move an order along the shortest way that its table knows."""
    order = Order.objects.get(order_id=order_id)
    for action in path(Flow(order.flow), Status(order.status), status):
        move(order_id, action)


@transaction.atomic
def move(order_id: str, action: Action) -> None:
    """This function will move an order by one row of its table."""
    write_change(Change(order=lock_order(order_id), actor=ACTOR, action=action))


def path(flow: Flow, start: Status, goal: Status) -> list[Action]:
    """This function will find the shortest way from one status of a flow to another."""
    ways: deque[tuple[Status, list[Action]]] = deque([(start, [])])
    seen = {start}
    while ways:
        status, actions = ways.popleft()
        if status is goal:
            return actions
        for (origin, action), reached in TABLES[flow].items():
            if origin is status and reached not in seen:
                seen.add(reached)
                ways.append((reached, [*actions, action]))
    raise AssertionError(f"{flow}: no way from {start} to {goal}")


def statuses_of(flow: Flow) -> list[Status]:
    """This function will list the statuses of a flow in the order of its table."""
    return list(dict.fromkeys([INITIAL_STATUS[flow], *TABLES[flow].values()]))


@dataclass(frozen=True)
class Facts:
    """Everything about an order that a refusal must leave as it was."""

    row: dict[str, Any]
    events: list[tuple[int, str]]
    work: list[dict[str, Any]]
    payments: list[tuple[str, str, int]]
    packages: list[dict[str, Any]]
    requests: list[tuple[Any, ...]]
    queued: int


def facts_of(order_id: str) -> Facts:
    order = Order.objects.get(order_id=order_id)
    payments = Payment.objects.filter(order=order).order_by("index")
    return Facts(
        row=dict(Order.objects.filter(pk=order.pk).values().get()),
        events=list(order.events.order_by("seq").values_list("seq", "kind")),
        work=[dict(row) for row in WorkItem.objects.filter(order=order).order_by("pk").values()],
        payments=list(payments.values_list("payment_id", "status", "captured_cents")),
        packages=[
            dict(row) for row in Package.objects.filter(order=order).order_by("pk").values()
        ],
        requests=list(order.cancellation_requests.order_by("pk").values_list()),
        queued=OrmQ.objects.count(),
    )


@contextmanager
def refused(order_id: str, error: type[Exception], match: str | None = None) -> Iterator[None]:
    """This context will expect a refusal after which nothing at all has changed."""
    before = facts_of(order_id)
    with pytest.raises(error, match=match):
        yield
    assert facts_of(order_id) == before


@contextmanager
def nothing_changes(order_id: str) -> Iterator[None]:
    before = facts_of(order_id)
    yield
    assert facts_of(order_id) == before


def order_of(order_id: str) -> Order:
    return Order.objects.get(order_id=order_id)


def status_of(order_id: str) -> Status:
    return Status(Order.objects.values_list("status", flat=True).get(order_id=order_id))


def steps_of(order_id: str) -> set[str]:
    """This function will name the open steps of an order."""
    return set(WorkItem.objects.filter(order__order_id=order_id).values_list("step", flat=True))


def item_of(order_id: str, step: str) -> WorkItem:
    return WorkItem.objects.get(order__order_id=order_id, step=step)


def events_of(order_id: str) -> list[OrderEvent]:
    return list(OrderEvent.objects.filter(order__order_id=order_id).order_by("seq"))


def kinds_of(order_id: str) -> list[str]:
    return [event.kind for event in events_of(order_id)]


def last_event(order_id: str) -> OrderEvent:
    return events_of(order_id)[-1]


def payment_of(order_id: str) -> Payment:
    return Payment.objects.get(order__order_id=order_id)


def let_time_pass(order_id: str, by: timedelta) -> None:
    """This function will make an order and its work as old as if `by` had gone by."""
    work = WorkItem.objects.filter(order__order_id=order_id)
    work.update(
        due_at=F("due_at") - by,
        next_attempt_at=F("next_attempt_at") - by,
        leased_until=F("leased_until") - by,
    )
    Order.objects.filter(order_id=order_id).update(status_since=F("status_since") - by)


def invoice(
    number: str = "NF-1",
    value_cents: int = 1000,
    lines: Sequence[InvoicedLine] = (),
    type_: InvoiceType = InvoiceType.OUTPUT,
    **given: Any,
) -> Invoice:
    return Invoice(
        type=type_, number=number, value_cents=value_cents, issued_at=ISSUED, lines=lines, **given
    )


def record(order_id: str, number: str = "NF-1", value_cents: int = 1000, **given: Any) -> Receipt:
    """This function will record an invoice as an ERP would."""
    return record_invoice(
        order_id=order_id, invoice=invoice(number, value_cents, **given), actor="key:erp"
    )


def assert_legal_history(order_id: str) -> None:
    """This function will check that a timeline is one path of the flow's table, without a gap."""
    events = events_of(order_id)
    order = order_of(order_id)
    table = TABLES[Flow(order.flow)]
    steps = {(origin, reached) for (origin, _), reached in table.items()}
    assert [event.seq for event in events] == list(range(1, order.version + 1))
    assert events[0].last_status == Status.NULL
    for before, event in itertools.pairwise(events):
        assert event.last_status == before.status
        assert event.last_change_at == before.occurred_at
        assert event.occurred_at >= before.occurred_at
        if event.status != event.last_status:
            assert (event.last_status, event.status) in steps, f"{order_id}: {event.kind}"
    assert (events[-1].status, events[-1].occurred_at) == (order.status, order.last_change_at)
