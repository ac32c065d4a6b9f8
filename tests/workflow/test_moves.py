"""The only writer of status: one update, one event, the work of the new status."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from oms.orders.locks import OrderNotFound, lock_order, lock_orders
from oms.orders.models import CancellationRequest, SellerPolicy
from oms.orders.statuses import Flow, Priority, Status
from tests.workflow.stories import (
    ACTOR,
    assert_legal_history,
    events_of,
    item_of,
    last_event,
    move,
    nothing_changes,
    order_of,
    place,
    place_in,
    refused,
    statuses_of,
    steps_of,
)
from workflow.budgets import budget_ends_at
from workflow.flows import EVENT_KINDS, TABLES, Action, TransitionNotAllowed
from workflow.models import WorkItem
from workflow.moves import Change, write_change, write_changes
from workflow.policies import policies
from workflow.services.cancellation import cancel_order
from workflow.steps import UNBOUND_STEPS, Step, openings_of

pytestmark = pytest.mark.django_db

MOVES = [(flow, *origin, reached) for flow in Flow for origin, reached in TABLES[flow].items()]
MOVES_OF_ORDERS = [row for row in MOVES if row[1] is not Status.NULL]


@pytest.mark.parametrize(("flow", "origin", "action", "reached"), MOVES_OF_ORDERS, ids=str)
def test_a_move_of_the_table_writes_row_event_and_work(
    flow: Flow, origin: Status, action: Action, reached: Status
) -> None:
    if origin is Status.ORDER_CREATE_ERROR:
        pytest.skip("only imported orders stand there")
    order_id = place_in(origin, flow)
    before = order_of(order_id)
    with transaction.atomic():
        order = lock_order(order_id)
        written = write_change(Change(order=order, actor=ACTOR, action=action, reason="because"))
    after, event = order_of(order_id), last_event(order_id)
    assert written.statuses == {after.pk: reached}
    assert (after.status, after.version) == (reached, before.version + 1)
    assert after.status_since == after.last_change_at == event.occurred_at == order.read_at
    assert after.budget_ends_at == budget_ends_at(
        reached, priority=after.priority, since=order.read_at
    )
    assert (event.seq, event.kind, event.actor) == (after.version, EVENT_KINDS[action], ACTOR)
    assert (event.status, event.last_status, event.reason) == (reached, origin, "because")
    assert event.last_change_at == before.last_change_at
    assert event.changes == ({} if origin is reached else {"status": [origin, reached]})
    assert steps_of(order_id) - UNBOUND_STEPS == {
        opening.step for opening in openings_of(flow, reached)
    }
    assert_legal_history(order_id)


@pytest.mark.parametrize("flow", list(Flow))
def test_a_move_that_is_not_in_the_table_is_refused_and_changes_nothing(flow: Flow) -> None:
    for status in statuses_of(flow):
        order_id = place_in(status, flow)
        for action in Action:
            if (status, action) in TABLES[flow]:
                continue
            with refused(order_id, TransitionNotAllowed):
                move(order_id, action)


def test_a_refusal_names_order_status_and_where_the_action_is_legal() -> None:
    order_id = place_in(Status.HANDLING)
    with pytest.raises(TransitionNotAllowed) as refusal:
        move(order_id, Action.START_HANDLING)
    assert refusal.value.allowed_from == (Status.READY_FOR_HANDLING,)
    assert str(refusal.value) == (
        f"Order {order_id} is in handling; start-handling needs ready-for-handling."
    )


def test_one_illegal_move_in_a_batch_leaves_all_orders_as_they_were() -> None:
    good, bad = place_in(Status.READY_FOR_HANDLING), place_in(Status.HANDLING)
    with nothing_changes(good), refused(bad, TransitionNotAllowed), transaction.atomic():
        write_changes(
            [
                Change(order=lock_order(order_id), actor=ACTOR, action=Action.START_HANDLING)
                for order_id in (good, bad)
            ]
        )


def test_two_hundred_moves_take_as_many_round_trips_as_one() -> None:
    def round_trips(count: int) -> int:
        pks = [order_of(place_in(Status.READY_FOR_HANDLING)).pk for _ in range(count)]
        with (
            transaction.atomic(),
            CaptureQueriesContext(
                connection,
            ) as queries,
        ):
            orders = lock_orders(pks)
            write_changes(
                [
                    Change(order=order, actor=ACTOR, action=Action.START_HANDLING)
                    for order in orders.values()
                ]
            )
        return len(queries)

    policies.rules_of("1")
    # To lock, and to write.
    assert round_trips(200) == round_trips(1) == 2


def test_an_event_without_move_keeps_status_budget_and_work() -> None:
    order_id = place_in(Status.HANDLING)
    before, steps = order_of(order_id), steps_of(order_id)
    with transaction.atomic():
        write_change(Change(order=lock_order(order_id), actor=ACTOR, kind="note.added"))
    after, event = order_of(order_id), last_event(order_id)
    assert (after.status, after.status_since) == (before.status, before.status_since)
    assert after.budget_ends_at == before.budget_ends_at
    assert (after.version, event.kind, event.changes) == (before.version + 1, "note.added", {})
    assert after.last_change_at == event.occurred_at > before.last_change_at
    assert steps_of(order_id) == steps


def test_work_bound_to_a_package_outlives_the_move() -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    WorkItem.objects.create(
        order=order_of(order_id),
        step=Step.FOLLOW_TRACKING,
        connector="carrier",
        priority=Priority.NORMAL,
        due_at=order_of(order_id).created_at,
        next_attempt_at=order_of(order_id).created_at,
    )
    move(order_id, Action.START_HANDLING)
    assert steps_of(order_id) == {Step.FOLLOW_TRACKING, Step.WITHDRAW_STOCK}


@pytest.mark.parametrize(
    ("policy", "minutes"),
    [({}, 30), ({"window_to_cancel_minutes": 5}, 5), ({"window_to_cancel_minutes": 0}, 0)],
)
def test_the_window_to_cancel_is_as_long_as_the_seller_wants(
    policy: dict[str, int], minutes: int
) -> None:
    SellerPolicy.objects.create(seller_id="cups", **policy)
    policies.forget()
    order_id = place_in(Status.WINDOW_TO_CANCEL, seller_id="cups")
    item = item_of(order_id, Step.CLOSE_WINDOW_TO_CANCEL)
    assert item.due_at == order_of(order_id).status_since + timedelta(minutes=minutes)
    policies.forget()


@pytest.mark.parametrize(
    ("flow", "status", "step", "after"),
    [
        (Flow.COMPLETE, Status.PAYMENT_PENDING, Step.CANCEL_OVERDUE, timedelta(days=30)),
        (Flow.COMPLETE, Status.CANCELLATION_REQUESTED, Step.CANCEL_OVERDUE, timedelta(days=30)),
        (
            Flow.MARKETPLACE,
            Status.WAITING_FOR_SELLER_DECISION,
            Step.CANCEL_OVERDUE,
            timedelta(days=30),
        ),
        (
            Flow.MARKETPLACE,
            Status.WINDOW_TO_CHANGE_PAYMENT,
            Step.CANCEL_OVERDUE,
            timedelta(days=1),
        ),
        (Flow.MARKETPLACE, Status.WINDOW_TO_CHANGE_SELLER, Step.CANCEL_OVERDUE, timedelta(days=2)),
        (
            Flow.FULFILLMENT,
            Status.WAITING_FFMT_AUTHORIZATION,
            Step.ASK_FOR_MANUAL_AUTHORIZATION,
            timedelta(days=1),
        ),
        (
            Flow.FULFILLMENT,
            Status.WAITING_FOR_MANUAL_AUTHORIZATION,
            Step.CANCEL_OVERDUE,
            timedelta(days=30),
        ),
        (
            Flow.CHAIN,
            Status.WAITING_FOR_MKT_AUTHORIZATION,
            Step.CANCEL_OVERDUE,
            timedelta(days=30),
        ),
    ],
)
def test_timers_begin_with_the_status(
    flow: Flow, status: Status, step: Step, after: timedelta
) -> None:
    order_id = place_in(status, flow)
    assert item_of(order_id, step).due_at == order_of(order_id).status_since + after


@pytest.mark.parametrize(
    ("given", "priority"),
    [
        ({}, Priority.NORMAL),
        ({"is_express": True}, Priority.URGENT),
        ({"delivery_channel": "pickup-in-point"}, Priority.URGENT),
    ],
)
def test_work_carries_the_urgency_of_its_order(given: dict[str, Any], priority: int) -> None:
    order_id = place(**given)
    assert item_of(order_id, Step.COMPLETE_ORDER).priority == priority
    move(order_id, Action.COMPLETE_ORDER)
    assert item_of(order_id, Step.ASK_SELLER).priority == priority


def test_authorization_and_cancellation_leave_their_dates_and_reason() -> None:
    order_id = place_in(Status.PAYMENT_APPROVED)
    authorized_at = order_of(order_id).authorized_at
    assert authorized_at == next(
        event.occurred_at
        for event in events_of(order_id)
        if event.kind == "order.payment-approved"
    )
    cancel_order(order_id=order_id, reason="changed my mind", actor=ACTOR)
    move(order_id, Action.FINISH_CANCELLATION)
    order = order_of(order_id)
    assert (order.authorized_at, order.cancel_reason) == (authorized_at, "changed my mind")
    assert order.canceled_at == order.last_change_at
    assert (order.status, order.budget_ends_at, steps_of(order_id)) == ("canceled", None, set())


@pytest.mark.parametrize("attempts", [0, 1])
def test_an_order_given_up_while_a_call_is_out_will_undo_what_the_call_may_do(
    attempts: int, settings: Settings
) -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    WorkItem.objects.filter(order__order_id=order_id).update(attempts=attempts)
    cancel_order(order_id=order_id, reason="", actor=ACTOR)
    if attempts:
        undo = item_of(order_id, Step.UNDO_LATE_PAYMENT)
        patience = timedelta(seconds=settings.WORK_LEASE_SECONDS)
        assert undo.due_at == order_of(order_id).last_change_at + patience
        assert undo.connector == "payments"
    else:
        assert steps_of(order_id) == {Step.VOID_PAYMENT}


def test_a_cancellation_request_is_decided_by_any_move_out_of_waiting() -> None:
    order_id = place_in(Status.HANDLING)
    cancel_order(order_id=order_id, reason="late", actor=ACTOR)
    with transaction.atomic():
        order = lock_order(order_id)
        change = Change(order=order, actor=ACTOR, action=Action.ACCEPT_CANCELLATION)
        write_change(change)
    request = CancellationRequest.objects.get(order__order_id=order_id)
    assert (request.decided_at, request.is_denied) == (order.read_at, False)


def test_an_unknown_order_is_not_there() -> None:
    with transaction.atomic(), pytest.raises(OrderNotFound, match="Order A-1 not found"):
        lock_order("A-1")
