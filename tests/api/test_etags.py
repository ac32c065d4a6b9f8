"""Documents that the caller has are not sent again; writes can be bound to what was read."""

import concurrent.futures

import pytest
from django.db import connection, connections
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext

from oms.access.scopes import Scope
from oms.orders.statuses import Status
from tests.api.callers import Caller, parsed, refusal
from tests.workflow.stories import (
    events_of,
    item_of,
    kinds_of,
    move,
    move_to,
    nothing_changes,
    order_of,
    place_in,
)
from workflow.flows import Action
from workflow.steps import Step
from workflow.work import park_item


def tag_of(caller: Caller, path: str) -> str:
    return caller.get(path).headers["ETag"]


def conditional(caller: Caller, path: str, tag: str) -> int:
    return caller.ask("GET", path, headers={**caller.headers, "If-None-Match": tag}).status_code


def write_if(caller: Caller, order_id: str, tag: str) -> HttpResponse:
    headers = {**caller.headers, "If-Match": tag}
    return caller.ask("POST", f"oms/pvt/orders/{order_id}/start-handling", headers=headers)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "of", ["oms/pvt/orders/{0.order_id}", "oms/pvt/orders/order-group/{0.order_group}"]
)
def test_a_document_that_the_caller_has_is_not_built_again(of: str) -> None:
    order = order_of(place_in(Status.READY_FOR_HANDLING))
    caller, path = Caller(), of.format(order)
    tag = tag_of(caller, path)
    assert tag.startswith('"')
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = caller.ask("GET", path, headers={**caller.headers, "If-None-Match": tag})
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
    assert not any("orders_item" in query["sql"] for query in queries)
    assert conditional(caller, path, f'"other", W/{tag}') == 304
    assert conditional(caller, path, "*") == 304
    assert conditional(caller, path, '"other"') == 200
    move(order.order_id, Action.START_HANDLING)
    assert conditional(caller, path, tag) == 200


@pytest.mark.django_db
def test_parked_work_makes_another_document() -> None:
    order_id = place_in(Status.APPROVE_PAYMENT)
    caller, path = Caller(), f"oms/pvt/orders/{order_id}"
    tag = tag_of(caller, path)
    park_item(item_of(order_id, Step.CHECK_FRAUD).pk, cause="HTTP 500", error="")
    assert conditional(caller, path, tag) == 200
    assert parsed(caller.get(path))["workflowIsInError"] is True


@pytest.mark.django_db
def test_a_write_bound_to_the_present_version_is_done() -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    caller = Caller()
    tag = tag_of(caller, f"oms/pvt/orders/{order_id}")
    assert write_if(caller, order_id, tag).status_code == 204
    assert write_if(caller, order_id, "*").status_code == 409


@pytest.mark.django_db
@pytest.mark.parametrize("given", ["stale", '"0-0-x"', "nonsense", '"nonsense"', ""])
def test_a_write_bound_to_another_version_changes_nothing(given: str) -> None:
    order_id = place_in(Status.PAYMENT_APPROVED)
    caller = Caller()
    tag = tag_of(caller, f"oms/pvt/orders/{order_id}") if given == "stale" else given
    move_to(order_id, Status.READY_FOR_HANDLING)
    with nothing_changes(order_id):
        refusal(write_if(caller, order_id, tag), 412, "precondition_failed")


@pytest.mark.django_db
def test_a_key_learns_nothing_of_orders_it_may_not_see_or_change() -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    refusal(write_if(Caller(seller_ids=["other"]), order_id, "*"), 404, "order_not_found")
    refusal(write_if(Caller([Scope.OMS_VIEWER]), order_id, '"0-"'), 403, "forbidden")


@pytest.mark.django_db(transaction=True)
def test_of_ten_writes_bound_to_one_version_one_is_done() -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    caller = Caller()
    tag = tag_of(caller, f"oms/pvt/orders/{order_id}")
    before = len(events_of(order_id))

    def write(_: int) -> int:
        try:
            return write_if(caller, order_id, tag).status_code
        finally:
            connections.close_all()

    with concurrent.futures.ThreadPoolExecutor(10) as threads:
        answers = sorted(threads.map(write, range(10)))
    assert answers == [204] + [412] * 9
    assert len(kinds_of(order_id)) == before + 1
