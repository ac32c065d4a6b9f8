"""The nightly check finds what was changed without an event, and nothing else."""

import logging
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from oms.ops.models import AuditEntry, Heartbeat
from oms.orders.checks import (
    CHECK_LOCK,
    CheckIsRunning,
    check_timelines,
    find_drift,
    resolve_drift,
)
from oms.orders.ledger import NewEvent, record_events
from oms.orders.locks import lock_orders
from oms.orders.models import Drift, InvoiceType, Item, Order, TimelineCheck
from oms.orders.statuses import Flow, Status
from oms.orders.tasks import CHECK_TASK, check_timelines_in_slices
from tests.concurrency.sessions import Session, execute, query
from tests.factories import order_draft
from workflow.flows import Action
from workflow.moves import Change, write_change
from workflow.services.cancellation import cancel_order
from workflow.services.handling import start_handling
from workflow.services.invoicing import Invoice, record_invoice
from workflow.services.payment import approve_payment
from workflow.services.placing import place_drafts
from workflow.services.repair import force_status
from workflow.services.tracking import Shipment, update_shipment, update_tracking

ACTOR = "user:test"
pytestmark = pytest.mark.django_db


def place(count: int = 1, flow: Flow = Flow.COMPLETE) -> list[Order]:
    pks = place_drafts([order_draft(flow) for _ in range(count)], actor=ACTOR)
    return list(Order.objects.filter(pk__in=pks).order_by("pk"))


def move(order: Order, action: Action) -> None:
    with transaction.atomic():
        locked = lock_orders([order.pk])[order.pk]
        write_change(Change(order=locked, actor=ACTOR, action=action))


def invoiced_order() -> Order:
    """This function will bring an order by services from placing to an invoice with tracking."""
    (order,) = place()
    force_status(
        order_id=order.order_id, status=Status.READY_FOR_HANDLING, reason="test", actor=ACTOR
    )
    start_handling(order_id=order.order_id, actor=ACTOR)
    move(order, Action.ACKNOWLEDGE_HANDLING)
    invoice = Invoice(
        type=InvoiceType.OUTPUT, number="N1", value_cents=1000, issued_at=order.created_at
    )
    record_invoice(order_id=order.order_id, invoice=invoice, actor=ACTOR)
    update_shipment(
        order_id=order.order_id,
        invoice_number="N1",
        shipment=Shipment(tracking_number="T1", courier="Post"),
        actor=ACTOR,
    )
    return order


def differences() -> list[tuple[int, str]]:
    return [(drift.order_id, drift.what) for drift in find_drift()]


def test_what_services_did_is_no_drift() -> None:
    invoiced = invoiced_order()
    update_tracking(
        order_id=invoiced.order_id,
        invoice_number="N1",
        is_delivered=True,
        delivered_at=None,
        events=[],
        actor=ACTOR,
    )
    early, canceled = place(2)
    approve_payment(
        order_id=early.order_id, payment_id=early.payments.get().payment_id, actor=ACTOR
    )
    move(canceled, Action.COMPLETE_ORDER)
    move(canceled, Action.ASK_SELLER)
    cancel_order(order_id=canceled.order_id, reason="Changed my mind", actor=ACTOR)
    place(1, Flow.FULFILLMENT)
    assert differences() == []


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE orders_order SET value_cents = value_cents + 1 WHERE id = %s", "row"),
        ("UPDATE orders_order SET cancel_reason = 'x' WHERE id = %s", "row"),
        ("UPDATE orders_order SET authorized_at = now() WHERE id = %s", "row"),
        ("UPDATE orders_order SET shipping_estimate_at = now() WHERE id = %s", "row"),
        ("UPDATE orders_order SET seller_name = 'x' WHERE id = %s", "row"),
        ("UPDATE orders_order SET status = 'canceled' WHERE id = %s", "status"),
        ("UPDATE orders_order SET version = version + 1 WHERE id = %s", "version"),
        ("UPDATE orders_order SET extra = '{\"a\": 1}' WHERE id = %s", "parts"),
        ("UPDATE orders_item SET quantity = 2 WHERE order_id = %s", "parts"),
        ("DELETE FROM orders_item WHERE order_id = %s", "parts"),
        ("UPDATE orders_payment SET status = 'approved' WHERE order_id = %s", "parts"),
        ("UPDATE orders_clientprofile SET email = 'b@example.com' WHERE order_id = %s", "parts"),
        ("UPDATE orders_package SET tracking_number = 'T2' WHERE order_id = %s", "parts"),
        ("UPDATE orders_package SET is_delivered = true WHERE order_id = %s", "parts"),
        ("UPDATE orders_package SET issued_at = now() WHERE order_id = %s", "parts"),
        ("UPDATE orders_payment SET transaction_id = 'x' WHERE order_id = %s", "parts"),
        ("UPDATE orders_clientprofile SET corporate_name = 'x' WHERE order_id = %s", "parts"),
    ],
)
def test_a_change_by_sql_is_found(statement: str, what: str) -> None:
    place()
    order = invoiced_order()
    place()
    execute(statement, order.pk)
    assert differences() == [(order.pk, what)]


def test_a_missing_event_is_found() -> None:
    (order,) = place()
    execute("UPDATE orders_order SET version = version + 2 WHERE id = %s", order.pk)
    order.refresh_from_db()
    record_events([event_of(order)])
    (drift,) = find_drift()
    assert (drift.what, drift.expected, drift.found) == ("events", "3", "2")


def test_an_order_without_any_event_is_found() -> None:
    (order,) = place()
    copy = Order.objects.get(pk=order.pk)
    copy.pk, copy.order_id, copy.sequence, copy.is_imported = None, "X-1", -1, True
    copy.save()
    assert differences() == [(copy.pk, "version")]


def event_of(order: Order) -> NewEvent:
    return NewEvent(
        order_pk=order.pk,
        seq=order.version,
        kind="test.written",
        actor=ACTOR,
        status=order.status,
        last_status=order.status,
        occurred_at=order.last_change_at,
        last_change_at=None,
    )


def test_drift_is_found_in_whatever_batches_and_behind_a_given_order() -> None:
    orders = place(7)
    execute("UPDATE orders_order SET value_cents = 1 WHERE id = %s", orders[2].pk)
    execute("UPDATE orders_order SET value_cents = 1 WHERE id = %s", orders[6].pk)
    for batch in (1, 2, 3, 7, 100):
        assert [d.order_id for d in find_drift(batch=batch)] == [orders[2].pk, orders[6].pk]
    assert [d.order_id for d in find_drift(after=orders[2].pk)] == [orders[6].pk]


# The check as a run


def test_a_finding_is_kept_once_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    orders = place(3)
    execute("UPDATE orders_order SET status = 'canceled' WHERE id = %s", orders[1].pk)
    with caplog.at_level(logging.ERROR, "oms.orders.checks"):
        check = check_timelines()
    assert (check.state, check.order_count, check.drift_count) == ("finished", 3, 1)
    assert check_timelines().drift_count == 1
    drift = Drift.objects.get()
    assert (drift.order, drift.what) == (orders[1], "status")
    assert (drift.expected, drift.found) == ("order-created", "canceled")
    assert "timeline.drift" in caplog.text
    assert orders[1].order_id in caplog.text


def test_a_check_leaves_an_audit_entry_and_heartbeats() -> None:
    place(3)
    check = check_timelines(batch=2)
    entry = AuditEntry.objects.get(action="timelines.checked")
    assert entry.object_id == str(check.pk)
    assert entry.details == {"state": "finished", "orders": 3, "drifts": 0}
    assert Heartbeat.objects.get(role="backoffice").work_done == 3


def test_progress_is_told_after_each_batch() -> None:
    place(5)
    told: list[int] = []
    check_timelines(told.append, batch=2)
    assert told == [2, 2, 1]


def test_an_interrupted_check_goes_on_where_it_stopped() -> None:
    place(5)

    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_timelines(interrupt, batch=2)
    told: list[int] = []
    check = check_timelines(told.append, batch=2)
    assert (told, check.order_count, check.state) == ([2, 1], 5, "finished")
    assert TimelineCheck.objects.count() == 1


def test_a_check_left_long_ago_begins_anew() -> None:
    place(2)
    old = TimelineCheck.objects.create(position=10**9)
    execute("UPDATE orders_timelinecheck SET started_at = now() - interval '21 hours'")
    assert check_timelines().order_count == 2
    old.refresh_from_db()
    assert old.state == "abandoned"


def test_too_many_findings_stop_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    place(6)
    execute("UPDATE orders_order SET value_cents = 1")
    monkeypatch.setattr("oms.orders.checks.MOST_FINDINGS", 3)
    check = check_timelines(batch=2)
    assert (check.state, check.order_count, Drift.objects.count()) == ("stopped", 4, 4)


def test_a_slice_that_ran_out_of_time_queues_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    place(3)
    monkeypatch.setattr("oms.orders.tasks.SLICE_SECONDS", 0.0)
    check_timelines_in_slices()
    assert TimelineCheck.objects.get().state == "running"
    assert query("SELECT count(*) FROM django_q_ormq WHERE key = 'backoffice'") == [(1,)]
    monkeypatch.undo()
    check_timelines_in_slices()
    assert TimelineCheck.objects.get().state == "finished"
    assert CHECK_TASK.endswith(check_timelines_in_slices.__name__)


def test_only_one_check_runs_at_a_time() -> None:
    other = Session()
    other.call(query, "SELECT pg_advisory_lock(%s)", CHECK_LOCK)
    try:
        with pytest.raises(CheckIsRunning):
            check_timelines()
        check_timelines_in_slices()
        other.call(query, "SELECT pg_advisory_unlock(%s)", CHECK_LOCK)
    finally:
        other.close()
    assert not TimelineCheck.objects.exists()
    assert check_timelines().state == "finished"


def test_the_command_fails_where_there_is_drift(capsys: Any) -> None:
    orders = place(2)
    call_command("check_timelines")
    assert capsys.readouterr().out == "2 orders checked, no findings.\n"
    execute("UPDATE orders_order SET value_cents = 1 WHERE id = %s", orders[0].pk)
    with pytest.raises(CommandError, match="2 orders checked, 1 findings") as failure:
        call_command("check_timelines")
    assert failure.value.returncode == 1


def test_a_resolved_finding_is_opened_again_while_the_rows_differ() -> None:
    (order,) = place()
    execute("UPDATE orders_order SET value_cents = 1 WHERE id = %s", order.pk)
    check_timelines()
    resolve_drift(drift_pk=Drift.objects.get().pk, actor=ACTOR, reason="Corrected by hand")
    assert AuditEntry.objects.get(action="drift.resolved").reason == "Corrected by hand"
    check_timelines()
    assert sorted(drift.resolved_at is None for drift in Drift.objects.all()) == [False, True]


def test_a_finding_is_open_once_per_order_and_kind() -> None:
    (order,) = place()
    facts = {"order": order, "what": "row", "expected": "1", "found": "2"}
    Drift.objects.create(**facts)
    with (
        pytest.raises(IntegrityError, match="drift_open_once_per_order_and_kind"),
        transaction.atomic(),
    ):
        Drift.objects.create(**facts)


@pytest.mark.django_db(transaction=True)
def test_changes_that_commit_meanwhile_are_no_drift() -> None:
    orders = place(20)
    writer = Session()
    try:
        running = writer.start(change_all, [order.pk for order in orders], 60)
        compared = 0
        while not running.done():
            assert differences() == []
            compared += 1
        assert running.result() == 60
        assert compared > 5
    finally:
        writer.close()


def change_all(pks: list[int], times: int) -> int:
    """This function will change row, item and timeline of every order, again and again."""
    for number in range(times):
        with transaction.atomic():
            orders = lock_orders(pks)
            Item.objects.filter(order_id__in=pks).update(quantity=number + 1)
            for order in orders.values():
                write_change(
                    Change(order=order, actor=ACTOR, kind="test.changed", parts_changed=True)
                )
    return times
