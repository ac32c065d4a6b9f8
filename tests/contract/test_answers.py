"""Our answers against the response schemas of the published contract."""

from collections.abc import Iterator
from typing import Any

import pytest

from oms.access.authenticating import forget_all_cached_keys
from oms.orders.models import Affiliate, Order
from oms.orders.statuses import Status
from tests.api.callers import Caller, parsed
from tests.api.purchases import purchase
from tests.contract.published import missing, needs_contract, problems, response_example
from tests.orders.documents import example_document, through_the_database
from tests.workflow.stories import order_of, place_in

pytestmark = [pytest.mark.django_db, needs_contract]

ORDER = "/api/oms/pvt/orders/{orderId}"
GROUP = "/api/oms/pvt/orders/order-group/{orderGroup}"
LIST = "/api/oms/pvt/orders"
USER_LIST = "/api/oms/user/orders"
USER_ORDER = "/api/oms/user/orders/{orderId}"
TRANSACTION = "/api/oms/pvt/orders/{orderId}/payment-transaction"
CONVERSATION = "/api/oms/pvt/orders/{orderId}/conversation-message"

# Connectors answer as they like; the contract lists what one of them did.
ANY_CONNECTOR = "connectorResponses"
# Null in one operation's schema and not in the other's, for the same document: null is what we say.
NULL_ELSEWHERE = (
    "cancellationData", "changesAttachment", "checkedInPickupPointId", "marketingData",
    "marketplace", "merchantName", "taxData", "accountId", "parentAccountId", "billingAddress",
    "bankIssuedInvoiceBarCodeNumber", "bankIssuedInvoiceBarCodeType", "Message", "ReturnCode",
    "bankIssuedInvoiceIdentificationNumber", "bankIssuedInvoiceIdentificationNumberFormatted",
    "dueDate", "giftCardAsDiscount", "giftCardProvider", "koinUrl", "url", "pickupPointId",
    "authorizedDate", "addressId", "logo", "entityId",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    forget_all_cached_keys()
    yield
    forget_all_cached_keys()


@pytest.fixture
def caller() -> Caller:
    return Caller()


def placed(caller: Caller, **given: Any) -> str:
    """This function will place an order over HTTP, as little said as the contract allows."""
    Affiliate.objects.get_or_create(affiliate_id="MKP", defaults={"name": "M", "flow": "complete"})
    answer = caller.post("fulfillment/pvt/orders?affiliateId=MKP&sc=1", [purchase(**given)])
    assert answer.status_code == 200, answer.content
    return Order.objects.latest("pk").order_id


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", path)
        for path in (ORDER, GROUP, LIST, USER_LIST, USER_ORDER, TRANSACTION, CONVERSATION)
    ],
)
def test_the_contract_fulfills_itself(method: str, path: str) -> None:
    """The published examples are the measure of these checks."""
    assert problems(method, path, response_example(method, path)) == []


def test_a_placed_order_is_what_the_contract_says_and_leaves_nothing_out(caller: Caller) -> None:
    document = parsed(caller.get(f"oms/pvt/orders/{placed(caller)}"))
    assert problems("GET", ORDER, document) == []
    left_out = [place for place in missing("GET", ORDER, document) if ANY_CONNECTOR not in place]
    assert left_out == []


@pytest.mark.parametrize(
    "status",
    [
        Status.ORDER_CREATED,
        Status.PAYMENT_PENDING,
        Status.READY_FOR_HANDLING,
        Status.HANDLING,
        Status.INVOICED,
        Status.CANCELED,
    ],
)
def test_an_order_is_what_the_contract_says_in_each_status(caller: Caller, status: Status) -> None:
    order_id = place_in(status)
    assert problems("GET", ORDER, parsed(caller.get(f"oms/pvt/orders/{order_id}"))) == []


def test_an_imported_order_is_what_the_contract_says() -> None:
    (given,) = through_the_database(example_document())
    assert problems("GET", ORDER, given) == []


def test_a_group_is_what_the_contract_says(caller: Caller) -> None:
    group = order_of(placed(caller)).order_group
    answer = parsed(caller.get(f"oms/pvt/orders/order-group/{group}"))
    assert problems("GET", GROUP, answer) == []
    assert [place for place in missing("GET", GROUP, answer) if ANY_CONNECTOR not in place] == []


def test_a_list_is_what_the_contract_says_full_and_empty(caller: Caller) -> None:
    empty = parsed(caller.get("oms/pvt/orders"))
    placed(caller)
    place_in(Status.INVOICED)
    full = parsed(caller.get("oms/pvt/orders"))
    assert len(full["list"]) == 2
    for answer in (empty, full):
        assert problems("GET", LIST, answer) == []
        assert missing("GET", LIST, answer) == []


def test_a_buyer_s_list_is_what_the_contract_says(caller: Caller) -> None:
    placed(caller)
    answer = parsed(caller.get("oms/user/orders?clientEmail=ana@example.com"))
    assert len(answer["list"]) == 1
    assert problems("GET", USER_LIST, answer) == []
    assert missing("GET", USER_LIST, answer) == []


def test_a_buyer_s_order_is_what_the_contract_says(caller: Caller) -> None:
    order_id = placed(caller)
    answer = parsed(caller.get(f"oms/user/orders/{order_id}?clientEmail=ana@example.com"))
    found = problems("GET", USER_ORDER, answer)
    assert {problem.partition(": ")[2].partition(",")[0] for problem in found} <= {"NoneType"}
    places = {problem.partition(":")[0].rpartition(".")[2] for problem in found}
    assert places - set(NULL_ELSEWHERE) == set()
    assert missing("GET", USER_ORDER, answer) == []


def test_a_payment_transaction_is_what_the_contract_says(caller: Caller) -> None:
    answer = parsed(caller.get(f"oms/pvt/orders/{placed(caller)}/payment-transaction"))
    assert problems("GET", TRANSACTION, answer) == []
    assert missing("GET", TRANSACTION, answer) == []


def test_a_feed_s_configuration_and_items_are_what_the_contract_says(caller: Caller) -> None:
    body = {
        "filter": {"type": "FromWorkflow", "status": ["order-created", "payment-pending"]},
        "queue": {
            "visibilityTimeoutInSeconds": 240,
            "MessageRetentionPeriodInSeconds": 345600,
        },
    }
    assert caller.post("orders/feed/config", body).status_code == 200
    assert (
        problems("GET", "/api/orders/feed/config", parsed(caller.get("orders/feed/config"))) == []
    )
    place_in(Status.PAYMENT_PENDING)
    items = parsed(caller.get("orders/feed?maxlot=10"))
    assert items
    assert problems("GET", "/api/orders/feed", items) == []
    assert missing("GET", "/api/orders/feed", items) == []


def test_receipts_are_what_the_contract_says(caller: Caller) -> None:
    canceled = place_in(Status.READY_FOR_HANDLING)
    answer = caller.post(f"oms/pvt/orders/{canceled}/cancel", {"reason": "r"})
    assert problems("POST", f"{ORDER}/cancel", parsed(answer)) == []
    handled = place_in(Status.HANDLING)
    invoice = {
        "issuanceDate": "2026-01-31",
        "invoiceNumber": "NF-1",
        "invoiceValue": str(order_of(handled).value_cents),
    }
    answer = caller.post(f"oms/pvt/orders/{handled}/invoice", invoice)
    assert problems("POST", f"{ORDER}/invoice", parsed(answer)) == []
