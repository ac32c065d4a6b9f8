"""Building calls: the path, the body, and the key that all attempts share."""

import pytest

from workflow.connectors import operations
from workflow.connectors.operations import StockItem, idempotency_key
from workflow.connectors.protocol import Call

ITEM = StockItem(unique_id="U1", sku_id="1001", seller="1", quantity=2)


@pytest.mark.parametrize(
    ("call", "connector", "path", "key"),
    [
        (
            operations.analyze_order(
                order_id="A-1", value_cents=5, currency="BRL", payments=[], request_id="r"
            ),
            "antifraud",
            "/analyses",
            "A-1:analysis",
        ),
        (
            operations.authorize_payment(
                order_id="A-1", value_cents=5, currency="BRL", payments=[], request_id="r"
            ),
            "payments",
            "/authorizations",
            "A-1:authorization",
        ),
        (
            operations.capture_payment(
                order_id="A-1",
                transaction_id="T",
                value_cents=5,
                invoice_number="NF/1",
                request_id="r",
            ),
            "payments",
            "/captures",
            "A-1:capture:NF%2F1",
        ),
        (
            operations.void_payment(order_id="A-1", transaction_id=None, request_id="r"),
            "payments",
            "/voids",
            "A-1:void",
        ),
        (
            operations.void_payment(order_id="A-1", transaction_id="T", request_id="r", late=7),
            "payments",
            "/voids",
            "A-1:void:late-7",
        ),
        (
            operations.refund_payment(
                order_id="A-1",
                transaction_id="T",
                value_cents=5,
                invoice_number="R1",
                request_id="r",
            ),
            "payments",
            "/refunds",
            "A-1:refund:R1",
        ),
        (
            operations.reserve_stock(order_id="A-1", items=[ITEM], request_id="r"),
            "stock",
            "/reservations",
            "A-1:reservation",
        ),
        (
            operations.confirm_stock(order_id="A-1", reservation_id="R", request_id="r"),
            "stock",
            "/confirmations",
            "A-1:confirmation",
        ),
        (
            operations.withdraw_stock(order_id="A-1", reservation_id="R", request_id="r"),
            "stock",
            "/withdrawals",
            "A-1:withdrawal",
        ),
        (
            operations.release_stock(order_id="A-1", reservation_id="R", request_id="r"),
            "stock",
            "/releases",
            "A-1:release",
        ),
        (
            operations.track_package(order_id="A-1", tracking_number="BK 1/2", request_id="r"),
            "carrier",
            "/trackings/BK%201%2F2",
            "A-1:tracking:BK%201%2F2",
        ),
    ],
)
def test_each_operation_names_its_service_its_path_and_its_key(
    call: Call, connector: str, path: str, key: str
) -> None:
    assert (call.connector, call.path, call.idempotency_key) == (connector, path, key)
    assert call.request_id == "r"
    assert call.method == ("GET" if connector == "carrier" else "POST")


def test_stock_items_are_told_apart_by_unique_id() -> None:
    call = operations.reserve_stock(order_id="A-1", items=[ITEM], request_id="r")
    assert call.body == {
        "orderId": "A-1",
        "items": [{"uniqueId": "U1", "id": "1001", "seller": "1", "quantity": 2}],
    }


def test_a_key_is_visible_ascii_and_its_parts_cannot_be_confused() -> None:
    assert idempotency_key("A:1", "capture", "ü\r\nX: y") == "A%3A1:capture:%C3%BC%0D%0AX%3A%20y"
    assert idempotency_key("A", "capture", "1") != idempotency_key("A:capture", "1")
