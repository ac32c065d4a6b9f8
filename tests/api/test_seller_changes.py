"""Change seller over HTTP: who may, how long it may wait, what is answered."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections, transaction
from django.http import HttpResponse

from oms.access.authenticating import forget_all_cached_keys
from oms.access.scopes import Scope
from oms.orders.statuses import Flow, Status
from tests.api.callers import Caller, fields_of, parsed, refusal
from tests.workflow.stories import order_of, place_in, status_of
from workflow.policies import policies
from workflow.services.seller_changes import NewSeller, change_seller

pytestmark = pytest.mark.django_db

WINDOW = "checkout/pvt/configuration/window-to-change-seller"


@pytest.fixture(autouse=True)
def _fresh_keys_and_rules() -> Iterator[None]:
    forget_all_cached_keys()
    yield
    forget_all_cached_keys()
    policies.forget()


def test_a_sellers_key_that_cancels_opens_the_window_and_another_takes_over() -> None:
    order_id = place_in(Status.WAITING_SELLER_HANDLING, Flow.MARKETPLACE)
    seller = Caller([Scope.CANCEL_ACTION], seller_ids=["1"])
    answer = seller.post(f"oms/pvt/orders/{order_id}/cancel", {"reason": "no stock"})
    assert (answer.status_code, set(parsed(answer))) == (200, {"date", "orderId", "receipt"})
    assert status_of(order_id) == Status.WINDOW_TO_CHANGE_SELLER
    body = {"newSellerId": "2", "marketplacePaymentValue": 1000, "shippingData": None}
    answer = Caller().ask("PUT", f"checkout/pvt/orders/{order_id}/sellers", body)
    assert (answer.status_code, parsed(answer)["orderId"]) == (200, order_id)
    assert (order_of(order_id).seller_id, status_of(order_id)) == (
        "2",
        Status.WAITING_FOR_AUTHORIZATION,
    )
    # The order is no longer the former seller's to see.
    refusal(seller.post(f"oms/pvt/orders/{order_id}/cancel", {}), 404, "order_not_found")


@pytest.mark.django_db(transaction=True)
def test_a_former_sellers_call_that_waited_for_the_change_does_nothing() -> None:
    order_id = place_in(Status.WAITING_FOR_AUTHORIZATION, Flow.MARKETPLACE)
    seller = Caller([Scope.CANCEL_ACTION], seller_ids=["1"])

    def cancel() -> HttpResponse:
        try:
            return seller.post(f"oms/pvt/orders/{order_id}/cancel", {"reason": "no stock"})
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            change_seller(order_id=order_id, seller=NewSeller(seller_id="2"), actor="key:mkt")
            waiting = threads.submit(cancel)
            wait_until_somebody_waits()
        refusal(waiting.result(), 404, "order_not_found")
    assert (order_of(order_id).seller_id, status_of(order_id)) == (
        "2",
        Status.WAITING_FOR_AUTHORIZATION,
    )


def wait_until_somebody_waits() -> None:
    """This function will return when another connection waits for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(waiting)
            if cursor.fetchone()[0]:
                return
        time.sleep(0.02)
    raise AssertionError("Nobody waits.")


def test_too_late_is_a_conflict_and_a_missing_seller_is_named() -> None:
    order_id = place_in(Status.WAITING_SELLER_HANDLING, Flow.MARKETPLACE)
    path, caller = f"checkout/pvt/orders/{order_id}/sellers", Caller()
    refusal(caller.ask("PUT", path, {"newSellerId": "2"}), 409, "OMS003")
    assert fields_of(caller.ask("PUT", path, {})) == ["newSellerId"]
    assert fields_of(caller.ask("PUT", path, {"newSellerId": "a/b"})) == ["newSellerId"]
    assert fields_of(
        caller.ask("PUT", path, {"newSellerId": "2", "shippingData": {"logisticsInfo": [1]}})
    ) == ["shippingData.logisticsInfo[0]"]


def test_the_window_is_two_days_until_it_is_set() -> None:
    caller = Caller()
    assert parsed(caller.get(WINDOW)) == 2
    assert caller.post(WINDOW, {"waitingTime": 4}).status_code == 201
    assert parsed(caller.get(WINDOW)) == 4
    for wrong in ({}, {"waitingTime": "x"}, {"waitingTime": 0}, {"waitingTime": 10_000}):
        assert fields_of(caller.post(WINDOW, wrong)) == ["waitingTime"]
    assert parsed(caller.get(WINDOW)) == 4


def test_who_may_only_look_may_not_set_the_window() -> None:
    viewer = Caller([Scope.OMS_VIEWER])
    assert viewer.get(WINDOW).status_code == 200
    refusal(viewer.post(WINDOW, {"waitingTime": 4}), 403, "forbidden")


def test_a_sellers_key_gives_orders_to_its_own_sellers_only_and_sets_no_window() -> None:
    order_id = place_in(Status.WINDOW_TO_CHANGE_SELLER, Flow.MARKETPLACE)
    seller = Caller(seller_ids=["1", "2"])
    path = f"checkout/pvt/orders/{order_id}/sellers"
    assert fields_of(seller.ask("PUT", path, {"newSellerId": "3"})) == ["newSellerId"]
    refusal(seller.post(WINDOW, {"waitingTime": 4}), 403, "forbidden")
    refusal(seller.ask("PUT", "order-system/orders/changes/settings", {}), 403, "forbidden")
    assert seller.ask("PUT", path, {"newSellerId": "2"}).status_code == 200
