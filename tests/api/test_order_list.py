"""The order list over HTTP: its shape, its filters, its pages, what a key may see of it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from oms.access.scopes import Scope
from oms.orders.documents.drafts import (
    ClientDraft,
    ItemDraft,
    OrderDraft,
    PackageDraft,
    PaymentDraft,
)
from oms.orders.models import Order
from oms.orders.statuses import Flow, Status
from oms.orders.writing import insert_orders
from tests.api.callers import Caller, fields_of, parsed, refusal
from tests.factories import order_draft
from tests.workflow.stories import item_of, place, place_in
from workflow.steps import Step
from workflow.work import park_item

pytestmark = pytest.mark.django_db

LIST = "oms/pvt/orders"
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
ROW_KEYS = {
    "orderId", "creationDate", "clientName", "items", "totalValue", "paymentNames", "status",
    "statusDescription", "marketPlaceOrderId", "sequence", "salesChannel", "affiliateId", "origin",
    "workflowInErrorState", "workflowInRetry", "lastMessageUnread", "ShippingEstimatedDate",
    "ShippingEstimatedDateMax", "ShippingEstimatedDateMin", "orderIsComplete", "listId", "listType",
    "authorizedDate", "callCenterOperatorName", "totalItems", "currencyCode",
}  # fmt: skip


@pytest.fixture
def caller() -> Caller:
    return Caller([Scope.LIST_ORDERS])


def write(*drafts: OrderDraft) -> list[str]:
    with transaction.atomic():
        insert_orders(drafts)
    return [draft.order_id for draft in drafts]


def ask(caller: Caller, *pairs: tuple[str, object], **given: object) -> Any:
    query = urlencode([*pairs, *given.items()])
    answer = caller.get(f"{LIST}?{query}")
    assert answer.status_code == 200, answer.content
    return parsed(answer)


def found(caller: Caller, *pairs: tuple[str, object], **given: object) -> set[str]:
    return {row["orderId"] for row in ask(caller, *pairs, **given)["list"]}


def one_and_another(caller: Caller, one: dict[str, Any], another: dict[str, Any]) -> str:
    """This function will write two orders and return the id of the first."""
    first, _ = write(order_draft(**one), order_draft(**another))
    return first


def test_a_row_has_the_keys_of_the_contract(caller: Caller) -> None:
    order_id = write(
        order_draft(
            created_at=NOON,
            value_cents=1234,
            item_count=3,
            seller_id="1",
            affiliate_id="MKP",
            sales_channel="2",
            payments=[
                PaymentDraft(index=0, payment_id="A", payment_system_name="Visa", value_cents=1),
                PaymentDraft(index=1, payment_id="B", payment_system_name="Gift", value_cents=1),
            ],
            extra={
                "callCenterOperatorData": {"userName": "Op", "email": "op@example.com"},
                "giftRegistryData": {"giftRegistryId": "L1", "giftRegistryTypeName": "Wedding"},
            },
        )
    )[0]
    (row,) = ask(caller)["list"]
    assert set(row) == ROW_KEYS
    assert row | {"sequence": "", "marketPlaceOrderId": ""} == {
        "orderId": order_id,
        "creationDate": "2026-03-10T12:00:00.0000000+00:00",
        "clientName": "Ana Lima",
        "items": None,
        "totalValue": 1234,
        "paymentNames": "Visa, Gift",
        "status": "order-created",
        "statusDescription": "Order created",
        "marketPlaceOrderId": "",
        "sequence": "",
        "salesChannel": "2",
        "affiliateId": "MKP",
        "origin": "Marketplace",
        "workflowInErrorState": False,
        "workflowInRetry": False,
        "lastMessageUnread": None,
        "ShippingEstimatedDate": None,
        "ShippingEstimatedDateMax": None,
        "ShippingEstimatedDateMin": None,
        "orderIsComplete": True,
        "listId": "L1",
        "listType": "Wedding",
        "authorizedDate": None,
        "callCenterOperatorName": "Op",
        "totalItems": 3,
        "currencyCode": "BRL",
    }


def test_an_empty_list_has_the_whole_shape(caller: Caller) -> None:
    answer = ask(caller)
    assert (answer["list"], answer["facets"]) == ([], [])
    assert answer["paging"] == {
        "total": 0,
        "pages": 0,
        "currentPage": 1,
        "perPage": 15,
        "isTotalExact": True,
        "nextCursor": None,
    }
    assert answer["stats"]["stats"]["totalValue"]["Count"] == 0
    assert ask(caller, q="nobody")["list"] == []


def test_a_status_that_only_newer_code_knows_is_listed_as_it_is(caller: Caller) -> None:
    (order_id,) = write(order_draft())
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orders_order DROP CONSTRAINT order_status_is_known")
    Order.objects.filter(order_id=order_id).update(status="being-gift-wrapped")
    (row,) = ask(caller)["list"]
    assert row["status"] == row["statusDescription"] == "being-gift-wrapped"


def test_an_order_whose_work_is_parked_says_so(caller: Caller) -> None:
    place()
    order_id = place_in(Status.PAYMENT_PENDING)
    park_item(item_of(order_id, Step.AUTHORIZE_PAYMENT).pk, cause="HTTP 500", error="")
    rows = {row["orderId"]: row["workflowInErrorState"] for row in ask(caller)["list"]}
    assert rows[order_id] is True
    assert sorted(rows.values()) == [False, True]


DAY = timedelta(days=1)
TODAY = datetime.now(UTC).replace(hour=12)


def payment(**given: Any) -> list[PaymentDraft]:
    facts: dict[str, Any] = {"index": 0, "payment_id": "P", "value_cents": 1000} | given
    return [PaymentDraft(**facts)]


def package(kind: str, *, is_delivered: bool = False) -> list[PackageDraft]:
    return [
        PackageDraft(
            index=0,
            type=kind,
            invoice_number="NF",
            invoice_value_cents=1000,
            issued_at=NOON,
            is_delivered=is_delivered,
        )
    ]


def line(sku: str) -> list[ItemDraft]:
    return [
        ItemDraft(
            unique_id="U", index=0, sku_id=sku, quantity=1, price_cents=1, selling_price_cents=1
        )
    ]


def client(**given: Any) -> ClientDraft:
    facts: dict[str, Any] = {"email": "zoe@example.com", "first_name": "Zoe", "last_name": "Diaz"}
    return ClientDraft(**facts | given)


def promotions(*names: str) -> dict[str, Any]:
    identifiers = [{"name": name, "id": "1"} for name in names]
    return {"extra": {"ratesAndBenefitsData": {"rateAndBenefitsIdentifiers": identifiers}}}


def operator(**given: str) -> dict[str, Any]:
    return {"extra": {"callCenterOperatorData": given}}


RANGE = "[2026-03-10T00:00:00.000Z TO 2026-03-10T23:59:59.999Z]"
GIFTS = {"extra": {"giftRegistryData": {"giftRegistryId": "11223"}}}
ANSWERED = payment(extra={"connectorResponses": {"Tid": "70329", "Nsu": 2437281}})
# Parameter, value, an order that it finds, an order that it does not.
FILTERS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("f_creationDate", f"creationDate:{RANGE}", {"created_at": NOON}, {"created_at": NOON - DAY}),
    (
        "f_creationDate",
        "[2026-03-10 TO 2026-03-10]",
        {"created_at": NOON},
        {"created_at": NOON + DAY},
    ),
    (
        "f_creationDate",
        "creationDate:[* TO 2026-03-10]",
        {"created_at": NOON},
        {"created_at": NOON + DAY},
    ),
    (
        "f_authorizedDate",
        f"authorizedDate:{RANGE}",
        {"authorized_at": NOON},
        {"authorized_at": NOON + DAY},
    ),
    ("f_authorizedDate", f"creationDate:{RANGE}", {"authorized_at": NOON}, {"created_at": NOON}),
    ("f_invoicedDate", f"invoicedDate:{RANGE}", {"invoiced_at": NOON}, {"created_at": NOON}),
    (
        "f_shippingEstimate",
        "0.days",
        {"shipping_estimate_at": TODAY},
        {"shipping_estimate_at": TODAY + DAY},
    ),
    (
        "f_shippingEstimate",
        "1.days",
        {"shipping_estimate_at": TODAY + DAY},
        {"shipping_estimate_at": TODAY},
    ),
    (
        "f_shippingEstimate",
        "7.days",
        {"shipping_estimate_at": TODAY + 7 * DAY},
        {"shipping_estimate_at": TODAY + 8 * DAY},
    ),
    (
        "f_shippingEstimate",
        "-1.days",
        {"shipping_estimate_at": TODAY - DAY},
        {"shipping_estimate_at": TODAY},
    ),
    (
        "f_shippingEstimate",
        "-1.days",
        {"shipping_estimate_at": TODAY - DAY, "packages": package("Output")},
        {"shipping_estimate_at": TODAY - DAY, "packages": package("Output", is_delivered=True)},
    ),
    (
        "f_shippingEstimate",
        "-1.days",
        {"shipping_estimate_at": TODAY - DAY, "status": "invoiced"},
        {"shipping_estimate_at": TODAY - 100 * DAY, "status": "invoiced"},
    ),
    ("f_status", "handling", {"status": "handling"}, {"status": "invoiced"}),
    ("f_status", "waiting-for-sellers-confirmation", {"status": "waiting-for-authorization"}, {}),
    ("f_status", "Ready for Handling", {"status": "ready-for-handling"}, {}),
    ("f_hasInputInvoice", "true", {"packages": package("Input")}, {"packages": package("Output")}),
    (
        "f_hasInputInvoice",
        "false",
        {"packages": package("Output")},
        {"packages": package("Input")},
    ),
    ("f_hasOutputInvoice", "True", {"packages": package("Output")}, {}),
    (
        "f_UtmSource",
        "christmas",
        {"extra": {"marketingData": {"utmSource": "christmas"}}},
        {"extra": {"marketingData": {"utmSource": "christmas2"}}},
    ),
    ("f_utmSource", "christmas", {"extra": {"marketingData": {"utmSource": "christmas"}}}, {}),
    (
        "f_sellerNames",
        "Shoes & Co",
        {"seller_id": "7", "seller_name": "Shoes & Co"},
        {"seller_id": "8", "seller_name": "Shoes"},
    ),
    ("f_sellerNames", "7", {"seller_id": "7"}, {"seller_id": "77"}),
    ("f_callCenterOperatorName", "Bo Li", operator(userName="Bo Li"), operator(userName="Bo")),
    ("f_callCenterOperatorName", "bo@example.com", operator(email="bo@example.com"), {}),
    ("f_salesChannel", "Main", {"sales_channel": "1"}, {"sales_channel": "2"}),
    ("f_salesChannel", "2", {"sales_channel": "2"}, {"sales_channel": "1"}),
    ("salesChannelId", "1", {"sales_channel": "1"}, {"sales_channel": "11"}),
    ("f_affiliateId", "WLM", {"affiliate_id": "WLM"}, {"affiliate_id": "WLX"}),
    ("incompleteOrders", "true", {"is_complete": False}, {}),
    ("incompleteOrders", "false", {}, {"is_complete": False}),
    (
        "f_paymentNames",
        "Visa",
        {"payments": payment(payment_system_name="Visa")},
        {"payments": payment(payment_system_name="Visa Electron")},
    ),
    ("f_RnB", "Free Shipping", promotions("Other", "Free Shipping"), promotions("Free")),
    ("f_isInstore", "true", {"extra": {"isCheckedIn": True}}, {"extra": {"isCheckedIn": False}}),
    ("f_isInstore", "false", {"extra": {}}, {"extra": {"isCheckedIn": True}}),
    ("sku_Ids", "25", {"items": line("25")}, {"items": line("250")}),
    ("listId", "11223", GIFTS, {}),
    ("tid", "54546", {"payments": payment(tid="54546")}, {"payments": payment(tid="5454")}),
    ("tid", "T-1", {"payments": payment(transaction_id="T-1")}, {}),
    ("pci_tid", "70329", {"payments": ANSWERED}, {}),
    (
        "paymentId",
        "P-2",
        {"payments": payment(payment_id="P-2")},
        {"payments": payment(payment_id="P-20")},
    ),
    ("nsu", "2437281", {"payments": ANSWERED}, {}),
    ("q", "TST-findme-01", {"order_id": "TST-findme-01"}, {}),
    ("q", "TST-find", {"order_id": "TST-findme-01"}, {"order_id": "TST-other-01"}),
    ("q", "zoe@example.com", {"client": client()}, {"client": client(email="zoe@example.org")}),
    ("q", "211.333.555-24", {"client": client(document="21133355524")}, {}),
    ("q", "zoe", {"client": client()}, {}),
    ("q", "Zoe  DIAZ", {"client": client()}, {}),
    ("q", "dia", {"client": client()}, {}),
    ("q", "acme", {"client": client(corporate_name="Acme Ltd")}, {}),
    ("q", "Ágata", {"client": client(first_name="Ágata")}, {"client": client(first_name="Agata")}),
]


@pytest.mark.parametrize(("name", "value", "one", "another"), FILTERS)
def test_a_filter_finds_what_it_says_and_nothing_else(
    caller: Caller,
    settings: Any,
    name: str,
    value: str,
    one: dict[str, Any],
    another: dict[str, Any],
) -> None:
    settings.SALES_CHANNEL_NAMES = {"1": "Main"}
    wanted = one_and_another(caller, one, another)
    assert found(caller, **{name: value}) == {wanted}


@pytest.mark.parametrize(
    ("parameters", "one"),
    [
        ({"searchField": "tid", "q": "X9"}, {"payments": payment(tid="X9")}),
        ({"searchField": "tid&tid", "q": "X9"}, {"payments": payment(tid="X9")}),
        ({"searchField": "tid", "tid": "X9"}, {"payments": payment(tid="X9")}),
        ({"searchField": "tid:X9"}, {"payments": payment(tid="X9")}),
        ({"searchField": "SKU_IDS", "q": "25"}, {"items": line("25")}),
        ({"searchField": "25"}, {"items": line("25")}),
        ({"searchField": "11223"}, GIFTS),
        ({"searchField": "2437281"}, {"payments": ANSWERED}),
    ],
)
def test_search_fields_are_read_in_every_way_they_are_written(
    caller: Caller, parameters: dict[str, str], one: dict[str, Any]
) -> None:
    wanted = one_and_another(caller, one, {})
    assert found(caller, **parameters) == {wanted}


def test_a_search_field_without_anything_to_look_for_is_refused(caller: Caller) -> None:
    assert fields_of(caller.get(f"{LIST}?searchField=nsu")) == ["searchField"]


def test_filters_apply_together_and_repeated_values_any_of_them(caller: Caller) -> None:
    a, b, c, _ = write(
        order_draft(status="handling", affiliate_id="AAA"),
        order_draft(status="invoiced", affiliate_id="AAA"),
        order_draft(status="handling", affiliate_id="BBB"),
        order_draft(status="canceled", affiliate_id="AAA"),
    )
    both = [("f_status", "handling"), ("f_status", "invoiced")]
    assert found(caller, *both, ("f_affiliateId", "AAA")) == {a, b}
    assert found(caller, f_status="handling,invoiced") == {a, b, c}
    assert len(found(caller, f_status="$$ALL_VALUES$$")) == 4


def test_five_hundred_statuses_are_taken(caller: Caller) -> None:
    (wanted,) = write(order_draft(status="handling"))
    statuses = [("f_status", status.value) for status in Status] * 14
    assert len(statuses) > 500
    assert found(caller, *statuses) == {wanted}


def test_unknown_parameters_are_ignored(caller: Caller) -> None:
    (wanted,) = write(order_draft())
    ignored = {"f_x__gte": "1", "ordering": "password", "seller_id__in": "x", "_stats": "1"}
    assert found(caller, **ignored) == {wanted}


REFUSED = [
    ("f_status", "handeling", "handling"),
    ("f_status", "handling,nonsense", ""),
    ("orderBy", "creationDate;drop table", "totalValue,desc"),
    ("orderBy", "client_profile__email,asc", "orderId,asc"),
    ("orderBy", "creationDate,up", "creationDate,desc"),
    ("f_creationDate", "yesterday", "creationDate:[* TO"),
    ("f_creationDate", "creationDate:[2026-13-01 TO 2026-13-02]", "creationDate:["),
    ("f_creationDate", "creationDate:[0001-01-01T00:00:00+14:00 TO *]", "creationDate:["),
    ("f_creationDate", "status:[2026-01-01 TO *]", "creationDate:["),
    ("f_shippingEstimate", "soon", "7.days"),
    ("f_shippingEstimate", "-2.days", "-1.days"),
    ("f_hasInputInvoice", "maybe", "true"),
    ("page", "0", "1 to 30"),
    ("page", "31", "1 to 30"),
    ("page", "99999999999999999999", "1 to 30"),
    ("page", "1.5", "1 to 30"),
    ("per_page", "101", "1 to 100"),
    ("per_page", "-1", "1 to 100"),
    ("cursor", "forged", ""),
]


@pytest.mark.parametrize(("name", "value", "allowed"), REFUSED)
def test_what_cannot_be_understood_is_refused_by_name_with_what_is_allowed(
    caller: Caller, name: str, value: str, allowed: str
) -> None:
    answer = caller.get(f"{LIST}?{urlencode({name: value})}")
    (detail,) = refusal(answer, 400, "invalid")["details"]
    assert detail["field"] == name
    assert allowed in " ".join([*detail.get("allowed", []), detail["message"]])


def test_several_mistakes_are_told_at_once(caller: Caller) -> None:
    answer = caller.get(f"{LIST}?f_status=x&f_isInstore=y")
    assert fields_of(answer) == ["f_status", "f_isInstore"]


@pytest.mark.parametrize(
    "text",
    ["'", '"', "%", "_", "\\", "a  b", "🧾🧾", "שלום", "x" * 10_240, "' OR 1=1 --", "100%", "a_b", "*",
     "\u202eabc", "seq99999999999999", "{{7*7}}", "+"],
)  # fmt: skip
def test_texts_of_any_kind_are_looked_for_as_they_are(caller: Caller, text: str) -> None:
    named = client(first_name=f"{text}"[:80], last_name="")
    plain, matching = write(order_draft(), order_draft(client=named))
    assert plain not in found(caller, q=text)
    if 1 < len(text.strip()) <= 80:
        assert found(caller, q=text) == {matching}


def test_a_plus_in_the_address_is_a_blank_and_an_escaped_one_is_a_plus(caller: Caller) -> None:
    (ana,) = write(order_draft(client=client(first_name="Ana", last_name="Sá")))
    (plus,) = write(order_draft(client=client(email="a+b@example.com", first_name="Eva")))
    assert {row["orderId"] for row in parsed(caller.get(f"{LIST}?q=Ana+S%C3%A1"))["list"]} == {ana}
    assert found(caller, q="a+b@example.com") == {plus}


SORTINGS = ["creationDate", "orderId", "items", "totalValue", "origin"]


def varied_orders(count: int) -> list[str]:
    return write(
        *(
            order_draft(
                flow=(Flow.COMPLETE, Flow.FULFILLMENT, Flow.CHAIN)[number % 3],
                created_at=NOON + timedelta(hours=number * 7 % 5),
                value_cents=1000 + number * 3 % 4,
                item_count=1 + number % 2,
            )
            for number in range(count)
        )
    )


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("field", SORTINGS)
def test_each_sorting_pages_through_everything_once_by_number_and_by_cursor(
    caller: Caller, field: str, direction: str
) -> None:
    everything = varied_orders(13)
    order_by = f"{field},{direction}"
    by_number = [
        row["orderId"]
        for page in (1, 2, 3, 4)
        for row in ask(caller, orderBy=order_by, page=page, per_page=4)["list"]
    ]
    by_cursor: list[str] = []
    values: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = ask(caller, orderBy=order_by, per_page=4, cursor=cursor)
        by_cursor += [row["orderId"] for row in answer["list"]]
        keys = {"items": "totalItems"}
        values += [row[keys.get(field, field)] for row in answer["list"]]
        cursor = answer["paging"]["nextCursor"]
    assert by_number == by_cursor
    assert sorted(by_number) == sorted(everything)
    assert values == sorted(values, reverse=direction == "desc")


def test_the_newest_come_first_where_nothing_else_is_asked(caller: Caller) -> None:
    old, young = write(order_draft(created_at=NOON), order_draft(created_at=NOON + DAY))
    assert [row["orderId"] for row in ask(caller)["list"]] == [young, old]


def test_paging_says_where_the_page_stands(caller: Caller) -> None:
    varied_orders(7)
    paging = ask(caller, page=2, per_page=3)["paging"]
    assert paging["nextCursor"]
    assert paging | {"nextCursor": ""} == {
        "total": 7,
        "pages": 3,
        "currentPage": 2,
        "perPage": 3,
        "isTotalExact": True,
        "nextCursor": "",
    }
    assert ask(caller, page=3, per_page=3)["paging"]["nextCursor"] is None
    assert ask(caller, page=4, per_page=3)["list"] == []


def test_a_cursor_of_another_sorting_is_refused(caller: Caller) -> None:
    varied_orders(3)
    cursor = ask(caller, per_page=1)["paging"]["nextCursor"]
    answer = caller.get(f"{LIST}?orderBy=totalValue,asc&cursor={cursor}")
    assert fields_of(answer) == ["cursor"]


def test_totals_beyond_what_is_counted_are_a_lower_bound_and_say_so(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms.orders.listing.MOST_COUNTED", 5)
    varied_orders(8)
    answer = ask(caller, per_page=2)
    assert (answer["paging"]["total"], answer["paging"]["isTotalExact"]) == (5, False)
    assert answer["stats"]["stats"]["totalValue"]["Count"] == 5


def test_a_key_sees_its_sellers_and_affiliates_alone_whatever_it_asks() -> None:
    mine, other_seller, other_affiliate = write(
        order_draft(seller_id="7", affiliate_id="AAA"),
        order_draft(seller_id="8", affiliate_id="AAA"),
        order_draft(seller_id="7", affiliate_id="BBB"),
    )
    scoped = Caller([Scope.LIST_ORDERS], seller_ids=["7"], affiliate_ids=["AAA"])
    for parameters in ({}, {"q": "TST"}, {"q": other_seller}, {"f_affiliateId": "BBB"}):
        assert found(scoped, **parameters) <= {mine}
    assert ask(scoped)["paging"]["total"] == 1
    assert found(Caller([Scope.LIST_ORDERS])) == {mine, other_seller, other_affiliate}


def test_a_key_without_the_scope_lists_nothing() -> None:
    refusal(Caller([Scope.OMS_VIEWER]).get(LIST), 403, "forbidden")


def test_a_page_of_a_hundred_costs_as_many_queries_as_a_page_of_one(caller: Caller) -> None:
    varied_orders(20)
    ask(caller)
    with CaptureQueriesContext(connection) as small:
        ask(caller, per_page=1)
    with CaptureQueriesContext(connection) as large:
        ask(caller, per_page=100)
    assert len(small) == len(large) <= 3


def test_a_changed_document_changes_what_it_is_found_by(caller: Caller) -> None:
    (order_id,) = write(order_draft(extra={"marketingData": {"utmSource": "old"}}))
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE orders_order SET extra = '{"marketingData": {"utmSource": "new"}}',"""
            " seller_id = '9', seller_name = 'New one'"
        )
    assert found(caller, f_UtmSource="old") == set()
    assert found(caller, f_UtmSource="new") == found(caller, f_sellerNames="New one") == {order_id}


@pytest.mark.parametrize(
    "extra",
    [
        {"marketingData": None},
        {"marketingData": {"utmSource": {"a": [1]}}},
        {"marketingData": {"utmSource": "x" * 100_000}},
        {"ratesAndBenefitsData": {"rateAndBenefitsIdentifiers": {"name": 5}}},
        {"ratesAndBenefitsData": [{"rateAndBenefitsIdentifiers": [[{"name": "x" * 9000}]]}]},
        {"callCenterOperatorData": "someone", "giftRegistryData": []},
        {"isCheckedIn": "yes"},
    ],
)
def test_documents_of_any_shape_can_be_written_and_listed(
    caller: Caller, extra: dict[str, Any]
) -> None:
    (order_id,) = write(order_draft(extra=extra))
    assert found(caller) == {order_id}
