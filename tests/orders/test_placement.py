"""A place-order request: checked field by field, split by seller, without losing a cent."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from oms.orders.documents.errors import DocumentError
from oms.orders.documents.placement import PurchaseResult, read_placement
from oms.orders.documents.splitting import apportion, apportion_payments, unit_prices
from oms.orders.statuses import Flow, Priority
from tests.orders.documents import purchase

NOW = datetime(2024, 3, 8, 12, tzinfo=UTC)
Change = Callable[[dict[str, Any]], Any]


def read(*purchases: Any, flow: Flow = Flow.COMPLETE, channel: str = "1") -> list[PurchaseResult]:
    return read_placement(
        list(purchases), affiliate_id="MKP", sales_channel=channel, flow=flow, now=NOW
    )


def read_one(**changes: Any) -> PurchaseResult:
    (result,) = read(purchase(**changes))
    return result


BAD: list[tuple[str, Change, str, str]] = [
    ("no id", lambda p: p.pop("marketplaceOrderId"), "marketplaceOrderId", "required"),
    ("blank id", lambda p: p.update(marketplaceOrderId=""), "marketplaceOrderId", "blank"),
    ("slash", lambda p: p.update(marketplaceOrderId="a/b"), "marketplaceOrderId", "slash"),
    (
        "long id",
        lambda p: p.update(marketplaceOrderId="x" * 121),
        "marketplaceOrderId",
        "at most 120",
    ),
    (
        "no endpoint",
        lambda p: p.pop("marketplaceServicesEndpoint"),
        "marketplaceServicesEndpoint",
        "required",
    ),
    (
        "paid a fraction",
        lambda p: p.update(marketplacePaymentValue=37.5),
        "marketplacePaymentValue",
        "whole cents",
    ),
    (
        "paid less than nothing",
        lambda p: p.update(marketplacePaymentValue=-1),
        "marketplacePaymentValue",
        "from 0",
    ),
    ("created async", lambda p: p.update(isCreatedAsync="no"), "isCreatedAsync", "true or false"),
    ("no items", lambda p: p.update(items=[]), "items", "at least one item"),
    ("items are text", lambda p: p.update(items="x"), "items", "a list"),
    ("item is null", lambda p: p["items"].append(None), "items[2]", "an object"),
    ("no sku", lambda p: p["items"][0].pop("id"), "items[0].id", "required"),
    ("no seller", lambda p: p["items"][0].pop("seller"), "items[0].seller", "required"),
    ("no price", lambda p: p["items"][0].pop("price"), "items[0].price", "required"),
    ("quantity", lambda p: p["items"][0].update(quantity=0), "items[0].quantity", "from 1"),
    ("price below 0", lambda p: p["items"][0].update(price=-1), "items[0].price", "from 0"),
    (
        "discount",
        lambda p: p["items"][0].update(priceTags=[{"value": -1501}]),
        "items[0].priceTags",
        "exceed",
    ),
    (
        "price tag without value",
        lambda p: p["items"][0].update(priceTags=[{"name": "x"}]),
        "items[0].priceTags[0].value",
        "required",
    ),
    ("no client", lambda p: p.pop("clientProfileData"), "clientProfileData", "required"),
    (
        "no e-mail",
        lambda p: p["clientProfileData"].update(email=None),
        "clientProfileData.email",
        "required",
    ),
    (
        "document as a list",
        lambda p: p["clientProfileData"].update(document=[]),
        "clientProfileData.document",
        "text, got a list",
    ),
    ("no shipping", lambda p: p.pop("shippingData"), "shippingData", "required"),
    (
        "no street",
        lambda p: p["shippingData"]["address"].pop("street"),
        "shippingData.address.street",
        "required",
    ),
    (
        "outdated shipping",
        lambda p: p["shippingData"].update(updateStatus="outdated"),
        "shippingData.updateStatus",
        "outdated",
    ),
    (
        "no option",
        lambda p: p["shippingData"]["logisticsInfo"][0].pop("selectedSla"),
        "shippingData.logisticsInfo[0].selectedSla",
        "required",
    ),
    (
        "an item that is not there",
        lambda p: p["shippingData"]["logisticsInfo"][0].update(itemIndex=2),
        "shippingData.logisticsInfo[0].itemIndex",
        "no item",
    ),
    (
        "shipping twice",
        lambda p: p["shippingData"]["logisticsInfo"][0].update(itemIndex=1),
        "shippingData.logisticsInfo[1].itemIndex",
        "twice",
    ),
    ("payment as text", lambda p: p.update(paymentData="card"), "paymentData", "an object"),
    (
        "payment without value",
        lambda p: p.update(paymentData={"payments": [{}]}),
        "paymentData.transactions[0].payments[0].value",
        "required",
    ),
    ("NUL", lambda p: p.update(openTextField="\x00"), "openTextField", "NUL"),
    ("our own mark", lambda p: p.update({"$placed": {}}), "$placed", "reserved"),
    (
        "a mark in an item",
        lambda p: p["items"][0].update({"$imported": 1}),
        "items[0]",
        "reserved",
    ),
]


@pytest.mark.parametrize(
    ("change", "field", "words"), [row[1:] for row in BAD], ids=[r[0] for r in BAD]
)
def test_a_bad_field_is_refused_with_its_path(change: Change, field: str, words: str) -> None:
    sold = purchase()
    change(sold)
    (result,) = read(sold)
    errors = [error for error in result.errors if error.field.startswith(field)]
    assert words in str(errors[0])
    assert result.drafts == ()


def test_one_bad_purchase_does_not_hold_up_the_others() -> None:
    results = read(
        purchase(), {"marketplaceOrderId": "M-2"}, "x", purchase(marketplaceOrderId="M-3")
    )
    assert [len(result.drafts) for result in results] == [2, 0, 0, 2]
    assert [bool(result.errors) for result in results] == [False, True, True, False]
    assert [result.marketplace_order_id for result in results] == ["M-1", "M-2", "", "M-3"]


@pytest.mark.parametrize(
    ("body", "words"),
    [([], "at least one order"), ([{}] * 1001, "at most 1000 orders")],
)
def test_a_body_that_is_no_batch_is_refused(body: Any, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        read_placement(body, affiliate_id="M", sales_channel="", flow=Flow.COMPLETE, now=NOW)


def test_a_sales_channel_that_no_column_holds_is_refused() -> None:
    with pytest.raises(DocumentError, match="sc: expected at most 20"):
        read(purchase(), channel="x" * 21)


def test_a_single_purchase_needs_no_list_around_it() -> None:
    (result,) = read_placement(
        purchase(), affiliate_id="MKP", sales_channel="1", flow=Flow.COMPLETE, now=NOW
    )
    assert [draft.order_id for draft in result.drafts] == ["MKP-M-1-01", "MKP-M-1-02"]


def test_too_many_items_are_refused(settings: Settings) -> None:
    settings.PLACEMENT_MAX_ITEMS = 1
    (error,) = read_one(shippingData={}).errors
    assert str(error) == "items: expected at most 1 items"


def test_each_seller_gets_an_order_with_its_own_lines_and_shipping() -> None:
    line = {"id": "33", "quantity": 2, "seller": "a", "price": 10}
    sold = purchase()
    sold["items"].append(line)
    sold["shippingData"]["logisticsInfo"].append(
        {"itemIndex": 2, "selectedSla": "Express", "price": 7}
    )
    first, second = read(sold)[0].drafts
    assert [item.sku_id for item in first.items] == ["11", "33"]
    assert [item.index for item in first.items] == [0, 1]
    assert (first.value_cents, second.value_cents) == (1_527, 2_200)
    assert (first.item_count, second.item_count) == (5, 1)
    assert (first.seller_id, second.seller_id) == ("a", "b")
    assert (first.split_number, second.split_number) == (1, 2)
    assert {first.order_group, second.order_group} == {"MKP-M-1"}
    entries = first.extra["shippingData"]["logisticsInfo"]
    assert [(entry["itemIndex"], entry["price"]) for entry in entries] == [(0, 0), (1, 7)]
    assert (first.is_express, first.priority) == (True, Priority.URGENT)
    assert (second.is_express, second.priority) == (False, Priority.NORMAL)
    totals = {total["id"]: total["value"] for total in first.extra["totals"]}
    assert totals == {"Items": 1_520, "Discounts": 0, "Shipping": 7, "Tax": 0}


def test_what_nobody_knows_is_kept_and_what_is_the_orders_own_is_not() -> None:
    draft = read_one(gift={"wrap": True}, status="invoiced", packageAttachment={"x": 1}).drafts[0]
    assert draft.extra["gift"] == {"wrap": True}
    assert draft.status == "order-created"
    assert "status" not in draft.extra
    assert "packageAttachment" not in draft.extra
    assert draft.items[0].extra["commission"] == 10


@pytest.mark.parametrize(
    ("flow", "origin", "status", "seller_order_id"),
    [
        (Flow.COMPLETE, "Marketplace", "order-created", ""),
        (Flow.MARKETPLACE, "Marketplace", "order-created", ""),
        (Flow.CHAIN, "Chain", "order-created", ""),
        (Flow.FULFILLMENT, "Fulfillment", "order-accepted", "MKP-M-1-01"),
    ],
)
def test_an_order_starts_where_its_flow_starts(
    flow: Flow, origin: str, status: str, seller_order_id: str
) -> None:
    draft = read(purchase(), flow=flow)[0].drafts[0]
    assert (draft.flow, draft.origin, draft.status) == (flow, origin, status)
    assert draft.seller_order_id == seller_order_id
    assert not draft.is_imported


def test_a_pickup_address_makes_a_pickup_order() -> None:
    sold = purchase()
    sold["shippingData"]["address"]["addressType"] = "Pickup"
    draft = read(sold)[0].drafts[0]
    assert (draft.delivery_channel, draft.priority) == ("pickup-in-point", Priority.URGENT)


def test_the_promised_date_comes_from_the_estimate() -> None:
    first, second = read_one().drafts
    assert first.shipping_estimate_at == datetime(2024, 3, 13, 12, tzinfo=UTC)
    assert second.shipping_estimate_at == datetime(2024, 3, 15, 12, tzinfo=UTC)


def test_a_discount_that_does_not_divide_by_the_quantity_stays_exact() -> None:
    sold = purchase()
    sold["items"][0]["priceTags"] = [{"name": "promo", "value": -100, "rawValue": -1}]
    (line,) = read(sold)[0].drafts[0].items
    assert (line.price_cents, line.selling_price_cents) == (500, 466)
    assert line.extra["priceDefinition"] == {
        "sellingPrices": [{"value": 466, "quantity": 1}, {"value": 467, "quantity": 2}],
        "calculatedSellingPrice": 466,
        "total": 1_400,
        "reason": None,
    }


def test_two_lines_of_one_sku_are_two_lines() -> None:
    sold = purchase()
    sold["items"][1] = dict(sold["items"][0])
    (draft,) = read(sold)[0].drafts
    assert [item.sku_id for item in draft.items] == ["11", "11"]
    assert len({item.unique_id for item in draft.items}) == 2
    assert all(len(item.unique_id) == 32 for item in draft.items)


def test_without_payments_the_marketplaces_is_shared_out() -> None:
    first, second = read_one(marketplacePaymentValue=3_701).drafts
    assert [payment.value_cents for payment in (*first.payments, *second.payments)] == [
        1_500,
        2_201,
    ]
    assert first.extra["$placed"]["difference"] == 1
    assert first.extra["$placed"]["marketplace_payment_value"] == 3_701
    assert (first.value_cents, second.value_cents) == (1_500, 2_200)


def test_payments_come_from_transactions_or_from_a_plain_list() -> None:
    paid = [
        {"id": "A", "paymentSystem": 2, "value": 3_000, "cvv2": "123", "cardNumber": "4111"},
        {"id": "B", "value": 700, "group": "giftCard"},
    ]
    plain = read_one(paymentData={"payments": paid, "giftCards": [{"id": "g"}]})
    told = read_one(
        paymentData={"transactions": [{"transactionId": "T", "payments": paid}], "x": 1}
    )
    for result in (plain, told):
        first, second = result.drafts
        assert sum(payment.value_cents for payment in first.payments) == 1_500
        assert sum(payment.value_cents for payment in second.payments) == 2_200
        assert [payment.payment_id for payment in first.payments] == ["A", "B"]
        assert "4111" not in repr(result)
        assert "'123'" not in repr(result)
    assert told.drafts[0].payments[0].transaction_id == "T"
    assert told.drafts[0].extra["paymentData"]["transactions"] == [{"transactionId": "T"}]
    assert plain.drafts[0].extra["paymentData"]["giftCards"] == [{"id": "g"}]


def test_the_same_purchase_has_the_same_hash_and_another_has_not() -> None:
    first = read_one().content_hash
    assert read_one().content_hash == first
    assert read(purchase(), channel="2")[0].content_hash != first
    assert read_one(openTextField="x").content_hash != first
    shuffled = dict(reversed(purchase().items()))
    assert read(shuffled)[0].content_hash == first
    assert read_one().drafts == read_one().drafts


def test_a_purchase_that_is_sent_twice_in_one_request_is_placed_once() -> None:
    results = read(purchase(), purchase(), purchase(openTextField="other"))
    assert [len(result.drafts) for result in results] == [2, 0, 0]
    assert [result.repeats for result in results] == [None, 0, None]
    assert "other content by order 0" in str(results[2].errors[0])


CENTS = st.integers(0, 10**12)


@given(CENTS, st.lists(CENTS, min_size=1, max_size=20))
def test_apportioning_loses_no_cent_and_is_fair_to_a_cent(amount: int, weights: list[int]) -> None:
    parts = apportion(amount, weights)
    assert sum(parts) == amount
    assert min(parts) >= 0
    if total := sum(weights):
        for part, weight in zip(parts, weights, strict=True):
            assert abs(part * total - amount * weight) < total
        if amount <= total:
            assert all(part <= weight for part, weight in zip(parts, weights, strict=True))


@given(st.lists(CENTS, min_size=1, max_size=6), st.lists(CENTS, min_size=1, max_size=6))
def test_payments_are_shared_out_whole(payments: list[int], values: list[int]) -> None:
    rows = apportion_payments(payments, values)
    assert [sum(row) for row in rows] == payments
    assert all(part >= 0 for row in rows for part in row)


@given(st.data(), st.lists(CENTS, min_size=1, max_size=6), st.integers(1, 6))
def test_payments_that_fit_pay_each_order_exactly(
    data: st.DataObject, values: list[int], count: int
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, sum(values)), min_size=count, max_size=count)))
    bounds = [0, *cuts, sum(values)]
    payments = [after - before for before, after in pairwise(bounds)]
    columns = zip(*apportion_payments(payments, values), strict=True)
    assert [sum(column) for column in columns] == values


@given(CENTS, st.integers(1, 10**6))
def test_unit_prices_add_up_to_the_line(total: int, quantity: int) -> None:
    prices = unit_prices(total, quantity)
    assert sum(price * count for price, count in prices) == total
    assert sum(count for _, count in prices) == quantity
    assert prices[-1][0] - prices[0][0] <= 1


LINES = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["11", "22"]),
            "seller": st.sampled_from(["a", "b", "c"]),
            "quantity": st.integers(1, 50),
            "price": st.integers(0, 10**7),
            "tax": st.integers(0, 10**5),
            "bundleItems": st.lists(
                st.fixed_dictionaries({"price": st.integers(0, 999)}), max_size=2
            ),
        }
    ),
    min_size=1,
    max_size=8,
)


@given(LINES, st.lists(st.integers(0, 10**5), min_size=8, max_size=8), st.integers(0, 10**9))
def test_the_orders_of_a_purchase_are_worth_what_the_purchase_is(
    lines: list[dict[str, Any]], shipping: list[int], paid: int
) -> None:
    total = sum(
        line["quantity"] * line["price"]
        + line["tax"]
        + sum(bundle["price"] for bundle in line["bundleItems"])
        + price
        for line, price in zip(lines, shipping, strict=False)
    )
    entries = [
        {"itemIndex": index, "selectedSla": "Normal", "price": price}
        for index, price in enumerate(shipping[: len(lines)])
    ]
    result = read_one(
        items=lines, shippingData={"logisticsInfo": entries}, marketplacePaymentValue=paid
    )
    assert result.errors == ()
    assert sum(draft.value_cents for draft in result.drafts) == total
    assert sum(p.value_cents for draft in result.drafts for p in draft.payments) == paid
    assert {draft.extra["$placed"]["difference"] for draft in result.drafts} == {paid - total}
    for draft in result.drafts:
        assert sum(row["value"] for row in draft.extra["totals"]) == draft.value_cents


@pytest.mark.parametrize(
    ("flow", "refused"),
    [(Flow.COMPLETE, True), (Flow.MARKETPLACE, True), (Flow.FULFILLMENT, False)],
)
def test_payments_below_the_order_are_refused_where_the_payment_is_ours(
    flow: Flow, refused: bool
) -> None:
    paid = {"payments": [{"paymentSystem": "2", "group": "creditCard", "value": 1}]}

    (result,) = read(purchase(paymentData=paid), flow=flow)

    assert [error.field for error in result.errors] == (["paymentData"] if refused else [])
