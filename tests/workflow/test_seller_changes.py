"""A seller gives an order up, another takes it: payment, stock and window follow."""

from datetime import timedelta

import pytest

from oms.orders.documents.building import order_document
from oms.orders.models import SellerPolicy
from oms.orders.statuses import Flow, Status
from tests.workflow.sandboxes import ThreadedSandbox
from tests.workflow.stories import (
    assert_legal_history,
    item_of,
    kinds_of,
    last_event,
    let_time_pass,
    nothing_changes,
    order_of,
    payment_of,
    place,
    place_in,
    record,
    refused,
    status_of,
)
from workflow.flows import TransitionNotAllowed
from workflow.models import StoreRules, WorkItem
from workflow.policies import policies
from workflow.runner import run_due
from workflow.services.cancellation import cancel_order
from workflow.services.payment import approve_payment
from workflow.services.refusals import CancellationRefused, InvalidInput
from workflow.services.seller_changes import NewSeller, change_seller, set_window_to_change_seller
from workflow.steps import Step

pytestmark = pytest.mark.django_db

MARKETPLACE = Flow.MARKETPLACE
GIVEN_UP_FROM = (
    Status.WAITING_FOR_AUTHORIZATION,
    Status.PAYMENT_APPROVED,
    Status.WAITING_SELLER_HANDLING,
)
CHANGED_FROM = (
    Status.WAITING_FOR_AUTHORIZATION,
    Status.PAYMENT_PENDING,
    Status.WINDOW_TO_CHANGE_SELLER,
)


def give_up(order_id: str) -> None:
    cancel_order(order_id=order_id, reason="no stock", actor="key:seller", as_seller=True)


def take_over(order_id: str, seller_id: str = "2") -> None:
    change_seller(order_id=order_id, seller=NewSeller(seller_id=seller_id), actor="key:mkt")


@pytest.mark.parametrize("status", GIVEN_UP_FROM)
def test_a_seller_that_cancels_gives_the_order_to_another(status: Status) -> None:
    order_id = place_in(status, MARKETPLACE)
    give_up(order_id)
    assert status_of(order_id) == Status.WINDOW_TO_CHANGE_SELLER
    assert last_event(order_id).kind == "order.seller-lost"
    assert last_event(order_id).reason == "no stock"


def test_the_seller_of_a_complete_order_cancels_as_ever() -> None:
    order_id = place_in(Status.WAITING_FOR_AUTHORIZATION)
    give_up(order_id)
    assert status_of(order_id) == Status.CANCEL


def test_a_seller_that_has_invoiced_a_part_cannot_give_the_rest_up(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place_in(Status.WAITING_SELLER_HANDLING, MARKETPLACE)
    record(order_id, "NF-1", 400)
    run_due()
    with refused(order_id, CancellationRefused):
        give_up(order_id)


@pytest.mark.parametrize("status", CHANGED_FROM)
def test_another_seller_takes_the_order_with_its_lines(status: Status) -> None:
    order_id = place_in(status, MARKETPLACE)
    SellerPolicy.objects.create(seller_id="2", name="Second Hand")
    take_over(order_id)
    order = order_of(order_id)
    assert (order.status, order.seller_id, order.seller_name) == (
        "waiting-for-authorization",
        "2",
        "Second Hand",
    )
    document = order_document(order)
    assert [item["seller"] for item in document["items"]] == ["2"]
    assert [seller["name"] for seller in document["sellers"]] == ["Second Hand"]
    assert last_event(order_id).changes["seller_id"] == ["1", "2"]


@pytest.mark.parametrize(
    "status", [Status.PAYMENT_APPROVED, Status.WAITING_SELLER_HANDLING, Status.INVOICED]
)
def test_a_seller_that_is_at_work_is_not_changed(status: Status) -> None:
    order_id = place_in(status, MARKETPLACE)
    with refused(order_id, TransitionNotAllowed):
        take_over(order_id)


def test_the_same_seller_again_changes_nothing_or_is_refused() -> None:
    order_id = place_in(Status.WINDOW_TO_CHANGE_SELLER, MARKETPLACE)
    with refused(order_id, InvalidInput, "newSellerId"):
        take_over(order_id, "1")
    take_over(order_id)
    with nothing_changes(order_id):
        take_over(order_id)


def test_a_paid_order_goes_its_whole_way_with_the_new_seller(sandbox: ThreadedSandbox) -> None:
    """KI 1082298: after a change of seller the marketplace's order could not reach invoiced."""
    order_id = place(MARKETPLACE)
    run_due()
    assert status_of(order_id) == Status.WAITING_SELLER_HANDLING
    give_up(order_id)
    take_over(order_id)
    run_due()
    assert status_of(order_id) == Status.WAITING_SELLER_HANDLING
    assert kinds_of(order_id).count("order.seller-left") == 1
    record(order_id, "NF-1", 1000)
    run_due()
    assert status_of(order_id) == Status.INVOICED
    books = sandbox.effects()
    assert books["operations"]["authorization"]["effects"] == 1
    assert books["operations"]["reservation"]["effects"] == 2
    assert books["operations"]["release"]["effects"] == 1
    assert books["doubled"] == []
    assert_legal_history(order_id)


def test_what_the_former_seller_is_about_to_reserve_is_waited_for_and_given_back() -> None:
    order_id = place_in(Status.WAITING_FOR_AUTHORIZATION, MARKETPLACE)
    order = order_of(order_id)
    lease = order.last_change_at + timedelta(hours=1)
    WorkItem.objects.filter(step=Step.RESERVE_STOCK).update(attempts=1, leased_until=lease)
    take_over(order_id)
    item = item_of(order_id, Step.RESERVE_STOCK)
    assert item.next_attempt_at == item.due_at > lease


def test_an_order_that_no_seller_takes_is_canceled_when_its_window_ends(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place_in(Status.WINDOW_TO_CHANGE_SELLER, MARKETPLACE)
    let_time_pass(order_id, timedelta(days=2))
    run_due()
    assert status_of(order_id) == Status.CANCELED


def test_the_window_is_configured_in_days_and_the_budget_follows() -> None:
    try:
        set_window_to_change_seller(4)
        order_id = place_in(Status.WINDOW_TO_CHANGE_SELLER, MARKETPLACE)
        order, timer = order_of(order_id), item_of(order_id, Step.CANCEL_OVERDUE)
        assert timer.due_at - order.status_since == timedelta(days=4)
        assert order.budget_ends_at is not None
        assert order.budget_ends_at > timer.due_at
    finally:
        policies.forget()


@pytest.mark.parametrize("days", [0, -1, 366])
def test_a_window_of_no_time_or_of_years_is_refused(days: int) -> None:
    with pytest.raises(InvalidInput, match="waitingTime"):
        set_window_to_change_seller(days)
    assert not StoreRules.objects.exists()


def test_after_a_change_of_seller_the_shopper_cancels_by_request_only(
    sandbox: ThreadedSandbox,
) -> None:
    """KI 656815: the shopper could cancel outside the grace period."""
    order_id = place_in(Status.WINDOW_TO_CHANGE_SELLER, MARKETPLACE)
    take_over(order_id)
    run_due()
    cancel_order(order_id=order_id, reason="mind changed", actor="user:shopper")
    run_due()
    assert status_of(order_id) == Status.WAITING_FOR_SELLER_DECISION


def test_a_change_of_seller_forgets_the_warehouses_of_the_former_one() -> None:
    logistics = [{"itemIndex": 0, "selectedSla": "Slow", "deliveryIds": [{"warehouseId": "W1"}]}]
    shipping = {"shippingData": {"logisticsInfo": logistics, "address": None}}
    order_id = place_in(Status.WINDOW_TO_CHANGE_SELLER, MARKETPLACE, extra=shipping)
    told = {"itemIndex": 0, "selectedSla": "Fast"}
    change_seller(
        order_id=order_id, seller=NewSeller(seller_id="2", logistics=[told]), actor="key:mkt"
    )
    entry = order_of(order_id).extra["shippingData"]["logisticsInfo"][0]
    assert entry == {"itemIndex": 0, "selectedSla": "Fast", "deliveryIds": []}


def test_a_new_sellers_freight_is_not_the_buyers() -> None:
    paid = {"itemIndex": 0, "price": 900, "listPrice": 1200, "sellingPrice": 900}
    order_id = place_in(
        Status.WAITING_FOR_AUTHORIZATION,
        MARKETPLACE,
        extra={"shippingData": {"logisticsInfo": [paid]}},
    )
    told = {"itemIndex": 0, "selectedSla": "Fast", "price": 100, "sellingPrice": 100}
    seller = NewSeller(seller_id="2", logistics=[told])
    change_seller(order_id=order_id, seller=seller, actor="key:mkt")
    (entry,) = order_of(order_id).extra["shippingData"]["logisticsInfo"]
    assert entry == paid | {"selectedSla": "Fast"}


@pytest.mark.parametrize("index", [None, [], {}, "0", True, 0.5])
def test_a_delivery_of_no_item_is_refused_by_its_name(index: object) -> None:
    order_id = place_in(Status.WAITING_FOR_AUTHORIZATION, MARKETPLACE)
    seller = NewSeller(seller_id="2", logistics=[{"itemIndex": index}])
    with refused(order_id, InvalidInput):
        change_seller(order_id=order_id, seller=seller, actor="key:mkt")


def test_a_payment_approved_while_a_seller_is_looked_for_is_kept(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = place_in(Status.WAITING_FOR_AUTHORIZATION, MARKETPLACE)
    give_up(order_id)
    approve_payment(
        order_id=order_id, payment_id=payment_of(order_id).payment_id, actor="key:gateway"
    )
    assert status_of(order_id) == Status.WINDOW_TO_CHANGE_SELLER
    take_over(order_id)
    run_due()
    assert status_of(order_id) == Status.WAITING_SELLER_HANDLING
    assert sandbox.effects()["operations"]["authorization"]["calls"] == 0
