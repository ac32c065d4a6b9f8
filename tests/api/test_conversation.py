"""What is said about an order: log lines, messages, the payment transaction."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from oms.access.scopes import Scope
from oms.orders.conversation import Party, first_words, record_message
from oms.orders.documents.drafts import PaymentDraft
from oms.orders.documents.transactions import transaction_status
from oms.orders.models import Interaction, Order
from oms.orders.statuses import Flow, Status
from tests.api.callers import Caller, fields_of, parsed, refusal
from tests.api.test_order_list import write
from tests.factories import order_draft
from tests.workflow.stories import nothing_changes, order_of, place_in
from workflow.services.notes import add_note

pytestmark = pytest.mark.django_db

SENT = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def caller() -> Caller:
    return Caller()


@pytest.fixture
def order_id() -> str:
    return write(order_draft())[0]


def path_of(order_id: str, rest: str) -> str:
    return f"oms/pvt/orders/{order_id}/{rest}"


def test_an_interaction_is_kept_and_changes_nothing_of_the_order(
    caller: Caller, order_id: str
) -> None:
    body = {"source": "Postman", "message": "Add interactions"}
    with nothing_changes(order_id):
        answer = caller.post(path_of(order_id, "interactions"), body)
    assert (answer.status_code, answer.content) == (200, b"")
    (line,) = Interaction.objects.all()
    assert (line.source, line.message, line.actor) == ("Postman", "Add interactions", caller.actor)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"message": "m"}, "source"),
        ({"source": "s"}, "message"),
        ({"source": "s", "message": " "}, "message"),
        ({"source": "s" * 161, "message": "m"}, "source"),
        ({"source": {"a": 1}, "message": "m"}, "source"),
    ],
)
def test_an_interaction_needs_its_source_and_its_message(
    caller: Caller, order_id: str, body: dict[str, Any], field: str
) -> None:
    assert fields_of(caller.post(path_of(order_id, "interactions"), body)) == [field]
    assert not Interaction.objects.exists()


def test_interactions_cannot_be_changed_or_deleted(caller: Caller, order_id: str) -> None:
    caller.post(path_of(order_id, "interactions"), {"source": "s", "message": "m"})
    for statement in (
        "UPDATE orders_interaction SET message = ''",
        "DELETE FROM orders_interaction",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert Interaction.objects.get().message == "m"


def message_to(order: Order, **given: Any) -> None:
    facts: dict[str, Any] = {
        "message_id": "2026-03-10t12-00-00_1",
        "sender": Party("noreply@store.example", "Store"),
        "recipients": [Party("ana@example.com", "Ana Lima", "Customer")],
        "subject": "Your payment has been approved",
        "body": "<html><style>p { color: red }</style><p>Hello&nbsp;Ana,</p> <p>thanks</p></html>",
        "sent_at": SENT,
    }
    record_message(order=order, **facts | given)


def test_a_conversation_is_told_as_the_contract_spells_it(caller: Caller, order_id: str) -> None:
    message_to(order_of(order_id), attachment_names=["invoice.pdf"])
    message_to(order_of(order_id))  # told twice, kept once
    address = {
        "conversationRelatedTo": order_id,
        "conversationSubject": "oms",
        "aliasMaskType": 0,
    }
    assert parsed(caller.get(path_of(order_id, "conversation-message"))) == [
        {
            "id": "2026-03-10t12-00-00_1",
            "from": {
                **address,
                "emailAlias": "noreply@store.example",
                "email": "noreply@store.example",
                "name": "Store",
                "role": None,
            },
            "to": [
                {
                    **address,
                    "emailAlias": "ana@example.com",
                    "email": "ana@example.com",
                    "name": "Ana Lima",
                    "role": "Customer",
                }
            ],
            "subject": "Your payment has been approved",
            "firstWords": "Hello Ana, thanks",
            "body": "<html><style>p { color: red }</style><p>Hello&nbsp;Ana,</p> <p>thanks</p></html>",
            "hasAttachment": True,
            "attachmentNames": ["invoice.pdf"],
            "date": "2026-03-10T12:00:00.0000000+00:00",
        }
    ]


def test_the_list_shows_how_the_last_message_begins(caller: Caller, order_id: str) -> None:
    order = order_of(order_id)
    message_to(order, message_id="2", body="later", sent_at=SENT.replace(hour=13))
    message_to(order, message_id="1", body="earlier")
    (row,) = parsed(caller.get("oms/pvt/orders"))["list"]
    assert row["lastMessageUnread"] == "later"


def test_notes_of_staff_are_no_conversation(caller: Caller, order_id: str) -> None:
    add_note(order_id=order_id, text="The buyer is difficult", actor="user:ann")
    answer = caller.get(path_of(order_id, "conversation-message"))
    assert (answer.status_code, answer.content) == (200, b"[]")
    for rest in ("", "/payment-transaction"):
        assert b"difficult" not in caller.get(f"oms/pvt/orders/{order_id}{rest}").content
    assert b"difficult" not in caller.get("oms/pvt/orders").content


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("plain  text", "plain text"),
        ("<!-- no --><b>A &amp; B</b>", "A & B"),
        ("<title>t</title>x" + "y" * 500, "x" + "y" * 119),
        ("<" * 5000, "<" * 120),
        ("", ""),
    ],
)
def test_first_words_are_without_markup(body: str, words: str) -> None:
    assert first_words(body) == words


def test_a_payment_transaction_is_told_as_the_contract_spells_it(caller: Caller) -> None:
    paid = PaymentDraft(
        index=0,
        payment_id="721CBE",
        transaction_id="CB452D",
        payment_system="4",
        payment_system_name="Mastercard",
        group="creditCard",
        value_cents=10150,
        tid="101770752",
        extra={
            "firstDigits": "412341",
            "lastDigits": "4123",
            "connectorResponses": {"Tid": "101770752", "ReturnCode": "200", "nsu": "1"},
        },
    )
    (order_id,) = write(order_draft(payments=[paid]))
    assert parsed(caller.get(path_of(order_id, "payment-transaction"))) == {
        "status": "Authorizing",
        "isActive": True,
        "transactionId": "CB452D",
        "merchantName": "bulkhead",
        "payments": [
            {
                "id": "721CBE",
                "paymentSystem": "4",
                "paymentSystemName": "Mastercard",
                "value": 10150,
                "installments": 1,
                "referenceValue": 10150,
                "cardHolder": None,
                "cardNumber": None,
                "firstDigits": "412341",
                "lastDigits": "4123",
                "url": None,
                "giftCardId": None,
                "giftCardName": None,
                "cvv2": None,
                "expireMonth": None,
                "expireYear": None,
                "giftCardCaption": None,
                "redemptionCode": None,
                "group": "creditCard",
                "tid": "101770752",
                "dueDate": None,
                "connectorResponses": {
                    "Tid": "101770752",
                    "ReturnCode": "200",
                    "Message": None,
                    "authId": "",
                    "nsu": "1",
                },
            }
        ],
    }


def test_a_transaction_without_payments_is_told_all_the_same(caller: Caller) -> None:
    (order_id,) = write(order_draft(Flow.FULFILLMENT, payments=[]))
    told = parsed(caller.get(path_of(order_id, "payment-transaction")))
    assert (told["status"], told["payments"], told["isActive"]) == ("Started", [], False)


@pytest.mark.parametrize(
    ("statuses", "word"),
    [
        ([], "Started"),
        (["pending", "approved"], "Authorizing"),
        (["approved", "captured"], "Approved"),
        (["captured", "captured"], "Finished"),
        (["denied", "pending"], "Denied"),
        (["voided"], "Cancelled"),
        (["captured", "voided"], "Finished"),
    ],
)
def test_a_transaction_stands_where_its_least_advanced_payment_does(
    statuses: list[str], word: str
) -> None:
    assert transaction_status(statuses) == word


@pytest.mark.parametrize("rest", ["conversation-message", "payment-transaction", "interactions"])
def test_an_order_of_another_seller_is_not_there(order_id: str, rest: str) -> None:
    scoped = Caller([Scope.ORDERS_FULL_ACCESS], seller_ids=["other"])
    method = "POST" if rest == "interactions" else "GET"
    body = {"source": "s", "message": "m"} if method == "POST" else None
    refusal(scoped.ask(method, path_of(order_id, rest), body), 404, "order_not_found")
    assert not Interaction.objects.exists()


def test_an_order_of_a_buyer_is_told_to_that_buyer_alone(caller: Caller) -> None:
    order_id = place_in(Status.HANDLING)
    email = order_of(order_id).client_profile.email
    path = f"oms/user/orders/{order_id}"
    mine = caller.get(f"{path}?clientEmail={email.upper()}")
    assert parsed(mine) == parsed(caller.get(f"oms/pvt/orders/{order_id}"))
    refusal(caller.get(f"{path}?clientEmail=eve@example.com"), 404, "order_not_found")
    assert fields_of(caller.get(path)) == ["clientEmail"]
    assert fields_of(caller.get("oms/user/orders")) == ["clientEmail"]


def test_a_buyer_s_list_is_theirs_alone_and_shows_the_lines(caller: Caller) -> None:
    order_id = write(order_draft())[0]
    write(order_draft())
    email = order_of(order_id).client_profile.email
    answer = parsed(caller.get(f"oms/user/orders?clientEmail={email}&status=order-created"))
    (row,) = answer["list"]
    assert row["orderId"] == order_id
    assert row["items"] == [
        {
            "seller": "1",
            "quantity": 1,
            "description": "Cup",
            "ean": "",
            "refId": "",
            "id": "18",
            "productId": "",
            "sellingPrice": 1000,
            "price": 1000,
        }
    ]
    empty = parsed(caller.get(f"oms/user/orders?clientEmail={email}&status=handling"))
    assert empty["list"] == []
