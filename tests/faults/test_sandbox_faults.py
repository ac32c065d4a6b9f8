"""Outside services that hang, refuse or fail hold up their own orders, and only while they do."""

import time

import pytest

from oms.orders.models import Order
from oms.orders.statuses import Flow, Status
from tests.factories import order_draft
from tests.faults.conftest import Place, Settle
from tests.faults.evidence import REACHED_BY_ITSELF, fault_in_story
from tests.faults.processes import wait_until
from tests.faults.proxy import Wire
from tests.faults.rig import Rig
from tests.faults.sizes import variant
from workflow.services.cancellation import cancel_order
from workflow.services.placing import place_drafts

ORDERS = 30


@pytest.fixture
def outage(full_size: bool) -> float:
    """This fixture will tell for how many seconds a service misbehaves."""
    return 60.0 if full_size else 6.0


def place_in(flow: Flow, number: int) -> list[str]:
    drafts = [order_draft(flow) for _ in range(number)]
    place_drafts(drafts, actor="key:test")
    return [draft.order_id for draft in drafts]


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    "mode",
    [
        "hang",
        "error",
        pytest.param("drop", marks=variant),
        pytest.param("throttle", marks=variant),
    ],
)
def test_a_failing_gateway_holds_up_its_own_orders_alone(
    rig: Rig, settle: Settle, outage: float, mode: str
) -> None:
    rig.set_fault(mode, connector="payments")
    ends_at = time.monotonic() + outage
    waiting = place_in(Flow.COMPLETE, ORDERS)
    others = place_in(Flow.FULFILLMENT, ORDERS)
    seconds = rig.wait_for_arrival(others, since=time.monotonic())
    at_the_gateway = {**REACHED_BY_ITSELF, Flow.COMPLETE: Status.PAYMENT_PENDING}
    rig.wait_for_arrival(waiting, since=time.monotonic(), expected=at_the_gateway)
    time.sleep(max(0.0, ends_at - time.monotonic()))
    rig.clear_faults()
    since = time.monotonic()
    counts = f"gateway: {mode} for {outage:g} s (others took {seconds:.1f} s)"
    settle(waiting + others, since=since, fault=counts)


@pytest.mark.usefixtures("cluster")
def test_orders_go_on_after_every_service_refused_connections(
    rig: Rig, place: Place, settle: Settle, outage: float
) -> None:
    rig.kill_sandbox()
    order_ids = place(ORDERS)
    # What needs no service goes on: every order comes as far as its first call.
    wait_until(
        lambda: (
            not {status for _, status in rig.statuses(order_ids)}
            & {Status.ORDER_CREATED, Status.ORDER_ACCEPTED, Status.ON_ORDER_COMPLETED}
        ),
        seconds=30,
        what="orders came as far as they can without the services",
    )
    time.sleep(outage)
    rig.start_sandbox()
    settle(
        order_ids, since=time.monotonic(), fault=f"services refused connections for {outage:g} s"
    )


@variant
def test_an_authorization_that_lands_after_the_cancellation_is_undone(rig: Rig) -> None:
    gateway = Wire(rig.sandbox_port)
    try:
        rig.start_cluster(PAYMENTS_URL=f"http://127.0.0.1:{gateway.port}/payments")
        gateway.silence()
        [order_id] = place_in(Flow.COMPLETE, 1)
        wait_until(
            lambda: gateway.connections and has_status(order_id, Status.PAYMENT_PENDING),
            seconds=20,
            what="the authorization is on its way",
        )
        held = gateway.hold()
        cancel_order(order_id=order_id, reason="Changed my mind.", actor="key:test")
        wait_until(
            lambda: has_status(order_id, Status.CANCELED), seconds=20, what="the order is canceled"
        )
        assert money_held(rig, order_id) == 0
        held.set()
        wait_until(
            lambda: rig.effects_of(order_id)["authorization"],
            seconds=20,
            what="the authorization lands late",
        )
        wait_until(lambda: money_held(rig, order_id) == 0, seconds=60, what="the money is free")
    finally:
        gateway.close()
    story = rig.stories([order_id])[order_id]
    assert fault_in_story(story) is None
    assert rig.doubled_effects() == []


@pytest.mark.usefixtures("cluster")
def test_orders_canceled_while_their_payment_is_authorized_hold_nothing_outside(rig: Rig) -> None:
    rig.set_fault("delay", connector="payments", seconds=1.0)
    order_ids = place_in(Flow.COMPLETE, ORDERS)
    wait_until(
        lambda: rig.query(
            "SELECT 1 FROM workflow_workitem WHERE step = 'authorize-payment'"
            " AND leased_until > clock_timestamp() LIMIT 1"
        ),
        seconds=20,
        what="authorizations are in flight",
    )
    for order_id in order_ids:
        cancel_order(order_id=order_id, reason="Changed my mind.", actor="key:test")
    canceled = {**REACHED_BY_ITSELF, Flow.COMPLETE: Status.CANCELED}
    rig.wait_for_arrival(order_ids, since=time.monotonic(), expected=canceled)
    wait_until(
        lambda: not [pk for pk in order_ids if money_held(rig, pk) or stock_held(rig, pk)],
        seconds=60,
        what="nothing is held outside",
    )
    stories = rig.stories(order_ids)
    assert [fault_in_story(stories[order_id]) for order_id in order_ids] == [None] * ORDERS
    assert rig.doubled_effects() == []


def has_status(order_id: str, status: Status) -> bool:
    return Order.objects.filter(order_id=order_id, status=status).exists()


def money_held(rig: Rig, order_id: str) -> int:
    """This function will count authorizations that nobody has voided."""
    effects = rig.effects_of(order_id)
    return effects["authorization"] - effects["void"]


def stock_held(rig: Rig, order_id: str) -> int:
    effects = rig.effects_of(order_id)
    return effects["reservation"] - effects["release"]
