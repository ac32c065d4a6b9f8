"""What used to hurt in lists elsewhere, and does not here. Numbers: research/vtex-oms.md, 8.2, 8.3."""

from typing import Any
from urllib.parse import urlencode

import pytest

from oms.access.scopes import Scope
from oms.orders.statuses import Status
from tests.api.callers import Caller, parsed
from tests.api.test_order_list import ask, client, found, payment, promotions, write
from tests.factories import order_draft
from tests.workflow.stories import order_of, place_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def caller() -> Caller:
    return Caller([Scope.LIST_ORDERS, Scope.WORKFLOW_ACTION, Scope.ORDERS_FULL_ACCESS])


def test_ki_577103_the_list_shows_the_status_that_the_order_has_at_once(caller: Caller) -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    assert found(caller, f_status="ready-for-handling") == {order_id}
    assert caller.post(f"oms/pvt/orders/{order_id}/start-handling").status_code == 204
    assert found(caller, f_status="ready-for-handling") == set()
    (row,) = ask(caller)["list"]
    detail = parsed(caller.get(f"oms/pvt/orders/{order_id}"))
    assert row["status"] == detail["status"] == order_of(order_id).status


def test_ki_756314_values_are_whole_cents_however_large(caller: Caller) -> None:
    write(order_draft(value_cents=2**53 - 1), order_draft(value_cents=2**53 - 3))
    answer = caller.get("oms/pvt/orders?orderBy=totalValue,desc")
    assert [row["totalValue"] for row in parsed(answer)["list"]] == [2**53 - 1, 2**53 - 3]
    assert b'"totalValue":9007199254740991,' in answer.content
    assert parsed(answer)["stats"]["stats"]["totalValue"]["Sum"] == 2**54 - 4


NAMES = {
    "ki_1045623_double_quotes": 'Cup 2" off, "today"',
    "ki_1045623_quotes_around_it_all": '"Gold"',
    "ki_353656_double_blanks": "Buy  two   get one",
    "ki_523984_a_blank": "Free Shipping",
    "ki_662821_ampersand_and_accents": "Mães & Pais",
    "ki_756243_a_colon": "Seller: north",
    "ki_786216_a_double_blank": "Winter  sale",
    "a_plus_and_a_percent": "+10% on 100%",
    "a_single_quote_and_a_backslash": "Kid's \\ toys",
    "square_brackets_and_to": "[1 TO 2]",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_of_promotions_sellers_and_payments_are_found_letter_by_letter(
    caller: Caller, name: str
) -> None:
    promoted, sold, paid, _, _ = write(
        order_draft(**promotions(name)),
        order_draft(seller_id="S9", seller_name=name),
        order_draft(payments=payment(payment_system_name=name)),
        order_draft(seller_id="S8", seller_name=f"{name}!", **promotions(f"{name}!")),
        order_draft(seller_id="S7", seller_name=name[:-2], **promotions(name[1:])),
    )
    assert found(caller, f_RnB=name) >= {promoted}
    assert found(caller, f_RnB=name).isdisjoint({sold, paid})
    assert found(caller, f_sellerNames=name) == {sold}
    assert found(caller, f_paymentNames=name) == {paid}
    # Two filters with such names work together as well.
    assert found(caller, f_RnB=name, f_status="order-created") >= {promoted}


def test_ki_347932_sixty_sellers_at_once_are_no_404(caller: Caller) -> None:
    sellers = [f"A seller with quite a long name, number {number}" for number in range(60)]
    mine, _ = write(
        order_draft(seller_id="S59", seller_name=sellers[-1]),
        order_draft(seller_id="S60", seller_name="Another"),
    )
    assert found(caller, *(("f_sellerNames", name) for name in sellers)) == {mine}


def test_ki_516699_the_orders_of_a_buyer_are_paged(caller: Caller) -> None:
    write(*(order_draft(client=client(email="Zoe@Example.com")) for _ in range(5)))
    write(order_draft())
    query = urlencode({"clientEmail": "zoe@example.com", "page": 2, "per_page": 2})
    answer = parsed(caller.get(f"oms/user/orders?{query}"))
    assert len(answer["list"]) == 2
    paging = answer["paging"]
    assert (paging["total"], paging["pages"], paging["currentPage"]) == (5, 3, 2)


@pytest.mark.parametrize("status", list(Status))
def test_discussion_397_every_order_of_a_list_has_its_status(
    caller: Caller, status: Status
) -> None:
    write(order_draft(status=status))
    (row,) = ask(caller)["list"]
    assert (row["status"], row["statusDescription"]) == (status.value, status.label)


def test_ki_756198_many_filters_find_what_few_find(caller: Caller) -> None:
    facts: dict[str, Any] = {"seller_id": "S1", "seller_name": "One", "affiliate_id": "AAA"}
    (mine,) = write(order_draft(**facts, **promotions("Free")))
    write(order_draft())
    few = {"f_sellerNames": "One"}
    many = few | {
        "f_RnB": "Free",
        "f_affiliateId": "AAA",
        "f_status": ",".join(status.value for status in Status),
        "f_creationDate": "creationDate:[2000-01-01T00:00:00Z TO *]",
        "incompleteOrders": "false",
        "f_isInstore": "false",
        "f_hasInputInvoice": "false",
        "q": "Ana",
        "orderBy": "totalValue,asc",
    }
    assert found(caller, **few) == found(caller, **many) == {mine}


def test_what_a_combination_of_filters_counts_is_what_it_lists(caller: Caller) -> None:
    write(*(order_draft(status="handling", affiliate_id="AAA") for _ in range(4)))
    write(*(order_draft(status="handling") for _ in range(3)))
    answer = ask(caller, f_status="handling", f_affiliateId="AAA")
    assert len(answer["list"]) == answer["paging"]["total"] == 4
    assert answer["stats"]["stats"]["totalItems"]["Count"] == 4
