"""Placing: all or nothing, the first step and its announcement in the same transaction."""

from datetime import timedelta

import pytest
from django.db import IntegrityError
from django_q.models import OrmQ

from oms.orders.models import Affiliate, Order, OrderEvent
from oms.orders.statuses import Flow, Priority, Status
from tests.api.purchases import purchase
from tests.factories import order_draft
from tests.workflow.stories import (
    ACTOR,
    assert_legal_history,
    events_of,
    item_of,
    nothing_changes,
    order_of,
    place,
)
from workflow.flows import INITIAL_STATUS
from workflow.models import WorkItem
from workflow.services.placing import (
    ALREADY_PLACED,
    CONFLICT,
    INVALID,
    PLACED,
    PlacedPurchase,
    place_drafts,
    place_orders,
)
from workflow.services.refusals import InvalidInput
from workflow.steps import Step

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _affiliate() -> None:
    Affiliate.objects.create(affiliate_id="MKT", name="Market", flow=Flow.COMPLETE)


def place_purchases(*purchases: object) -> list[PlacedPurchase]:
    return place_orders(list(purchases), affiliate_id="MKT", sales_channel="1", actor=ACTOR)


@pytest.mark.parametrize("flow", list(Flow))
def test_a_placed_order_stands_at_the_beginning_of_its_flow(flow: Flow) -> None:
    order_id = place(flow)
    order, (event,) = order_of(order_id), events_of(order_id)
    assert (order.status, order.version) == (INITIAL_STATUS[flow], 1)
    assert (event.seq, event.kind, event.actor) == (1, "order.placed", ACTOR)
    assert (event.last_status, event.last_change_at) == (Status.NULL, None)
    assert event.changes == {"status": ["null", order.status]}
    assert event.parts_fingerprint is not None
    assert item_of(order_id, Step.COMPLETE_ORDER).due_at == order.last_change_at
    assert_legal_history(order_id)


@pytest.mark.parametrize(
    ("is_express", "budget"), [(False, timedelta(minutes=5)), (True, timedelta(minutes=2))]
)
def test_a_placed_order_has_its_budget_of_time(is_express: bool, budget: timedelta) -> None:
    order = order_of(place(is_express=is_express))
    assert order.budget_ends_at == order.status_since + budget


def test_an_order_that_is_there_takes_the_whole_transaction_back() -> None:
    taken = place()
    before = OrmQ.objects.count()
    with nothing_changes(taken), pytest.raises(IntegrityError):
        place_drafts([order_draft(), order_draft(order_id=taken)], actor=ACTOR)
    assert Order.objects.count() == OrderEvent.objects.count() == WorkItem.objects.count() == 1
    assert OrmQ.objects.count() == before


def test_every_purchase_has_its_own_outcome_in_the_order_of_the_batch() -> None:
    known, changed, fresh = purchase(), purchase(), purchase("1", "cups")
    place_purchases(known, changed)
    changed["marketplacePaymentValue"] = 1
    results = place_purchases(fresh, {}, changed, known, fresh)
    assert [result.outcome for result in results] == [
        PLACED, INVALID, CONFLICT, ALREADY_PLACED, ALREADY_PLACED,
    ]  # fmt: skip
    group = f"MKT-{fresh['marketplaceOrderId']}"
    assert results[0].order_ids == results[4].order_ids == (f"{group}-01", f"{group}-02")
    assert Order.objects.count() == 4


def test_one_taken_order_id_does_not_hold_up_the_rest_of_a_batch() -> None:
    taken, free = purchase(), purchase()
    place(order_id=f"MKT-{taken['marketplaceOrderId']}-01", is_imported=True)
    results = place_purchases(taken, free)
    assert [result.outcome for result in results] == [CONFLICT, PLACED]
    assert Order.objects.filter(affiliate_id="MKT").count() == 1


def test_express_goods_make_an_urgent_order() -> None:
    sent = purchase()
    sent["shippingData"]["logisticsInfo"][0]["selectedSla"] = "Express 2h"
    (result,) = place_purchases(sent)
    assert order_of(result.order_ids[0]).priority == Priority.URGENT


def test_an_unknown_affiliate_names_those_there_are() -> None:
    with pytest.raises(InvalidInput) as refusal:
        place_orders([], affiliate_id="NOPE", sales_channel="1", actor=ACTOR)
    assert refusal.value.details == [
        {"field": "affiliateId", "message": "No such affiliate.", "allowed": ("MKT",)}
    ]
