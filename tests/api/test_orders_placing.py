"""Placing over HTTP: a batch, again, with mistakes, all or nothing for each purchase."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from pytest_django import Settings

from oms.access.authenticating import forget_all_cached_keys
from oms.access.scopes import Scope
from oms.orders.models import Affiliate, Order, OrderEvent
from oms.orders.statuses import Flow
from tests.api.callers import Caller, parsed, refusal
from tests.api.purchases import purchase
from tests.workflow.stories import kinds_of, place, steps_of
from workflow.models import WorkItem

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _affiliates() -> Iterator[None]:
    forget_all_cached_keys()
    Affiliate.objects.create(affiliate_id="MKT", name="Market", flow=Flow.FULFILLMENT)
    Affiliate.objects.create(affiliate_id="OWN", name="Own shop", flow=Flow.COMPLETE)
    Affiliate.objects.create(affiliate_id="OFF", name="Gone", flow="chain", is_active=False)
    yield
    forget_all_cached_keys()


@pytest.fixture
def caller() -> Caller:
    return Caller([Scope.PLACE_ORDERS])


def place_over_http(caller: Caller, body: object, affiliate: str = "MKT") -> HttpResponse:
    return caller.post(f"fulfillment/pvt/orders?affiliateId={affiliate}&sc=2", body)


def test_one_purchase_is_answered_as_the_contract_says(caller: Caller) -> None:
    sent = purchase()
    answer = place_over_http(caller, sent)
    body, order = parsed(answer), Order.objects.get()
    assert answer.status_code == 200
    assert body["orderId"] == order.order_id == f"MKT-{sent['marketplaceOrderId']}-01"
    assert (body["status"], body["message"]) == ("placed", None)
    assert body["orderData"]["marketplaceOrderId"] == sent["marketplaceOrderId"]
    assert (order.flow, order.status, order.sales_channel) == (
        "fulfillment",
        "order-accepted",
        "2",
    )
    assert (order.value_cents, order.affiliate_id, order.version) == (1200, "MKT", 1)
    assert kinds_of(order.order_id) == ["order.placed"]
    assert OrderEvent.objects.get().actor == caller.actor
    assert steps_of(order.order_id) == {"complete-order"}


def test_a_batch_is_answered_in_its_order(caller: Caller) -> None:
    sent = [purchase() for _ in range(3)]
    body = parsed(place_over_http(caller, sent))
    assert [result["marketplaceOrderId"] for result in body] == [
        one["marketplaceOrderId"] for one in sent
    ]
    assert Order.objects.count() == 3


def test_a_purchase_of_two_sellers_becomes_two_orders_of_one_group(caller: Caller) -> None:
    sent = purchase("1", "cups", "1")
    body = parsed(place_over_http(caller, sent))
    group = f"MKT-{sent['marketplaceOrderId']}"
    assert body["orderIds"] == [f"{group}-01", f"{group}-02"]
    orders = Order.objects.order_by("split_number")
    assert [(o.seller_id, o.value_cents, o.order_group) for o in orders] == [
        ("1", 2400, group), ("cups", 1200, group),
    ]  # fmt: skip


def test_the_same_again_is_the_same_order(caller: Caller) -> None:
    sent = purchase("1", "cups")
    first = parsed(place_over_http(caller, sent))
    before = OrderEvent.objects.count(), WorkItem.objects.count()
    again = place_over_http(caller, [sent, sent])
    assert again.status_code == 200
    assert [result["status"] for result in parsed(again)] == ["already-placed"] * 2
    assert {tuple(result["orderIds"]) for result in parsed(again)} == {tuple(first["orderIds"])}
    assert (OrderEvent.objects.count(), WorkItem.objects.count()) == before


def test_the_same_purchase_twice_in_a_batch_is_placed_once(caller: Caller) -> None:
    sent = purchase()
    body = parsed(place_over_http(caller, [sent, purchase(), sent]))
    assert [result["status"] for result in body] == ["placed", "placed", "already-placed"]
    assert Order.objects.count() == 2


def test_another_content_under_the_same_id_is_409(caller: Caller) -> None:
    sent = purchase()
    place_over_http(caller, sent)
    before = Order.objects.values().get()
    answer = place_over_http(caller, {**sent, "marketplacePaymentValue": 1})
    error = refusal(answer, 409, "placed_differently")
    assert sent["marketplaceOrderId"] in error["message"]
    assert Order.objects.values().get() == before


def test_the_same_id_under_another_affiliate_is_another_order(caller: Caller) -> None:
    sent = purchase()
    assert place_over_http(caller, sent).status_code == 200
    assert place_over_http(caller, sent, "OWN").status_code == 200
    assert Order.objects.count() == 2


def test_an_order_id_that_an_import_took_is_a_conflict_and_no_false_receipt(
    caller: Caller,
) -> None:
    sent = purchase()
    taken = f"MKT-{sent['marketplaceOrderId']}-01"
    place(order_id=taken, is_imported=True)
    refusal(place_over_http(caller, sent), 409, "placed_differently")
    body = parsed(place_over_http(caller, [sent, purchase()]))
    assert [result["status"] for result in body] == ["conflict", "placed"]


MISSING = object()


MISTAKES = [
    ("marketplaceOrderId", MISSING, "marketplaceOrderId"),
    ("marketplacePaymentValue", MISSING, "marketplacePaymentValue"),
    ("items", MISSING, "items"),
    ("clientProfileData", MISSING, "clientProfileData"),
    ("clientProfileData.email", MISSING, "clientProfileData.email"),
    ("shippingData.address.city", MISSING, "shippingData.address.city"),
    ("marketplaceOrderId", "a/b", "marketplaceOrderId"),
    ("marketplaceOrderId", "", "marketplaceOrderId"),
    ("marketplaceOrderId", "x" * 121, "marketplaceOrderId"),
    ("marketplacePaymentValue", -1, "marketplacePaymentValue"),
    ("marketplacePaymentValue", "12.00", "marketplacePaymentValue"),
    ("items", [], "items"),
    ("items.0.quantity", 0, "items[0].quantity"),
    ("items.0.quantity", 1.5, "items[0].quantity"),
    ("items.0.quantity", True, "items[0].quantity"),
    ("items.0.price", -1, "items[0].price"),
    ("items.0.price", 9.99, "items[0].price"),
    ("items.0.id", None, "items[0].id"),
    ("items.0.seller", "", "items[0].seller"),
    ("items.0", "SKU", "items[0]"),
]


@pytest.mark.parametrize(("path", "value", "field"), MISTAKES)
def test_a_mistake_is_named_by_its_field_and_nothing_is_placed(
    caller: Caller, path: str, value: object, field: str
) -> None:
    sent = purchase("1", "cups")
    _spoil(sent, path, value)
    error = refusal(place_over_http(caller, sent), 400, "invalid")
    assert f"[0].{field}" in [detail["field"] for detail in error["details"]]
    assert (Order.objects.count(), WorkItem.objects.count()) == (0, 0)


def _spoil(sent: Any, path: str, value: object) -> None:
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for parent in parents:
        sent = sent[parent]
    if value is MISSING:
        del sent[last]
    else:
        sent[last] = value


def test_a_mistake_in_one_purchase_does_not_hold_up_the_others(caller: Caller) -> None:
    bad = purchase("1", "cups")
    bad["items"][1]["quantity"] = 0
    good = purchase()
    answer = place_over_http(caller, [bad, good, "rubbish"])
    body = parsed(answer)
    assert answer.status_code == 200
    assert [result["status"] for result in body] == ["invalid", "placed", "invalid"]
    assert body[0]["errors"][0]["field"] == "items[1].quantity"
    assert body[0]["orderId"] is None
    assert Order.objects.get().marketplace_order_id == good["marketplaceOrderId"]


@pytest.mark.parametrize("affiliate", ["", "NOPE", "OFF", "x" * 500, "%00", "a%20b"])
def test_an_unknown_affiliate_is_answered_with_those_there_are(
    caller: Caller, affiliate: str
) -> None:
    answer = place_over_http(caller, purchase(), affiliate)
    assert answer.status_code == 400
    if affiliate not in ("", "%00"):
        details = refusal(answer, 400, "invalid")["details"]
        assert details[0]["field"] == "affiliateId"
        assert details[0]["allowed"] == ["MKT", "OWN"]
    assert not Order.objects.exists()


def test_a_key_places_for_its_own_affiliates_only() -> None:
    caller = Caller([Scope.PLACE_ORDERS], affiliate_ids=["OWN"])
    answer = place_over_http(caller, purchase(), "MKT")
    assert refusal(answer, 400, "invalid")["details"][0]["allowed"] == ["OWN"]
    assert place_over_http(caller, purchase(), "OWN").status_code == 200


def test_a_key_of_certain_sellers_places_nothing_for_others() -> None:
    caller = Caller([Scope.PLACE_ORDERS], seller_ids=["7", "8"])
    error = refusal(place_over_http(caller, purchase()), 400, "invalid")
    assert error["details"] == [
        {"field": "[0].items", "message": "Not a seller of this key.", "allowed": ["7", "8"]}
    ]
    assert not Order.objects.exists()
    own = Caller([Scope.PLACE_ORDERS], seller_ids=["1"])
    assert place_over_http(own, purchase()).status_code == 200


def test_other_keys_do_not_place() -> None:
    others = set(Scope) - {Scope.PLACE_ORDERS, Scope.ORDERS_FULL_ACCESS}
    refusal(place_over_http(Caller(others), purchase()), 403, "forbidden")
    assert not Order.objects.exists()


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"7", b'"x"', b"{}", b"[[]]", b"[null]"])
def test_a_body_that_holds_no_purchase_is_400(caller: Caller, body: bytes) -> None:
    answer = caller.ask("POST", "fulfillment/pvt/orders?affiliateId=MKT", body)
    assert answer.status_code == 400, parsed(answer)
    assert not Order.objects.exists()


def test_five_hundred_purchases_are_one_batch(caller: Caller) -> None:
    sent = [purchase("1", "cups") for _ in range(500)]
    body = parsed(place_over_http(caller, sent))
    assert {result["status"] for result in body} == {"placed"}
    assert Order.objects.count() == OrderEvent.objects.count() == WorkItem.objects.count() == 1000


def test_more_purchases_than_a_batch_holds_are_400(caller: Caller, settings: Settings) -> None:
    settings.PLACEMENT_MAX_PURCHASES = 2
    answer = place_over_http(caller, [purchase() for _ in range(3)])
    assert answer.status_code == 400
    assert not Order.objects.exists()


def test_a_sales_channel_of_any_length_is_refused_or_kept_whole(caller: Caller) -> None:
    answer = caller.post(f"fulfillment/pvt/orders?affiliateId=MKT&sc={'9' * 21}", purchase())
    assert refusal(answer, 400, "invalid")["details"][0]["field"] == "sc"
