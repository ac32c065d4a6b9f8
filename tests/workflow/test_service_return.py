"""A service that comes back: what failed meanwhile is tried again soon, and nothing else hurried."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now

from oms.orders.statuses import Flow
from tests.workflow.stories import order_of, place
from workflow.models import WorkItem
from workflow.steps import Step
from workflow.work import HURRIED_WITHIN_SECONDS, NewWorkItem, add_work_items, hurry_retries

pytestmark = pytest.mark.django_db

LATER = timedelta(minutes=4)


def waiting_item(**facts: object) -> int:
    """This function will make a payment step that failed once and waits for its next attempt."""
    order = order_of(place(Flow.COMPLETE))
    [pk] = add_work_items(
        [
            NewWorkItem(
                order_pk=order.pk,
                step=Step.AUTHORIZE_PAYMENT,
                priority=order.priority,
                due_at=order.created_at,
            )
        ]
    )
    given = {"attempts": 6, "last_error": "timed out", "announced_at": Now()} | facts
    WorkItem.objects.filter(pk=pk).update(next_attempt_at=Now() + LATER, **given)
    return pk


def is_soon(pk: int) -> bool:
    soon = Now() + timedelta(seconds=HURRIED_WITHIN_SECONDS)
    return WorkItem.objects.filter(pk=pk, next_attempt_at__lte=soon).exists()


def test_what_failed_is_tried_again_within_seconds_and_announced_anew() -> None:
    pk = waiting_item()
    assert hurry_retries("payments") == 1
    assert is_soon(pk)
    item = WorkItem.objects.get(pk=pk)
    assert (item.announced_at, item.attempts, item.last_error) == (None, 6, "timed out")


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"last_error": ""}, id="polls for news"),
        pytest.param({"last_error": "HTTP 429"}, id="was asked for time"),
        pytest.param({"leased_until": Now() + LATER, "leased_by": "other:1"}, id="under lease"),
        pytest.param({"parked_at": Now(), "cause": "payments: timed out"}, id="parked"),
    ],
)
def test_what_waits_for_another_reason_goes_on_waiting(facts: dict[str, object]) -> None:
    pk = waiting_item(**facts)
    assert hurry_retries("payments") == 0
    assert not is_soon(pk)


def test_the_items_of_another_service_go_on_waiting() -> None:
    pk = waiting_item()
    assert hurry_retries("stock") == 0
    assert not is_soon(pk)
    assert WorkItem.objects.filter(pk=pk, next_attempt_at__gt=F("due_at")).exists()
