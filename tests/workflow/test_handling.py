"""From ready to handling: the ERP, the picker and the warehouse system take the order up."""

from collections.abc import Callable

import pytest

from oms.orders.locks import OrderNotFound
from oms.orders.models import SellerPolicy
from oms.orders.statuses import Flow, Status
from tests.workflow.stories import (
    last_event,
    let_time_pass,
    order_of,
    place_in,
    refused,
    status_of,
    statuses_of,
    steps_of,
)
from workflow.flows import TransitionNotAllowed
from workflow.policies import default_window_to_cancel, policies
from workflow.runner import Tally, run_once
from workflow.services.handling import finish_picking, release_from_warehouse, start_handling
from workflow.steps import Step

pytestmark = pytest.mark.django_db

MOVES = [
    (start_handling, Status.READY_FOR_HANDLING, Status.START_HANDLING, "order.handling-started"),
    (finish_picking, Status.HANDLING, Status.READY_FOR_INVOICING, "order.picked"),
    (
        release_from_warehouse,
        Status.WAITING_FOR_FULFILLMENT,
        Status.READY_FOR_HANDLING,
        "order.released-from-warehouse",
    ),
]


@pytest.mark.parametrize(("act", "origin", "reached", "kind"), MOVES)
@pytest.mark.parametrize("flow", list(Flow))
def test_each_verb_is_legal_in_one_status_only(
    act: Callable[..., None], origin: Status, reached: Status, kind: str, flow: Flow
) -> None:
    for status in statuses_of(flow):
        order_id = place_in(status, flow)
        if status is not origin:
            with refused(order_id, TransitionNotAllowed):
                act(order_id=order_id, actor="key:erp")
            continue
        act(order_id=order_id, actor="key:erp")
        event = last_event(order_id)
        assert status_of(order_id) == reached
        assert (event.kind, event.actor) == (kind, "key:erp")


def test_handling_is_started_once() -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    start_handling(order_id=order_id, actor="key:erp")
    assert steps_of(order_id) == {Step.WITHDRAW_STOCK}
    with refused(order_id, TransitionNotAllowed, "needs ready-for-handling"):
        start_handling(order_id=order_id, actor="key:erp")


def test_an_unknown_order_is_not_there() -> None:
    with pytest.raises(OrderNotFound):
        start_handling(order_id="nobody", actor="key:erp")


@pytest.mark.parametrize(
    ("has_warehouse_system", "reached"),
    [(True, Status.WAITING_FOR_FULFILLMENT), (False, Status.READY_FOR_HANDLING)],
)
def test_the_window_closes_into_the_warehouse_of_a_seller_that_has_one(
    has_warehouse_system: bool, reached: Status
) -> None:
    SellerPolicy.objects.create(seller_id="cups", has_warehouse_system=has_warehouse_system)
    policies.forget()
    order_id = place_in(Status.WINDOW_TO_CANCEL, seller_id="cups")
    run_once(Tally())
    assert status_of(order_id) == Status.WINDOW_TO_CANCEL
    let_time_pass(order_id, default_window_to_cancel())
    run_once(Tally())
    assert status_of(order_id) == order_of(order_id).status == reached
    policies.forget()
