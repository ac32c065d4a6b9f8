"""Exact look-up: what a text may be, and which order it names."""

import pytest

from oms.orders.documents.reading import read_document
from oms.orders.locks import OrderNotFound
from oms.orders.lookup_keys import document_key, email_key, phone_key
from oms.orders.selectors import Lookup, LookupKind, classify, get_order, orders_of_group
from oms.orders.writing import insert_orders
from tests.orders.documents import example_document

K = LookupKind
PLAIN = {K.ORDER_ID, K.ORDER_GROUP, K.MARKETPLACE_ID, K.TRACKING_NUMBER, K.INVOICE_NUMBER}


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("", set()),
        ("  \t", set()),
        ("a\x00b", set()),
        ("seq502556", {K.SEQUENCE}),
        ("SEQ502556", {K.SEQUENCE}),
        ("ana@example.com", {K.EMAIL}),
        ("502556", PLAIN | {K.SEQUENCE, K.DOCUMENT}),
        ("1172452900788", PLAIN | {K.SEQUENCE, K.DOCUMENT, K.PHONE}),
        ("1172452900788-01", PLAIN | {K.DOCUMENT, K.PHONE}),
        ("845.134.270-19", PLAIN | {K.DOCUMENT, K.PHONE}),
        ("+55 (61) 99222-7222", PLAIN | {K.DOCUMENT, K.PHONE}),
        ("TRK-48960684", PLAIN | {K.DOCUMENT}),
        ("Rodrigo Smith", PLAIN),
        ("12", PLAIN | {K.SEQUENCE}),
        ("9" * 30, PLAIN | {K.DOCUMENT, K.PHONE}),
        ("a@b c@d", PLAIN),
        ("٣٤٥٦٧٨٩", PLAIN | {K.DOCUMENT}),
    ],
)
def test_a_text_is_all_that_it_may_exactly_be(text: str, kinds: set[LookupKind]) -> None:
    assert {lookup.kind for lookup in classify(text)} == kinds


def test_values_are_spelled_as_they_are_stored() -> None:
    assert Lookup(K.EMAIL, "ana@example.com") in classify(" Ana@Example.com ")
    assert Lookup(K.DOCUMENT, "84513427019") in classify("845.134.270-19")
    assert Lookup(K.SEQUENCE, "42") in classify("seq00042")


@pytest.mark.parametrize(
    "text", ["+5561992227222", "5561992227222", "(61) 99222-7222", "061 99222 7222"]
)
def test_a_phone_number_is_the_same_with_and_without_its_country(text: str) -> None:
    assert phone_key(text) == "1992227222"


def test_keys_fit_their_columns() -> None:
    assert len(email_key("İ" * 254)) == 254
    assert len(document_key("ß" * 60)) == 60
    assert phone_key("no number") == ""


@pytest.mark.django_db
def test_an_order_is_read_by_id_or_by_number() -> None:
    insert_orders([read_document(example_document())])
    assert get_order("1172452900788-01").sequence == 502556
    assert get_order("seq502556").order_id == "1172452900788-01"
    for unknown in ["seq1", "seq", "502556", "", "x" * 500, "seq" + "9" * 30]:
        with pytest.raises(OrderNotFound):
            get_order(unknown)


@pytest.mark.django_db
def test_a_group_is_all_orders_of_one_purchase_in_order() -> None:
    documents = [
        example_document(orderId=f"115-{n:02d}", orderGroup="115", sequence=str(900 + n))
        for n in (3, 1, 2)
    ]
    insert_orders([read_document(document) for document in documents])
    assert [order.order_id for order in orders_of_group("115")] == ["115-01", "115-02", "115-03"]
    assert orders_of_group("116") == []
