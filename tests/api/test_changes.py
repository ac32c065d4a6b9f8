"""Order modifications over HTTP: the contract's answers, its codes, both of its versions."""

from collections.abc import Iterator
from typing import Any

import pytest

from oms.access.authenticating import forget_all_cached_keys
from oms.access.scopes import Scope
from oms.orders.statuses import Status
from tests.api.callers import Caller, fields_of, parsed, refusal
from tests.workflow.changes.bodies import CUPS, MUGS, add, body, handled, item, remove
from tests.workflow.sandboxes import ThreadedSandbox
from tests.workflow.stories import nothing_changes, order_of, place_in, record
from workflow.models import ChangeRequest
from workflow.runner import run_due
from workflow.sandbox.server import SandboxOptions

pytestmark = pytest.mark.django_db

SETTINGS = "order-system/orders/changes/settings"
TOLD_OF_A_REQUEST = {
    "requestId", "workflowId", "reason", "manualDiscountValue", "manualIncrementValue",
    "totalChangeValue", "totals", "add", "remove", "replace", "date", "origin", "settings",
}  # fmt: skip


@pytest.fixture
def caller() -> Iterator[Caller]:
    forget_all_cached_keys()
    yield Caller([Scope.CHANGES])
    forget_all_cached_keys()


@pytest.fixture
def sandbox(settings: Any) -> Iterator[ThreadedSandbox]:
    with ThreadedSandbox(SandboxOptions(port=0, seed=1)) as running:
        settings.CONNECTORS = running.connectors
        yield running


def path(order_id: str, rest: str = "") -> str:
    return f"order-system/orders/{order_id}/changes{rest}?accountName=shop"


def test_a_change_is_accepted_and_told_back_in_full(caller: Caller) -> None:
    order_id = handled()
    answer = caller.ask("PATCH", path(order_id), remove(item(1, id="mug", uniqueId=MUGS)))
    told = parsed(answer)
    assert (answer.status_code, set(told)) == (202, TOLD_OF_A_REQUEST)
    assert (told["totalChangeValue"], told["add"], told["replace"]) == (-300, None, [])
    assert told["remove"][0]["items"][0]["uniqueId"] == MUGS
    assert told["origin"]["orderId"] == order_id
    details = parsed(caller.get(path(order_id, f"/{told['requestId']}")))
    assert details == told | {
        "status": "done",
        "inProgress": False,
        "logs": [{"date": told["date"], "message": "Applied."}],
    }
    assert parsed(caller.get(path(order_id))) == {"requests": [details], "actions": []}


def test_a_preview_answers_without_ids_and_changes_nothing(caller: Caller) -> None:
    order_id = handled()
    with nothing_changes(order_id):
        answer = caller.post(path(order_id, "/preview"), remove(item(1, id="mug")))
    assert answer.status_code == 200
    assert set(parsed(answer)) == TOLD_OF_A_REQUEST - {"requestId", "workflowId"}


def test_a_request_waits_is_retried_canceled_and_over(caller: Caller) -> None:
    order_id = handled()
    told = parsed(caller.ask("PATCH", path(order_id), add(item(1, id="cup", uniqueId=CUPS))))
    one = f"/{told['requestId']}"
    details = parsed(caller.get(path(order_id, one)))
    assert (details["status"], details["inProgress"]) == ("waiting-acknowledgement", True)
    refusal(
        caller.ask("PATCH", path(order_id), remove(item(1, id="mug"))), 409, "SalesOrderSystem014"
    )
    assert caller.post(path(order_id, f"{one}/retry")).status_code == 204
    answer = caller.post(path(order_id, f"{one}/cancel"))
    assert (answer.status_code, answer.content) == (200, b"")
    refusal(caller.post(path(order_id, f"{one}/retry")), 409, "change_over")
    assert parsed(caller.get(path(order_id, one)))["status"] == "canceled"
    refusal(caller.get(path(order_id, "/nonsense")), 404, "not_found")


def test_the_contracts_codes_and_the_fields_that_are_wrong(
    caller: Caller, sandbox: ThreadedSandbox
) -> None:
    order_id = handled()
    refusal(caller.ask("PATCH", path(place_in(Status.INVOICED)), body()), 400, "invalid")
    ready = place_in(Status.READY_FOR_HANDLING)
    error = refusal(caller.ask("PATCH", path(ready), body(manualDiscountValue=1)), 409, "OMS003")
    assert "handling or waiting-for-fulfillment or ready-for-invoicing" in error["message"]
    assert fields_of(caller.ask("PATCH", path(order_id), {"add": {"items": [{}]}})) == [
        "add.items[0].id",
        "add.items[0].quantity",
        "reason",
    ]
    record(order_id, "NF-1", 900)
    run_due()
    refusal(caller.ask("PATCH", path(order_id), body(manualDiscountValue=101)), 400, "invalid")


def test_a_request_that_asks_for_nothing_is_told_what_could_be_asked_for(caller: Caller) -> None:
    answer = caller.ask("PATCH", path(handled()), body(manualDiscount=150))
    error = parsed(answer)["error"]
    assert (answer.status_code, error["message"]) == (400, "Nothing is asked for.")
    assert "manualDiscountValue" in error["details"][0]["allowed"]


def test_a_request_with_an_id_can_be_repeated(caller: Caller) -> None:
    order_id = handled()
    asked = remove(item(1, id="mug"), requestId="R/1 ä")
    first = parsed(caller.ask("PATCH", path(order_id), asked))
    with nothing_changes(order_id):
        assert parsed(caller.ask("PATCH", path(order_id), asked)) == first
    changed = remove(item(1, id="cup"), requestId="R/1 ä")
    refusal(caller.ask("PATCH", path(order_id), changed), 409, "changed_differently")


def test_an_idempotency_key_makes_a_change_happen_once(caller: Caller) -> None:
    order_id = handled()
    headers = {**caller.headers, "Idempotency-Key": "once"}
    asked = remove(item(1, id="cup"))
    first = caller.ask("PATCH", path(order_id), asked, headers)
    with nothing_changes(order_id):
        again = caller.ask("PATCH", path(order_id), asked, headers)
    assert (again.status_code, parsed(again)) == (202, parsed(first))
    assert again.headers["Idempotency-Replayed"] == "true"


def test_the_first_version_is_served_by_the_second(caller: Caller) -> None:
    """KI 955489: changes of the first version were lost in one place or another."""
    order_id = handled()
    asked = {
        "requestId": "change-request-0123",
        "reason": "Stock shortage",
        "discountValue": 100,
        "incrementValue": 0,
        "itemsRemoved": [{"id": "mug", "price": 300, "quantity": 1}],
        "itemsAdded": [{"id": "jug", "price": 250, "quantity": 1}],
    }
    answer = caller.post(f"oms/pvt/orders/{order_id}/changes", asked)
    receipt = parsed(answer)
    assert (answer.status_code, set(receipt)) == (200, {"date", "orderId", "receipt"})
    assert order_of(order_id).value_cents == 850
    with nothing_changes(order_id):
        assert parsed(caller.post(f"oms/pvt/orders/{order_id}/changes", asked)) == receipt
    (request,) = ChangeRequest.objects.all()
    assert (request.request_id, request.state) == ("change-request-0123", "done")
    (told,) = parsed(Caller().get(f"oms/pvt/orders/{order_id}"))["changesAttachment"][
        "changesData"
    ]
    assert told["receipt"] == receipt
    assert fields_of(caller.post(f"oms/pvt/orders/{order_id}/changes", {})) == [
        "requestId",
        "reason",
    ]


def test_settings_are_read_set_and_kept(caller: Caller) -> None:
    told = parsed(caller.get(SETTINGS))
    assert set(told) == {
        "paymentConfiguration", "rolloutConfiguration", "pipelineConfiguration",
    }  # fmt: skip
    answer = caller.ask(
        "PUT",
        f"{SETTINGS}?an=shop",
        {"pipelineConfiguration": {"enableTaxHubRecalculation": True}},
    )
    assert answer.status_code == 200
    assert parsed(answer)["pipelineConfiguration"]["enableTaxHubRecalculation"] is True
    assert parsed(caller.get(SETTINGS)) == parsed(answer)
    wrong = {"rolloutConfiguration": {"enableApi": "yes"}}
    assert fields_of(caller.ask("PUT", SETTINGS, wrong)) == ["rolloutConfiguration.enableApi"]
    caller.ask("PUT", SETTINGS, {"rolloutConfiguration": {"enableApi": False}})
    refusal(
        caller.ask("PATCH", path(handled()), body(manualDiscountValue=1)), 403, "changes_disabled"
    )


def test_the_summary_is_for_who_may_view(caller: Caller) -> None:
    order_id = handled()
    caller.ask("PATCH", path(order_id), remove(item(1, id="mug")))
    summary = f"orders/pvt/document/{order_id}/change-summary"
    refusal(caller.get(summary), 403, "forbidden")
    told = parsed(Caller([Scope.OMS_VIEWER]).get(summary))
    assert told["totalChangesValueAggregated"] == -300
    assert [entry["id"] for entry in told["original"]] == ["cup", "mug", "cup"]


def test_a_key_of_another_seller_finds_nothing_to_change() -> None:
    order_id = handled()
    stranger = Caller([Scope.CHANGES], seller_ids=["9"])
    for answer in (
        stranger.ask("PATCH", path(order_id), body(manualDiscountValue=1)),
        stranger.get(path(order_id)),
        stranger.post(path(order_id, "/preview"), body(manualDiscountValue=1)),
    ):
        refusal(answer, 404, "order_not_found")
