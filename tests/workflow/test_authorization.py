"""Somebody above agrees: in time, early, twice, to nobody's order."""

from datetime import timedelta

import pytest
from pytest_django import Settings

from oms.orders.statuses import Flow, Status
from tests.workflow.sandboxes import ThreadedSandbox
from tests.workflow.stories import (
    assert_legal_history,
    events_of,
    item_of,
    kinds_of,
    last_event,
    let_time_pass,
    nothing_changes,
    order_of,
    place,
    place_in,
    refused,
    status_of,
    statuses_of,
    steps_of,
)
from workflow.flows import TransitionNotAllowed
from workflow.runner import run_due
from workflow.services.authorization import EARLY_STATUSES, authorize_fulfillment, authorize_order
from workflow.steps import Step

pytestmark = pytest.mark.django_db

MARKETPLACE = "key:marketplace"
WAITING = {
    Flow.FULFILLMENT: {
        Status.WAITING_FFMT_AUTHORIZATION: Status.AUTHORIZE_FULFILLMENT,
        Status.WAITING_FOR_MANUAL_AUTHORIZATION: Status.AUTHORIZE_FULFILLMENT,
    },
    Flow.CHAIN: {Status.WAITING_FOR_MKT_AUTHORIZATION: Status.PAYMENT_APPROVED},
}


def authorize(order_id: str) -> Status:
    return authorize_fulfillment(order_id=order_id, actor=MARKETPLACE)


@pytest.mark.parametrize("flow", list(Flow))
def test_in_every_status_an_authorization_moves_is_kept_or_refused(flow: Flow) -> None:
    waiting = WAITING.get(flow, {})
    for status in statuses_of(flow):
        order_id = place_in(status, flow)
        was_authorized = order_of(order_id).authorized_at is not None
        given_up = status in (Status.CANCEL, Status.CANCELED, Status.REPLACED)
        if status in waiting:
            assert authorize(order_id) == waiting[status]
            assert order_of(order_id).authorized_at == last_event(order_id).occurred_at
        elif waiting and status in EARLY_STATUSES:
            assert authorize(order_id) == status
            assert last_event(order_id).kind == "order.authorization-received"
        elif waiting and was_authorized and not given_up:
            with nothing_changes(order_id):
                assert authorize(order_id) == status
        else:
            with refused(order_id, TransitionNotAllowed):
                authorize(order_id)


@pytest.mark.parametrize("flow", [Flow.FULFILLMENT, Flow.CHAIN])
def test_the_same_authorization_again_changes_nothing(flow: Flow) -> None:
    order_id = place(flow)
    status = authorize(order_id)
    with nothing_changes(order_id):
        assert authorize(order_id) == status


@pytest.mark.parametrize(
    ("flow", "kind"),
    [
        (Flow.FULFILLMENT, "order.fulfillment-authorized"),
        (Flow.CHAIN, "order.marketplace-authorized"),
    ],
)
def test_an_early_authorization_is_honored_on_arrival(
    sandbox: ThreadedSandbox, flow: Flow, kind: str
) -> None:
    order_id = place(flow)
    authorize(order_id)
    authorized_at = order_of(order_id).authorized_at
    run_due()
    assert kind in kinds_of(order_id)
    assert order_of(order_id).authorized_at == authorized_at
    reached = (
        Status.WINDOW_TO_CANCEL if flow is Flow.FULFILLMENT else Status.WAITING_SELLER_HANDLING
    )
    assert status_of(order_id) == reached
    assert_legal_history(order_id)


@pytest.mark.parametrize(
    ("flow", "waits_in"),
    [
        (Flow.FULFILLMENT, Status.WAITING_FFMT_AUTHORIZATION),
        (Flow.CHAIN, Status.WAITING_FOR_MKT_AUTHORIZATION),
    ],
)
def test_without_an_authorization_the_order_waits(
    sandbox: ThreadedSandbox, flow: Flow, waits_in: Status
) -> None:
    order_id = place(flow)
    run_due()
    assert status_of(order_id) == waits_in
    assert Step.TAKE_EARLY_AUTHORIZATION not in steps_of(order_id)
    authorize(order_id)
    run_due()
    assert order_of(order_id).authorized_at is not None
    assert status_of(order_id) not in (waits_in, Status.CANCELED)


def test_a_silent_marketplace_is_asked_by_hand_and_then_given_up(sandbox: ThreadedSandbox) -> None:
    order_id = place(Flow.FULFILLMENT)
    run_due()
    let_time_pass(order_id, timedelta(days=1))
    run_due()
    assert status_of(order_id) == Status.WAITING_FOR_MANUAL_AUTHORIZATION
    let_time_pass(order_id, timedelta(days=30))
    run_due()
    assert status_of(order_id) == Status.CANCELED
    assert order_of(order_id).cancel_reason.startswith("Not resolved in time")


def test_an_order_of_high_value_waits_for_somebody(
    sandbox: ThreadedSandbox, settings: Settings
) -> None:
    settings.AUTHORIZATION_ABOVE_CENTS = 5000
    small, large = place(value_cents=5000), place(value_cents=5001)
    run_due()
    assert status_of(small) == Status.WINDOW_TO_CANCEL
    assert status_of(large) == Status.WAITING_FOR_ORDER_AUTHORIZATION
    authorize_order(order_id=large, actor="user:boss", reason="a good customer")
    event = events_of(large)[-1]
    assert (event.kind, event.actor, event.reason) == (
        "order.authorized",
        "user:boss",
        "a good customer",
    )
    with refused(large, TransitionNotAllowed):
        authorize_order(order_id=large, actor="user:boss")
    run_due()
    assert status_of(large) == Status.WINDOW_TO_CANCEL
    assert item_of(large, Step.CLOSE_WINDOW_TO_CANCEL).due_at > order_of(large).status_since
