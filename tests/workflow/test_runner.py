"""The runner with the real sandbox over HTTP: four flows to their ends, faults, fences, urgency."""

from datetime import timedelta

import pytest
import requests
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from oms.ops.models import Heartbeat
from oms.orders.models import Order, TrackingEvent
from oms.orders.statuses import FINAL_STATUSES, Flow, Priority, Status
from tests.workflow.sandboxes import ThreadedSandbox
from tests.workflow.stories import (
    assert_legal_history,
    item_of,
    kinds_of,
    last_event,
    let_time_pass,
    order_of,
    payment_of,
    place,
    place_in,
    record,
    status_of,
    steps_of,
)
from workflow.connectors.breaker import FAILURES_TO_OPEN
from workflow.models import ConnectorState, WorkItem
from workflow.runner import ACTOR, Tally, run_due, run_once
from workflow.selectors import orders_in_error
from workflow.services.authorization import authorize_fulfillment
from workflow.services.cancellation import cancel_order
from workflow.services.handling import start_handling
from workflow.services.tracking import Shipment
from workflow.steps import Step
from workflow.work import NewWorkItem, add_work_items, claim_items

pytestmark = pytest.mark.django_db

WINDOW = timedelta(minutes=30)


def run_again(order_id: str) -> None:
    """This function will let everything that waits for a retry come due, and run it."""
    order = order_of(order_id)
    soon = order.last_change_at + timedelta(minutes=2)
    waiting = WorkItem.objects.filter(order=order, parked_at=None, due_at__lte=soon)
    waiting.update(next_attempt_at=order.created_at)
    run_due()


def operations(sandbox: ThreadedSandbox, order_id: str) -> list[tuple[str, str]]:
    effects = sandbox.effects(order_id)["effects"]
    return [(effect["operation"], effect["result"]) for effect in effects]


# To the end


def test_a_complete_order_comes_to_its_end(sandbox: ThreadedSandbox) -> None:
    order_id = place()
    run_due()
    assert status_of(order_id) == Status.WINDOW_TO_CANCEL
    let_time_pass(order_id, WINDOW)
    run_due()
    assert status_of(order_id) == Status.READY_FOR_HANDLING
    start_handling(order_id=order_id, actor="key:erp")
    run_due()
    assert status_of(order_id) == Status.HANDLING
    record(order_id, shipment=Shipment(tracking_number="BKSRN000000001"))
    run_due()
    assert status_of(order_id) == Status.INVOICED
    assert operations(sandbox, order_id) == [
        ("reservation", "reserved"),
        ("authorization", "approved"),
        ("analysis", "approved"),
        ("confirmation", "confirmed"),
        ("withdrawal", "withdrawn"),
        ("capture", "captured"),
    ]
    assert kinds_of(order_id)[:9] == [
        "order.placed",
        "order.completed",
        "order.seller-asked",
        "order.seller-confirmed",
        "order.payment-authorized",
        "order.payment-approved",
        "order.fulfillment-authorized",
        "order.stock-confirmed",
        "order.window-to-cancel-closed",
    ]
    assert last_event(order_id).actor == ACTOR
    assert TrackingEvent.objects.exists()
    assert steps_of(order_id) == {Step.FOLLOW_TRACKING}
    assert_legal_history(order_id)


def test_a_marketplace_order_comes_to_its_end(sandbox: ThreadedSandbox) -> None:
    order_id = place(Flow.MARKETPLACE)
    run_due()
    assert status_of(order_id) == Status.WAITING_SELLER_HANDLING
    record(order_id)
    run_due()
    assert status_of(order_id) == Status.INVOICED
    assert [name for name, _ in operations(sandbox, order_id)] == [
        "reservation",
        "authorization",
        "analysis",
        "capture",
    ]
    assert_legal_history(order_id)


def test_a_fulfillment_order_comes_to_its_end(sandbox: ThreadedSandbox) -> None:
    order_id = place(Flow.FULFILLMENT)
    run_due()
    assert status_of(order_id) == Status.WAITING_FFMT_AUTHORIZATION
    authorize_fulfillment(order_id=order_id, actor="key:marketplace")
    run_due()
    let_time_pass(order_id, WINDOW)
    run_due()
    start_handling(order_id=order_id, actor="key:erp")
    run_due()
    record(order_id)
    run_due()
    assert status_of(order_id) == Status.INVOICED
    assert [name for name, _ in operations(sandbox, order_id)] == [
        "reservation",
        "confirmation",
        "withdrawal",
    ]
    assert_legal_history(order_id)


def test_a_chain_order_comes_to_its_end(sandbox: ThreadedSandbox) -> None:
    order_id = place(Flow.CHAIN)
    run_due()
    authorize_fulfillment(order_id=order_id, actor="key:marketplace")
    run_due()
    assert status_of(order_id) == Status.WAITING_SELLER_HANDLING
    record(order_id)
    run_due()
    assert status_of(order_id) == Status.INVOICED
    assert [name for name, _ in operations(sandbox, order_id)] == ["reservation"]
    assert_legal_history(order_id)


@pytest.mark.parametrize("flow", list(Flow))
def test_an_order_without_stock_is_canceled_and_holds_nothing(
    sandbox: ThreadedSandbox, flow: Flow
) -> None:
    order_id = place(flow)
    sandbox.force_outcome(order_id, "reservation", "refused")
    run_due()
    order = order_of(order_id)
    assert (order.status, order.cancel_reason) == (Status.CANCELED, "Out of stock.")
    assert steps_of(order_id) == set()
    missing = order.items.values_list("unique_id", flat=True)
    event = next(e for e in order.events.all() if e.kind == "order.cancellation-started")
    assert event.data == {"missing": list(missing)}


def test_a_canceled_order_gives_money_and_goods_back(sandbox: ThreadedSandbox) -> None:
    order_id = place()
    run_due()
    cancel_order(order_id=order_id, reason="r", actor="key:shop")
    run_due()
    assert status_of(order_id) == Status.CANCELED
    assert operations(sandbox, order_id)[-2:] == [("void", "voided"), ("release", "released")]
    assert payment_of(order_id).status == "voided"


# Faults


@pytest.mark.parametrize("mode", ["error", "throttle", "malformed", "drop"])
def test_a_failing_service_is_tried_again_later_and_harms_nothing(
    sandbox: ThreadedSandbox, mode: str
) -> None:
    order_id = place()
    sandbox.set_fault(mode, connector="payments", seconds=7)
    run_due()
    item = item_of(order_id, Step.AUTHORIZE_PAYMENT)
    assert status_of(order_id) == Status.PAYMENT_PENDING
    assert (item.attempts, item.leased_until, item.parked_at) == (1, None, None)
    assert item.last_error != ""
    delay = item.next_attempt_at - order_of(order_id).last_change_at
    assert delay > timedelta(seconds=6.5 if mode == "throttle" else 0.9)
    sandbox.clear_faults()
    run_again(order_id)
    assert status_of(order_id) == Status.WINDOW_TO_CANCEL
    assert sandbox.effects()["doubled"] == []


def test_a_hanging_service_costs_its_time_limit_and_no_more(
    sandbox: ThreadedSandbox, settings: Settings
) -> None:
    settings.CONNECTOR_TIMEOUT_SECONDS = 0.3
    order_id = place()
    sandbox.set_fault("hang", connector="stock")
    run_due(seconds=1)
    assert item_of(order_id, Step.RESERVE_STOCK).attempts == 1


def test_the_last_failure_parks_the_step_with_its_cause(
    sandbox: ThreadedSandbox, settings: Settings
) -> None:
    settings.WORK_MAX_ATTEMPTS = 3
    order_id = place()
    sandbox.set_fault("error", connector="stock")
    for _ in range(3):
        run_again(order_id)
        ConnectorState.objects.all().delete()
    item = item_of(order_id, Step.RESERVE_STOCK)
    assert (item.attempts, item.cause) == (3, "reserve-stock: HTTP 500")
    assert (item.last_error, item.leased_by) == ("Failed 3 times.", "")
    event = last_event(order_id)
    assert (event.kind, event.status) == ("work.parked", Status.WAITING_FOR_AUTHORIZATION)
    assert orders_in_error([order_of(order_id).pk]) == {order_of(order_id).pk}
    run_again(order_id)
    assert last_event(order_id).seq == event.seq


def test_a_refusal_parks_at_once_and_does_not_open_the_breaker(sandbox: ThreadedSandbox) -> None:
    orders = [place() for _ in range(6)]
    sandbox.set_fault("refuse", connector="stock")
    run_due()
    causes = {item_of(order_id, Step.RESERVE_STOCK).cause for order_id in orders}
    assert causes == {"reserve-stock refused: sandbox-refusal"}
    assert not ConnectorState.objects.filter(opened_until__isnull=False).exists()


def test_a_pending_answer_is_asked_for_again_and_counts_as_no_failure(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place()
    sandbox.force_outcome(order_id, "analysis", "pending", times=1)
    run_due()
    item = item_of(order_id, Step.CHECK_FRAUD)
    assert (item.attempts, item.last_error) == (0, "")
    assert item.next_attempt_at > order_of(order_id).last_change_at + timedelta(seconds=15)
    sandbox.force_outcome(order_id, "analysis", "approved")
    run_again(order_id)
    assert status_of(order_id) == Status.WINDOW_TO_CANCEL


def test_an_open_breaker_leaves_items_unclaimed_and_uncounted(sandbox: ThreadedSandbox) -> None:
    sandbox.set_fault("error", connector="stock")
    first = [place() for _ in range(5)]
    run_due()
    assert ConnectorState.objects.get(name="stock").opened_until is not None
    later = place()
    with_answers = place_in(Status.PAYMENT_PENDING)
    run_due()
    item = item_of(later, Step.RESERVE_STOCK)
    assert (item.attempts, item.fence, item.last_error) == (0, 0, "")
    assert status_of(with_answers) == Status.AUTHORIZE_FULFILLMENT
    sandbox.clear_faults()
    ConnectorState.objects.update(opened_until=order_of(later).created_at)
    for order_id in (*first, later):
        run_again(order_id)
    assert {status_of(order_id) for order_id in (*first, later)} == {Status.WINDOW_TO_CANCEL}


def test_a_half_open_breaker_lets_one_call_through(sandbox: ThreadedSandbox) -> None:
    orders = [place_in(Status.WAITING_FOR_AUTHORIZATION) for _ in range(5)]
    sandbox.set_fault("error", connector="stock")
    at = order_of(orders[0]).created_at
    ConnectorState.objects.create(name="stock", consecutive_failures=5, opened_until=at)
    run_due()
    tried = WorkItem.objects.filter(step=Step.RESERVE_STOCK, fence__gt=0)
    assert tried.count() == 1


# One bad order


def test_an_order_whose_step_breaks_does_not_stop_its_batch() -> None:
    good, broken, illegal = place(), place(), place_in(Status.HANDLING)
    WorkItem.objects.filter(order__order_id=broken).update(step=Step.RESERVE_STOCK)
    add_work_items(
        [
            NewWorkItem(
                order_pk=order_of(illegal).pk,
                step=Step.VERIFY_INVOICE,
                priority=Priority.NORMAL,
                due_at=order_of(illegal).created_at,
            )
        ]
    )
    tally = Tally()
    run_once(tally)
    assert status_of(good) == Status.ON_ORDER_COMPLETED
    assert (status_of(broken), status_of(illegal)) == (Status.ORDER_CREATED, Status.HANDLING)
    assert (tally.moved, tally.parked) == (1, 2)
    assert item_of(broken, Step.RESERVE_STOCK).cause == "reserve-stock broke"
    assert item_of(illegal, Step.VERIFY_INVOICE).cause == "refused by the table"
    assert last_event(broken).data == {"step": "reserve-stock", "cause": "reserve-stock broke"}
    for order_id in (good, broken, illegal):
        assert_legal_history(order_id)


def test_an_item_that_makes_no_call_does_not_stop_its_batch(sandbox: ThreadedSandbox) -> None:
    good, broken = (place_in(Status.WAITING_FOR_AUTHORIZATION) for _ in range(2))
    items = WorkItem.objects.filter(order__order_id=broken, connector="stock")
    items.update(step=Step.COMPLETE_ORDER)
    run_once(Tally())
    assert status_of(good) == Status.PAYMENT_PENDING
    item = item_of(broken, Step.COMPLETE_ORDER)
    assert (item.cause, item.last_error) == ("complete-order broke", "KeyError: see the log.")


def test_a_step_that_kills_its_workers_is_parked_at_last(
    sandbox: ThreadedSandbox, settings: Settings
) -> None:
    settings.WORK_MAX_ATTEMPTS = 2
    order_id = place_in(Status.PAYMENT_PENDING)
    for _ in range(2):
        claimed = claim_items(connector="payments", limit=1, lease=timedelta(0), worker="dies")
        assert len(claimed) == 1
    run_due()
    item = item_of(order_id, Step.AUTHORIZE_PAYMENT)
    assert item.cause == "authorize-payment refused: worker lost"
    assert "authorization" not in dict(operations(sandbox, order_id))


# Urgency and measure


def test_express_and_pickup_orders_overtake(sandbox: ThreadedSandbox, settings: Settings) -> None:
    settings.CONNECTOR_CALLS_AT_ONCE = 2
    normal = [place_in(Status.WAITING_FOR_AUTHORIZATION) for _ in range(4)]
    urgent = [
        place_in(Status.WAITING_FOR_AUTHORIZATION, is_express=True),
        place_in(Status.WAITING_FOR_AUTHORIZATION, delivery_channel="pickup-in-point"),
    ]
    run_once(Tally())
    assert {status_of(order_id) for order_id in normal} == {Status.WAITING_FOR_AUTHORIZATION}
    assert Status.WAITING_FOR_AUTHORIZATION not in {status_of(order_id) for order_id in urgent}


def test_a_hundred_orders_cost_as_many_statements_as_one_for_an_inside_step() -> None:
    def statements(count: int) -> int:
        for _ in range(count):
            place()
        with CaptureQueriesContext(connection) as queries:
            run_once(Tally())
        WorkItem.objects.all().delete()
        return len(queries)

    statements(1)
    assert statements(100) == statements(1)


def test_work_done_is_reported() -> None:
    place()
    run_once(Tally())
    beat = Heartbeat.objects.get(role="workflow")
    assert (beat.work_done, beat.worked_at is not None) == (1, True)


def test_every_order_of_a_mixed_hundred_comes_to_rest(sandbox: ThreadedSandbox) -> None:
    orders = [place(flow) for flow in Flow for _ in range(25)]
    run_due(seconds=60)
    resting = {
        Flow.COMPLETE: Status.WINDOW_TO_CANCEL,
        Flow.MARKETPLACE: Status.WAITING_SELLER_HANDLING,
        Flow.FULFILLMENT: Status.WAITING_FFMT_AUTHORIZATION,
        Flow.CHAIN: Status.WAITING_FOR_MKT_AUTHORIZATION,
    }
    reached = dict(Order.objects.values_list("order_id", "status"))
    assert {order_id: resting[Flow(order_of(order_id).flow)] for order_id in orders} == reached
    assert not set(reached.values()) & FINAL_STATUSES
    assert sandbox.effects()["doubled"] == []


def test_parcels_that_the_carrier_does_not_know_open_no_breaker(sandbox: ThreadedSandbox) -> None:
    for number in range(FAILURES_TO_OPEN + 1):
        told = {"trackingNumber": f"X{number}", "known": False}
        requests.post(f"{sandbox.url}/control/trackings", json=told, timeout=5).raise_for_status()
        record(place_in(Status.HANDLING), shipment=Shipment(tracking_number=f"X{number}"))
    run_due()
    asked = WorkItem.objects.filter(step=Step.FOLLOW_TRACKING, attempts=0, fence__gt=0)
    assert asked.count() == FAILURES_TO_OPEN + 1
    assert not ConnectorState.objects.filter(name="carrier").exists()


# Old and new code side by side


def test_an_order_in_a_status_of_newer_code_is_left_to_it_and_holds_up_nobody(
    sandbox: ThreadedSandbox,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orders_order DROP CONSTRAINT order_status_is_known")
    newer, other = place(), place()
    Order.objects.filter(order_id=newer).update(status="being-gift-wrapped")
    run_due()
    assert (kinds_of(newer), status_of(other)) == (["order.placed"], Status.WINDOW_TO_CANCEL)
    assert item_of(newer, Step.COMPLETE_ORDER).parked_at is None
