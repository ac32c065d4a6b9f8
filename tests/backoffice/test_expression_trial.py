"""Trying an expression on an order: true or false, the place of a mistake, no way around the mask."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from oms.backoffice.expression_trial import Trial
from oms.orders.models import Order
from oms.orders.snapshots import demand_snapshots
from oms.orders.statuses import Status
from tests.backoffice.subscribers import give_key, subscribe
from tests.workflow.stories import place, place_in

pytestmark = pytest.mark.django_db
Login = Callable[[str], Client]
PAGE = reverse("admin:integration_expression")


def _try(client: Client, expression: str, order_id: str) -> Trial:
    trial = client.post(PAGE, {"expression": expression, "order_id": order_id}).context["trial"]
    assert isinstance(trial, Trial)
    return trial


def test_an_expression_is_true_or_false_of_the_order_as_each_event_left_it(login: Login) -> None:
    demand_snapshots("test")
    order_id = place_in(Status.HANDLING)
    trial = _try(login("Operator"), 'status = "window-to-cancel"', order_id)
    assert trial.newest
    assert (trial.newest.is_match, trial.newest.error) == (False, "")
    assert [event.status for event in trial.events if event.is_match] == ["window-to-cancel"]
    assert not trial.has_unkept


def test_versions_that_were_not_kept_are_said_to_be_the_present_one(login: Login) -> None:
    order_id = place_in(Status.HANDLING)
    client = login("Operator")
    trial = _try(client, 'status = "handling"', order_id)
    assert trial.has_unkept
    assert {event.is_match for event in trial.events} == {True}


def test_a_mistake_is_shown_where_it_is(login: Login) -> None:
    trial = _try(login("Operator"), 'value > 1 and status = = "x"', place())
    assert trial.refusal
    assert (trial.refusal.before, trial.refusal.at) == ("value > 1 and status = ", "=")
    assert trial.events == ()


def test_an_error_is_told_and_counts_as_no_match(login: Login) -> None:
    trial = _try(login("Operator"), 'value > "a"', place())
    assert trial.newest
    assert not trial.newest.is_match
    assert "same data type" in trial.newest.error


def test_a_path_that_is_in_no_order_is_warned_about(login: Login) -> None:
    trial = _try(login("Operator"), 'salesChannel.Id != "3"', place())
    assert "salesChannel.Id is in none of the orders" in trial.warnings[0]


def test_an_endless_expression_ends(login: Login) -> None:
    trial = _try(login("Operator"), "($f := function($x){$f($x)}; $f(1))", place())
    assert trial.newest
    assert "timeout" in trial.newest.error


def test_an_expression_is_no_way_around_the_mask(login: Login) -> None:
    order_id = place()
    email = Order.objects.get().client_profile.email
    expression = f'clientProfileData.email = "{email}"'
    masked = _try(login("Operator"), expression, order_id)
    assert masked.is_masked
    assert masked.newest
    assert not masked.newest.is_match
    plain = _try(login("Supervisor"), expression, order_id)
    assert plain.newest
    assert plain.newest.is_match


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"expression": "", "order_id": "1"}, "Write an expression."),
        ({"expression": "x", "order_id": " "}, "Name the order to try it on."),
        ({"expression": "x", "order_id": "nope"}, "There is no such order."),
        ({"expression": "x" * 2_001, "order_id": "1"}, "at most 2000 characters"),
    ],
)
def test_a_form_that_lacks_something_says_what(
    login: Login, given: dict[str, Any], words: str
) -> None:
    page = login("Operator").post(PAGE, given)
    assert page.context["trial"] is None
    assert words in page.content.decode()


def test_it_begins_with_the_expression_of_a_subscription(login: Login) -> None:
    feed = subscribe(give_key(), filter_type="FromOrders", expression="value > 77")
    client = login("Operator")
    assert (
        "value &gt; 77" in client.get(f"{PAGE}?subscription={feed.pk}&order=A-1").content.decode()
    )
    assert client.get(f"{PAGE}?subscription=x").status_code == 200


def test_who_sees_no_documents_tries_nothing(login: Login) -> None:
    assert login("Support").get(PAGE).status_code == 403
