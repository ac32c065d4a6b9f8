"""Reading orders, and what may go wrong with any call about one."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from oms.access.authenticating import forget_all_cached_keys
from oms.access.scopes import Scope
from oms.orders.documents.building import order_document
from oms.orders.statuses import Flow, Status
from tests.api.callers import Caller, parsed, refusal
from tests.workflow.stories import item_of, nothing_changes, order_of, place, place_in
from workflow.steps import Step
from workflow.work import park_item

pytestmark = pytest.mark.django_db

INVOICE = {"issuanceDate": "2026-01-31", "invoiceNumber": "NF-1", "invoiceValue": 1000}
# Every operation on one order: method, path after the order's own, a good body, scopes that open it.
OPERATIONS = [
    ("GET", "", None, {Scope.OMS_VIEWER}),
    ("POST", "/start-handling", None, {Scope.WORKFLOW_ACTION}),
    ("POST", "/cancel", {"reason": "r"}, {Scope.CANCEL_ACTION}),
    ("POST", "/invoice", INVOICE, {Scope.SHIPPING_ACTION}),
    ("POST", "/invoice", {**INVOICE, "type": "Input"}, {Scope.REFUND_ACTION}),
    ("PATCH", "/invoice/NF-1", {}, {Scope.SHIPPING_ACTION}),
    ("PUT", "/invoice/NF-1/tracking", {}, {Scope.SHIPPING_ACTION}),
    ("POST", "/payments/P/payment-notification", None, {Scope.PAYMENT_ACTION}),
]
Operation = tuple[str, str, object, set[Scope]]


def name_of(operation: Operation) -> str:
    return f"{operation[0]}{operation[1]} {min(operation[3])}"


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    forget_all_cached_keys()
    yield
    forget_all_cached_keys()


def path_of(order_id: str, rest: str = "") -> str:
    return f"oms/pvt/orders/{quote(order_id, safe='')}{rest}"


def test_an_order_is_read_by_its_id_and_by_its_sequence() -> None:
    order = order_of(place())
    caller = Caller([Scope.OMS_VIEWER])
    for reference in (order.order_id, f"seq{order.sequence}", f"SEQ{order.sequence}"):
        answer = caller.get(path_of(reference))
        assert answer.status_code == 200
        assert parsed(answer) == parsed_document(order.order_id)


def parsed_document(order_id: str) -> object:
    return orjson.loads(orjson.dumps(order_document(order_of(order_id))))


@pytest.mark.parametrize(
    "reference",
    [
        "nobody", "seq0", "seq99999999999999", "seq", "seq-1", "seq1e3", "..", "a/b", "%2F", "%ff",
        "x" * 4096, "🧾", "%00", "' or 1=1 --", "seq9999999999999999999999", ".", " ",
    ],
)  # fmt: skip
def test_what_is_no_order_is_not_there(reference: str) -> None:
    place()
    caller = Caller()
    raw = reference if "%" in reference else quote(reference, safe="")
    answer = caller.get(f"oms/pvt/orders/{raw}")
    assert answer.status_code == 404
    assert parsed(answer)["error"]["code"] in ("order_not_found", "not_found")


def test_a_group_is_all_orders_of_one_purchase_in_order() -> None:
    second = place(order_id="G-1-02", order_group="G-1", split_number=2, marketplace_order_id="G")
    first = place(order_id="G-1-01", order_group="G-1", split_number=1, marketplace_order_id="G")
    place()
    answer = Caller().get("oms/pvt/orders/order-group/G-1")
    assert [document["orderId"] for document in parsed(answer)] == [first, second]
    refusal(Caller().get("oms/pvt/orders/order-group/G-2"), 404, "order_not_found")


def test_a_parked_step_shows_as_workflow_in_error() -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    assert parsed(Caller().get(path_of(order_id)))["workflowIsInError"] is False
    park_item(item_of(order_id, Step.AUTHORIZE_PAYMENT).pk, cause="HTTP 500", error="")
    assert parsed(Caller().get(path_of(order_id)))["workflowIsInError"] is True


# Who may


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_without_a_key_nothing_is_answered(operation: Operation) -> None:
    method, rest, body, _ = operation
    order_id = place_in(Status.HANDLING)
    with nothing_changes(order_id):
        answer = Caller().ask(method, path_of(order_id, rest), body, headers={})
    assert refusal(answer, 401, "1")["message"] == "Unauthorized access"


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_each_operation_is_open_to_its_scope_and_to_no_other(operation: Operation) -> None:
    method, rest, body, opening = operation
    order_id = place_in(Status.CANCEL, Flow.CHAIN)
    closed = set(Scope) - opening - {Scope.ORDERS_FULL_ACCESS}
    with nothing_changes(order_id):
        refusal(Caller(closed).ask(method, path_of(order_id, rest), body), 403, "forbidden")
        for scope in (*opening, Scope.ORDERS_FULL_ACCESS):
            answer = Caller([scope]).ask(method, path_of(order_id, rest), body)
            assert answer.status_code in (200, 400, 404, 409)


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
@pytest.mark.parametrize("scope", [{"seller_ids": ["other"]}, {"affiliate_ids": ["OTH"]}])
def test_an_order_of_another_seller_is_not_there(
    operation: Operation, scope: dict[str, Any]
) -> None:
    method, rest, body, _ = operation
    order_id = place_in(Status.READY_FOR_HANDLING)
    stranger = Caller(**scope)
    with nothing_changes(order_id):
        answer = stranger.ask(method, path_of(order_id, rest), body)
        refusal(answer, 404, "order_not_found")
    by_sequence = stranger.ask(method, path_of(f"seq{order_of(order_id).sequence}", rest), body)
    refusal(by_sequence, 404, "order_not_found")


def test_a_seller_sees_its_own_part_of_a_group_and_nothing_of_the_rest() -> None:
    for number in (1, 2):
        place(
            order_id=f"G-1-0{number}",
            order_group="G-1",
            split_number=number,
            marketplace_order_id="G",
            seller_id=f"s{number}",
        )
    answer = Caller(seller_ids=["s2"]).get("oms/pvt/orders/order-group/G-1")
    assert [document["orderId"] for document in parsed(answer)] == ["G-1-02"]
    stranger = Caller(seller_ids=["s3"]).get("oms/pvt/orders/order-group/G-1")
    refusal(stranger, 404, "order_not_found")


@pytest.mark.parametrize("operation", OPERATIONS[1:], ids=name_of)
def test_an_unknown_order_is_not_there(operation: Operation) -> None:
    method, rest, body, _ = operation
    refusal(Caller().ask(method, path_of("nobody", rest), body), 404, "order_not_found")


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("POST", ""), ("DELETE", ""), ("GET", "/cancel"), ("PUT", "/start-handling"),
        ("GET", "/invoice"), ("POST", "/invoice/NF-1"), ("GET", "/invoice/NF-1/tracking"),
        ("GET", "/payments/P/payment-notification"), ("TRACE", ""),
    ],
)  # fmt: skip
def test_other_methods_are_refused(method: str, rest: str) -> None:
    order_id = place()
    with nothing_changes(order_id):
        refusal(Caller().ask(method, path_of(order_id, rest)), 405, "method_not_allowed")


@pytest.mark.parametrize(
    "body",
    [b"{", b"null", b'"text"', b"1", b"[]", b'{"reason": "\\ud800"}', b'{"reason": "\\u0000"}',
     b"[" * 5000, b'{"a":' * 100_000, b'{"reason": 99999999999999999999}', b"\xff", b'{"a": NaN}'],
    ids=lambda body: body[:18].decode("latin-1"),
)  # fmt: skip
@pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS if o[1] not in ("", "/start-handling")], ids=name_of
)
def test_a_body_that_is_no_object_of_clean_json_is_refused(
    operation: Operation, body: bytes
) -> None:
    method, rest, _, _ = operation
    order_id = place_in(Status.HANDLING)
    with nothing_changes(order_id):
        answer = Caller().ask(method, path_of(order_id, rest), body)
    assert answer.status_code == 400
    assert parsed(answer)["error"]["code"] in ("invalid_json", "invalid")


def test_reading_costs_as_many_queries_for_a_group_as_for_one_order(
    django_assert_max_num_queries: Callable[..., object],
) -> None:
    for number in range(1, 10):
        place(
            order_id=f"G-1-0{number}",
            order_group="G-1",
            split_number=number,
            marketplace_order_id="G",
        )
    caller = Caller()
    caller.get(path_of("G-1-01"))
    with django_assert_max_num_queries(4):  # type: ignore[attr-defined]
        assert len(parsed(caller.get("oms/pvt/orders/order-group/G-1"))) == 9
    with django_assert_max_num_queries(4):  # type: ignore[attr-defined]
        caller.get(path_of("G-1-01"))
