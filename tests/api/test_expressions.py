"""Trying an expression over HTTP, and what a configuration says of one."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.http import HttpResponse

from feeds.models import Subscription
from oms.access.authenticating import forget_all_cached_keys
from oms.access.scopes import Scope
from oms.orders.models import SnapshotDemand
from oms.orders.statuses import Status
from tests.api.callers import Caller, parsed
from tests.workflow.stories import events_of, place, place_in

pytestmark = pytest.mark.django_db

TEST = "orders/expressions/jsonata"
CONFIG = "orders/feed/config"
CANCELED = '{"status":"canceled","value":150}'


@pytest.fixture
def caller() -> Iterator[Caller]:
    forget_all_cached_keys()
    yield Caller([Scope.FEED_HOOK_ADMIN])
    forget_all_cached_keys()


def ask(caller: Caller, expression: Any, document: Any = CANCELED) -> HttpResponse:
    return caller.post(TEST, {"Expression": expression, "Document": document})


def refused(answer: HttpResponse) -> tuple[str, dict[str, Any]]:
    """This function will return code and first detail of a 400."""
    assert answer.status_code == 400, answer.content
    error = parsed(answer)["error"]
    return error["code"], (error.get("details") or [{"message": error["message"]}])[0]


@pytest.mark.parametrize(
    ("expression", "result"),
    [('status = "canceled"', True), ('status = "invoiced"', False), ("value > 100", True)],
)
def test_an_expression_is_tried_on_a_document(
    caller: Caller, expression: str, result: bool
) -> None:
    answer = ask(caller, expression)
    assert answer.status_code == 200
    assert answer.content == orjson.dumps(result)


@pytest.mark.parametrize(
    "body",
    [
        {"expression": 'status = "canceled"', "document": CANCELED},
        {"EXPRESSION": 'status = "canceled"', "Document": {"status": "canceled"}},
        # The contract's published example, escaped twice.
        {"Expression": r"status = \"canceled\"", "Document": r"{\"status\":\"canceled\"}"},
        {"Expression": 'status = "canceled"', "Document": "\n" + CANCELED, "more": 1},
    ],
)
def test_every_spelling_of_the_body_is_taken(caller: Caller, body: dict[str, Any]) -> None:
    answer = caller.post(TEST, body)
    assert (answer.status_code, answer.content) == (200, b"true")


@pytest.mark.parametrize(
    ("expression", "code", "detail"),
    [
        (
            "status =",
            "expression_refused",
            {
                "field": "Expression",
                "message": "S0207: Unexpected end of expression",
                "position": 8,
            },
        ),
        (
            '$eval("1")',
            "expression_refused",
            {
                "field": "Expression",
                "message": "$eval hides what an expression does.",
                "position": 5,
            },
        ),
        (
            "x" * 2_001,
            "expression_refused",
            {
                "field": "Expression",
                "message": "An expression has 2000 characters at most.",
                "position": 2_000,
            },
        ),
        (
            "status > 5",
            "expression_failed",
            {
                "message": "T2009: The values … and … either side of operator … must be of the "
                "same data type"
            },
        ),
        (
            None,
            "invalid",
            {"field": "Expression", "message": "Expected a JSONata expression as text."},
        ),
        (
            7,
            "invalid",
            {"field": "Expression", "message": "Expected a JSONata expression as text."},
        ),
    ],
)
def test_a_refusal_names_field_and_position(
    caller: Caller, expression: Any, code: str, detail: dict[str, Any]
) -> None:
    assert refused(ask(caller, expression)) == (code, detail)


@pytest.mark.parametrize(
    "document", [None, "", "{", "[]", "1", '"x"', 7, [], '{"a":' * 70 + "1" + "}" * 70]
)
def test_a_document_that_is_none_is_refused(caller: Caller, document: Any) -> None:
    code, detail = refused(ask(caller, "status", document))
    assert (code, detail["field"]) == ("invalid", "Document")


def test_a_document_may_be_large_but_not_larger(caller: Caller) -> None:
    assert ask(caller, "$length(a) > 1", {"a": "x" * 1_000_000}).content == b"true"
    code, _ = refused(ask(caller, "a", '{"a":"' + "x" * 2**20 + '"}'))
    assert code == "invalid"


def test_an_endless_expression_is_a_400(caller: Caller) -> None:
    code, detail = refused(ask(caller, "($f := function($n) { $f($n + 1) }; $f(1))"))
    assert code == "expression_failed"
    assert detail["message"].startswith("D1012")


def test_a_path_that_the_document_does_not_have_is_told_beside_the_answer(caller: Caller) -> None:
    answer = ask(caller, 'salesChännel != "3"')
    assert answer.content == b"false"
    assert answer["X-Expression-Warning"].startswith(r"salesCh\xe4nnel is in none")
    assert "X-Expression-Warning" not in ask(caller, "value > 1")


def test_trying_needs_the_scope_of_feeds() -> None:
    forget_all_cached_keys()
    assert ask(Caller([Scope.OMS_VIEWER]), "value").status_code == 403


def configure(caller: Caller, expression: str) -> HttpResponse:
    given = {"type": "FromOrders", "expression": expression, "disableSingleFire": True}
    return caller.post(CONFIG, {"filter": given})


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("status =", "S0207: Unexpected end of expression (at character 8)"),
        ("[1..1000000]", "A range may have 1000 numbers at most. (at character 4)"),
        (
            "($f := function($n) { $f($n + 1) }; $f(1))",
            "D1012: Evaluation timeout after … milliseconds. Check for infinite loop",
        ),
    ],
)
def test_a_feed_is_not_configured_with_what_may_not_be_kept(
    caller: Caller, expression: str, message: str
) -> None:
    code, detail = refused(configure(caller, expression))
    assert code == "invalid"
    assert detail == {"field": "filter.expression", "message": message}
    assert not Subscription.objects.exists()
    assert not SnapshotDemand.objects.exists()


def test_a_configuration_warns_of_what_can_never_match(caller: Caller) -> None:
    place_in(Status.HANDLING)
    answer = configure(caller, 'salesChannel.Id != "3" or $number(status) = 1')
    assert answer.status_code == 200
    assert parsed(answer)["warnings"] == [
        "salesChannel.Id is in none of the orders looked at (1); a comparison with what is not "
        "there is never true, not even by !=.",
        "It fails on 1 of 1 orders looked at: A function failed.",
    ]
    assert "warnings" not in parsed(configure(caller, 'salesChannel != "3"'))


def test_a_key_learns_nothing_of_orders_that_it_may_not_see_by_how_an_expression_does() -> None:
    place(seller_id="1")
    asking = "$number(status) = 1"
    foreign = Caller([Scope.FEED_HOOK_ADMIN], seller_ids=["2"])
    assert "warnings" not in parsed(configure(foreign, asking))
    own = Caller([Scope.FEED_HOOK_ADMIN], seller_ids=["1"])
    assert "It fails on 1 of 1 orders" in parsed(configure(own, asking))["warnings"][-1]


def test_ki_832400_a_feed_by_expression_is_told_of_every_version_of_an_order(
    caller: Caller,
) -> None:
    assert (
        configure(caller, 'status in ["payment-pending", "payment-approved"]').status_code == 200
    )
    order_id = place_in(Status.HANDLING)
    told: list[tuple[str, int]] = []
    while items := parsed(caller.get("orders/feed")):
        told += [(item["state"], item["version"]) for item in items]
        caller.post("orders/feed", {"handles": [item["handle"] for item in items]})
    assert told == [
        (event.status, event.seq)
        for event in events_of(order_id)
        if event.status in ("payment-pending", "payment-approved")
    ]
    assert {status for status, _ in told} == {"payment-pending", "payment-approved"}


def test_an_expression_that_fails_on_some_orders_is_counted_and_holds_up_nothing(
    caller: Caller,
) -> None:
    assert configure(caller, 'status = "handling" or $number(status) = 1').status_code == 200
    order_id = place_in(Status.HANDLING)
    (item,) = parsed(caller.get("orders/feed"))
    assert (item["orderId"], item["state"]) == (order_id, "handling")
    subscription = Subscription.objects.get()
    assert subscription.filter_error_count == len(events_of(order_id)) - 1
    assert subscription.last_filter_error == "A function failed."
