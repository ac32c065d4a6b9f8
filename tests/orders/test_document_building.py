"""The document that the API gives: complete for every order, true after every change."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oms.orders.documents.building import documents_by_pk, order_document
from oms.orders.documents.defaults import order_defaults
from oms.orders.documents.permitted import allows_cancellation
from oms.orders.documents.placement import read_placement
from oms.orders.documents.reading import read_document
from oms.orders.models import CancellationRequest, Order, Package, Payment, TrackingEvent
from oms.orders.statuses import Flow, Status
from oms.orders.writing import insert_orders
from tests.orders.documents import example_document, purchase

NOW = datetime(2024, 3, 8, 12, 0, 0, 123456, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def import_example(**changes: Any) -> Order:
    (pk,) = insert_orders([read_document(example_document(**changes))])
    return Order.objects.get(pk=pk)


def place(**changes: Any) -> list[Order]:
    (result,) = read_placement(
        purchase(**changes), affiliate_id="MKP", sales_channel="1", flow=Flow.COMPLETE, now=NOW
    )
    assert result.errors == ()
    pks = insert_orders(result.drafts)
    return [Order.objects.get(pk=pk) for pk in pks]


def test_a_placed_order_has_every_top_level_field_of_the_contract() -> None:
    document = order_document(place()[0])
    assert document.keys() >= order_defaults("BRL").keys()
    assert len(order_defaults("BRL")) == 54
    assert document.keys() >= example_document().keys()


def test_a_placed_order_has_the_parts_fields_of_the_contract() -> None:
    order = place()[0]
    Package.objects.create(
        order=order,
        index=0,
        type="Output",
        invoice_number="1",
        invoice_value_cents=5,
        issued_at=NOW,
    )
    document, example = order_document(order), example_document()
    assert document["items"][0].keys() >= example["items"][0].keys()
    assert document["clientProfileData"].keys() == example["clientProfileData"].keys()
    payments = [
        told["paymentData"]["transactions"][0]["payments"][0] for told in (document, example)
    ]
    assert payments[0].keys() == payments[1].keys()
    packages = [told["packageAttachment"]["packages"][0] for told in (document, example)]
    assert packages[0].keys() >= packages[1].keys()


def test_dates_are_utc_with_seven_digits() -> None:
    assert order_document(place()[0])["creationDate"] == "2024-03-08T12:00:00.1234560+00:00"


def test_our_own_marks_are_not_given() -> None:
    for order in [import_example(), *place()]:
        assert "$" not in "".join(order_document(order))
        assert "$imported" not in repr(order_document(order))


def test_any_number_of_documents_is_one_statement_and_one_snapshot() -> None:
    pks = [import_example(orderId=f"{n}-01", sequence=None).pk for n in range(5)]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert list(documents_by_pk([pks[3], pks[0], 0])) == [pks[3], pks[0]]
    assert len(queries) == 1
    with CaptureQueriesContext(connection) as queries:
        documents_by_pk(pks)
    assert len(queries) == 1


def test_a_move_replaces_what_followed_from_the_imported_status() -> None:
    order = import_example()
    assert order_document(order)["statusDescription"] == "Preparando Entrega"
    assert order_document(order)["allowCancellation"] is True
    Order.objects.filter(pk=order.pk).update(status=Status.CANCELED, canceled_at=NOW)
    document = order_document(order)
    assert document["status"] == "canceled"
    assert document["statusDescription"] == "Canceled"
    assert document["allowCancellation"] is False
    assert document["lastMessage"] is None
    assert document["cancellationData"]["CancellationDate"] == "2024-03-08T12:00:00.1234560+00:00"
    assert document["cancellationData"]["RequestedByUser"] is True


def test_a_changed_date_is_no_longer_spelled_as_imported() -> None:
    order = import_example()
    assert order_document(order)["lastChange"] == "2024-02-06T20:46:11.7010747+00:00"
    Order.objects.filter(pk=order.pk).update(last_change_at=NOW)
    assert order_document(order)["lastChange"] == "2024-03-08T12:00:00.1234560+00:00"


def test_a_placed_orders_cancellation_says_when_and_why() -> None:
    order = place()[0]
    assert order_document(order)["cancellationData"] is None
    Order.objects.filter(pk=order.pk).update(
        status=Status.CANCELED, canceled_at=NOW, cancel_reason="too late"
    )
    assert order_document(order)["cancelReason"] == "too late"
    assert order_document(order)["cancellationData"] == {
        "RequestedByUser": False,
        "RequestedBySystem": False,
        "RequestedBySellerNotification": False,
        "RequestedByPaymentNotification": False,
        "Reason": "too late",
        "CancellationDate": "2024-03-08T12:00:00.1234560+00:00",
    }


def test_cancellation_requests_are_listed_once_each() -> None:
    told = {"id": "7f0d1b9e-6b1c-4b36-8f3c-000000000001", "reason": "late", "more": 1}
    order = import_example(status="cancellation-requested", cancellationRequests=[told])
    assert order_document(order)["cancellationRequests"] == [
        {
            **told,
            "cancellationRequestDate": "2024-02-06T20:46:11.7010740+00:00",
            "requestedByUser": False,
            "deniedBySeller": False,
            "deniedBySellerReason": None,
            "cancellationRequestDenyDate": None,
        }
    ]
    CancellationRequest.objects.update(decided_at=NOW, is_denied=True, deny_reason="packed")
    (request,) = order_document(order)["cancellationRequests"]
    assert (request["deniedBySeller"], request["deniedBySellerReason"]) == (True, "packed")
    assert UUID(request["id"]) == UUID(str(told["id"]))


def test_a_package_of_our_own_tells_what_the_carrier_said() -> None:
    order = import_example()
    package = Package.objects.create(
        order=order,
        index=1,
        type="Output",
        invoice_number="9",
        invoice_value_cents=5,
        issued_at=NOW,
    )
    assert order_document(order)["packageAttachment"]["packages"][1]["courierStatus"] is None
    TrackingEvent.objects.create(package=package, index=0, occurred_at=NOW, city="Rio", state="RJ")
    status = order_document(order)["packageAttachment"]["packages"][1]["courierStatus"]
    spelled = "2024-03-08T12:00:00.1234560+00:00"
    assert status == {
        "status": "in transit",
        "finished": False,
        "deliveredDate": None,
        "data": [
            {
                "lastChange": spelled,
                "city": "Rio",
                "state": "RJ",
                "description": None,
                "createDate": spelled,
            }
        ],
    }


def test_tracking_of_an_imported_package_is_added_to_what_it_said() -> None:
    order = import_example()
    package = Package.objects.get(order=order)
    TrackingEvent.objects.create(package=package, index=1, occurred_at=NOW, city="Niterói")
    status = order_document(order)["packageAttachment"]["packages"][0]["courierStatus"]
    assert [event["city"] for event in status["data"]] == ["Rio de Janeiro", "Niterói"]
    assert status["status"] == "ok"


def test_a_transaction_id_that_the_gateway_gave_is_told() -> None:
    order = place()[0]
    Payment.objects.filter(order=order).update(transaction_id="T-1", tid="77")
    (transaction,) = order_document(order)["paymentData"]["transactions"]
    assert (transaction["transactionId"], transaction["payments"][0]["tid"]) == ("T-1", "77")


def test_the_error_flag_is_the_callers_knowledge() -> None:
    order = import_example(workflowIsInError=True)
    assert order_document(order)["workflowIsInError"] is False
    assert order_document(order, is_in_error=True)["workflowIsInError"] is True


@pytest.mark.parametrize("status", list(Status))
def test_nothing_final_transitional_or_partly_invoiced_allows_cancellation(status: Status) -> None:
    refused = status.is_final or status in {
        Status.NULL,
        Status.ORDER_CREATED,
        Status.ORDER_CREATE_ERROR,
        Status.ORDER_CREATION_ERROR,
        Status.START_HANDLING,
        Status.INVOICE,
        Status.INVOICE_AFTER_CANCELLATION_DENY,
        Status.CANCEL,
    }
    assert allows_cancellation(status, is_partly_invoiced=False) is not refused
    assert not allows_cancellation(status, is_partly_invoiced=True)


def test_a_status_that_only_newer_code_knows_is_told_as_it_is() -> None:
    order = place()[0]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orders_order DROP CONSTRAINT order_status_is_known")
    Order.objects.filter(pk=order.pk).update(status="being-gift-wrapped")
    document = order_document(order)
    assert document["status"] == document["statusDescription"] == "being-gift-wrapped"
