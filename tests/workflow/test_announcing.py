"""\"Look now\": bounded, repeated by the sweep, worth nothing when lost."""

from datetime import timedelta

import pytest
from django.db import transaction
from django_q.models import OrmQ

from oms.ops.queues import waiting_tasks
from oms.orders.statuses import Status
from tests.factories import order_draft
from tests.workflow.stories import ACTOR, item_of, let_time_pass, place, place_in, status_of
from workflow.announcing import ENOUGH_TASKS, ITEMS_PER_TASK, announce, sweep
from workflow.models import WorkItem
from workflow.services.placing import place_drafts
from workflow.steps import Step
from workflow.tasks import look
from workflow.work import park_item

pytestmark = pytest.mark.django_db


def tasks() -> list[dict[str, object]]:
    return [task.task for task in OrmQ.objects.order_by("pk")]


def test_a_placed_order_is_announced_by_the_id_of_its_first_step() -> None:
    order_id = place()
    (task,) = tasks()
    assert (task["func"], task["cluster"]) == ("workflow.tasks.look", "workflow")
    assert task["args"] == ([item_of(order_id, Step.COMPLETE_ORDER).pk],)


def test_an_announcement_is_rolled_back_with_its_work() -> None:
    with transaction.atomic():
        place()
        transaction.set_rollback(True)
    assert (tasks(), WorkItem.objects.count()) == ([], 0)


def test_five_hundred_orders_are_a_handful_of_tasks() -> None:
    place_drafts([order_draft() for _ in range(500)], actor=ACTOR)
    assert len(tasks()) == 500 // ITEMS_PER_TASK


def test_no_more_is_announced_than_a_cluster_can_look_at() -> None:
    for _ in range(ENOUGH_TASKS * 2):
        place()
    assert waiting_tasks("workflow", at_most=1000) == ENOUGH_TASKS


def test_timers_are_not_announced() -> None:
    place_in(Status.WINDOW_TO_CANCEL)
    OrmQ.objects.all().delete()
    assert (sweep(), tasks()) == (0, [])


def test_the_sweep_announces_what_is_due_and_forgotten_once() -> None:
    order_id, parked = place(), place_in(Status.PAYMENT_PENDING)
    park_item(item_of(parked, Step.AUTHORIZE_PAYMENT).pk, cause="c", error="")
    OrmQ.objects.all().delete()
    assert (sweep(), sweep()) == (1, 0)
    (task,) = tasks()
    assert task["args"] == ([item_of(order_id, Step.COMPLETE_ORDER).pk],)


def test_the_sweep_announces_again_after_a_while() -> None:
    order_id = place()
    sweep()
    long_ago = item_of(order_id, Step.COMPLETE_ORDER).due_at - timedelta(minutes=1)
    WorkItem.objects.update(announced_at=long_ago)
    assert sweep() == 1


def test_losing_every_task_loses_nothing() -> None:
    order_id = place_in(Status.WINDOW_TO_CANCEL)
    let_time_pass(order_id, timedelta(minutes=30))
    OrmQ.objects.all().delete()
    assert sweep() == 1
    look(*tasks()[0]["args"])  # type: ignore[misc]
    assert status_of(order_id) == Status.READY_FOR_HANDLING


def test_a_task_whose_items_are_done_looks_for_other_work() -> None:
    order_id = place_in(Status.WINDOW_TO_CANCEL)
    let_time_pass(order_id, timedelta(minutes=30))
    assert look([10**12]) == 1
    assert status_of(order_id) == Status.READY_FOR_HANDLING


def test_announcing_nothing_queues_nothing() -> None:
    announce([])
    assert tasks() == []
