"""Acting on many orders: the preview tells the truth, each order stands alone."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from oms.backoffice.bulk import BULK_ACTIONS, MOST_AT_ONCE, preview_of, run_bulk
from oms.ops.models import AuditEntry
from oms.orders.models import Order, OrderEvent
from oms.orders.statuses import Status
from tests.workflow.stories import move_to, place, place_in

pytestmark = pytest.mark.django_db
Login = Callable[[str], Client]
BULK = reverse("admin:orders_order_bulk")


def _pks(*order_ids: str) -> list[int]:
    return [Order.objects.get(order_id=order_id).pk for order_id in order_ids]


def _status(order_id: str) -> str:
    return Order.objects.get(order_id=order_id).status


def test_the_preview_says_how_many_can_and_why_others_cannot(login: Login) -> None:
    ready, placed = place_in(Status.READY_FOR_HANDLING), place()
    page = login("Operator").post(BULK, {"bulk": "start-handling", "order": _pks(ready, placed)})
    preview = page.context["preview"]
    assert [candidate.order_id for candidate in preview.possible] == [ready]
    assert preview.obstacles == [("Order created", 1)]
    assert (_status(ready), _status(placed)) == (Status.READY_FOR_HANDLING, Status.ORDER_CREATED)


def test_confirmed_it_acts_on_those_that_can(login: Login) -> None:
    first, second, placed = (
        place_in(Status.READY_FOR_HANDLING),
        place_in(Status.READY_FOR_HANDLING),
        place(),
    )
    given = {"bulk": "start-handling", "order": _pks(first, second, placed), "confirmed": "1"}
    answer = login("Operator").post(BULK, {**given, "reason": "Monday", "query": "?state=open"})
    assert answer["Location"].endswith("?state=open")
    assert [_status(order_id) for order_id in (first, second, placed)] == [
        Status.START_HANDLING,
        Status.START_HANDLING,
        Status.ORDER_CREATED,
    ]
    event = OrderEvent.objects.filter(order__order_id=first).latest("seq")
    assert (event.actor, event.reason) == ("user:operator", "Monday")
    assert AuditEntry.objects.filter(action="order.handling_started").count() == 2


def test_canceling_many_asks_where_it_cannot_cancel_at_once(login: Login) -> None:
    window, handling = place_in(Status.WINDOW_TO_CANCEL), place_in(Status.HANDLING)
    given = {"bulk": "cancel", "order": _pks(window, handling), "confirmed": "1"}
    page = login("Operator").post(BULK, {**given, "reason": ""})
    assert page.context["reason_missing"]
    assert _status(window) == Status.WINDOW_TO_CANCEL
    login("Operator").post(BULK, {**given, "reason": "Recall"})
    assert (_status(window), _status(handling)) == (Status.CANCEL, Status.CANCELLATION_REQUESTED)


def test_an_order_that_moved_on_is_told_and_hinders_no_other() -> None:
    moved, stays = place_in(Status.READY_FOR_HANDLING), place_in(Status.READY_FOR_HANDLING)
    preview = preview_of(BULK_ACTIONS["start-handling"], _pks(moved, stays))
    move_to(moved, Status.HANDLING)
    done, refused = run_bulk(preview, reason="", actor="user:x")
    assert (done, sum(refused.values())) == (1, 1)
    assert "“Handling shipping” now" in next(iter(refused))
    assert _status(stays) == Status.START_HANDLING


@pytest.mark.parametrize("order", [[], ["x", "1;drop"], [str(n) for n in range(MOST_AT_ONCE + 1)]])
def test_nothing_or_too_much_selected_is_sent_back(login: Login, order: list[str]) -> None:
    answer = login("Operator").post(BULK, {"bulk": "cancel", "order": order, "confirmed": "1"})
    assert answer["Location"] == reverse("admin:orders_order_changelist")


def test_a_foreign_way_back_is_not_followed(login: Login) -> None:
    answer = login("Operator").post(BULK, {"bulk": "x", "query": "//evil.example"})
    assert answer["Location"] == reverse("admin:orders_order_changelist")


def test_support_may_not(login: Login) -> None:
    ready = place_in(Status.READY_FOR_HANDLING)
    given = {"bulk": "start-handling", "order": _pks(ready), "confirmed": "1"}
    assert login("Support").post(BULK, given).status_code == 403
    assert _status(ready) == Status.READY_FOR_HANDLING
