"""Bad inputs that take two: another's order, another's handle, a name that is not to be set."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.urls import URLPattern

from oms.access.authenticating import forget_all_cached_keys
from oms.access.scopes import Scope
from oms.api.description.operations import OPERATIONS
from oms.api.urls import urlpatterns
from oms.orders.models import OrderEvent, Package
from oms.orders.statuses import Status
from tests.api.callers import Caller, parsed, refusal
from tests.workflow.stories import facts_of, last_event, order_of, place_in

INVOICE = {"issuanceDate": "2026-01-31", "invoiceNumber": "NF-1", "invoiceValue": 1000}
FEED = {"filter": {"type": "FromWorkflow", "status": ["ready-for-handling"]}}
WRITES = ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(autouse=True)
def _nothing_remembered(db: None) -> Iterator[None]:
    forget_all_cached_keys()
    yield
    forget_all_cached_keys()


def operations() -> Iterator[tuple[URLPattern, type[Any], str]]:
    """This function will list every route of the API with its view and each of its methods."""
    for route in urlpatterns:
        view: type[Any] | None = getattr(route.callback, "cls", None)
        if view is not None:
            for method in ("GET", *WRITES):
                if hasattr(view, method.lower()):
                    yield route, view, method


ALL = list(operations())
OF_AN_ORDER = [(route, method) for route, _, method in ALL if "order_id" in str(route.pattern)]


def name_of(value: object) -> str:
    return value if isinstance(value, str) else str(getattr(value, "pattern", value))


def address(route: URLPattern, order_id: str) -> str:
    path = str(route.pattern).replace("<str:order_id>", order_id)
    for name in ("payment_id", "request_id", "order_group", "hour"):
        path = path.replace(f"<str:{name}>", "x")
    return path.replace("<path:invoice_number>", "x")


@pytest.mark.parametrize(("route", "method"), OF_AN_ORDER, ids=name_of)
def test_5_an_order_of_another_seller_is_not_there(route: URLPattern, method: str) -> None:
    order_id = place_in(Status.HANDLING)
    before = facts_of(order_id)
    caller = Caller([*Scope], seller_ids=["another"])
    body = None if method in ("GET", "DELETE") else INVOICE
    answer = caller.ask(method, address(route, order_id) + "?clientEmail=a@b.example", body)
    # What is wrong with the body may be told first: it says nothing of the order.
    assert answer.status_code in (404, 400), answer.content
    assert order_id not in answer.content.decode() or answer.status_code == 404
    assert facts_of(order_id) == before


@pytest.mark.parametrize(
    ("route", "method"),
    [(route, method) for route, _, method in ALL if method in WRITES],
    ids=name_of,
)
def test_71_every_write_bears_an_idempotency_key(route: URLPattern, method: str) -> None:
    caller = Caller([*Scope])
    path = address(route, place_in(Status.HANDLING))
    assert caller.post("orders/feed/config", FEED).status_code == 200
    caller.headers["Idempotency-Key"] = "k"
    for body in ({}, INVOICE | {"reason": "r", "handles": ["x"], "fromPosition": 1} | FEED):
        answer = caller.ask(method, path, body)
        assert answer.status_code < 500, answer.content


@pytest.mark.parametrize(("view", "method"), sorted({(v.__name__, m) for _, v, m in ALL}))
def test_every_operation_is_described(view: str, method: str) -> None:
    described = {(known.__name__, how) for known, how in OPERATIONS}
    assert (view, method) in described, "oms/api/description has one table per subject"


def test_6_a_handle_of_another_key_commits_nothing() -> None:
    one, other = Caller([*Scope]), Caller([*Scope])
    for caller in (one, other):
        assert caller.post("orders/feed/config", FEED).status_code == 200
    place_in(Status.READY_FOR_HANDLING)
    (item,) = parsed(one.get("orders/feed"))
    handle = item["handle"]
    for given in (handle, handle[:-1], handle + "x", handle[::-1], handle.swapcase()):
        answer = other.post("orders/feed", {"handles": [given]})
        assert answer.status_code in (200, 400)
        if answer.status_code == 200:
            assert parsed(answer)["committed"] == 0
    assert parsed(one.post("orders/feed", {"handles": [handle, handle]}))["committed"] == 1


def test_6_a_handle_of_a_feed_that_is_gone_commits_nothing() -> None:
    caller = Caller([*Scope])
    caller.post("orders/feed/config", FEED)
    place_in(Status.READY_FOR_HANDLING)
    (item,) = parsed(caller.get("orders/feed"))
    assert caller.ask("DELETE", "orders/feed/config").status_code == 200
    answer = caller.post("orders/feed", {"handles": [item["handle"]]})
    assert answer.status_code in (200, 404)
    assert answer.status_code == 404 or parsed(answer)["committed"] == 0


@pytest.mark.parametrize(
    "number", ["a/b", "a#b", "a?b", "a b", "100%", "📦", "x" * 500, "..", "a/"]
)
def test_31_an_invoice_is_found_by_whatever_number_it_has(number: str) -> None:
    order_id, caller = place_in(Status.HANDLING), Caller([*Scope])
    path = f"oms/pvt/orders/{order_id}/invoice"
    assert caller.post(path, {**INVOICE, "invoiceNumber": number}).status_code == 200
    told = caller.ask("PATCH", f"{path}/{quote(number, safe='')}", {"trackingNumber": "BR1"})
    assert told.status_code == 200, told.content
    package = Package.objects.get()
    assert (package.invoice_number, package.tracking_number) == (number, "BR1")


@pytest.mark.parametrize(
    "name",
    ["account", "status", "id", "pk", "version", "__proto__", "is_staff", "actor", "order_id"],
)
def test_37_a_name_that_is_not_asked_for_sets_nothing(name: str) -> None:
    order_id, caller = place_in(Status.READY_FOR_HANDLING), Caller([*Scope])
    before = order_of(order_id)
    body = {"reason": "r", name: "set", "order": {name: "set"}}
    assert caller.post(f"oms/pvt/orders/{order_id}/start-handling", body).status_code == 204
    after = order_of(order_id)
    assert (after.pk, after.version, after.status) == (
        before.pk,
        before.version + 1,
        Status.START_HANDLING,
    )
    assert last_event(order_id).actor == caller.actor


@pytest.mark.parametrize(
    "text", ["{{7*7}}", "{% now %}", "%s%s", "${jndi:ldap://x}", "<b>", "\u202e"]
)
def test_63_what_looks_like_a_program_is_text(text: str) -> None:
    order_id, caller = place_in(Status.READY_FOR_HANDLING), Caller([*Scope])
    answer = caller.post(f"oms/pvt/orders/{order_id}/cancel", {"reason": text})
    assert answer.status_code == 200
    assert OrderEvent.objects.filter(order__order_id=order_id, reason=text).exists()


def test_41_a_misspelt_expression_is_told_with_its_position() -> None:
    body = {"filter": {"type": "FromOrders", "expression": "status = = 1"}}
    error = refusal(Caller([*Scope]).post("orders/feed/config", body), 400, "invalid")
    assert "character" in error["message"]
