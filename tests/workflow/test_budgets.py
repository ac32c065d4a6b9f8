from datetime import UTC, datetime, timedelta

import pytest

from oms.orders.statuses import Flow, Priority, Status
from workflow.budgets import BUDGETS, budget_ends_at
from workflow.lifecycle import statuses_of, steps_of
from workflow.policies import default_window_to_cancel
from workflow.steps import CHANGE_SELLER_WITHIN

SINCE = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize("flow", list(Flow))
def test_every_status_in_which_an_order_can_stand_has_a_budget(flow: Flow) -> None:
    without = {status for status in statuses_of(flow) if status not in BUDGETS}
    assert without == {status for status in statuses_of(flow) if status.is_final}


def test_urgent_orders_never_have_more_time() -> None:
    for status, (normal, urgent) in BUDGETS.items():
        assert timedelta(0) < urgent <= normal, status


@pytest.mark.parametrize("flow", list(Flow))
def test_a_timer_of_days_that_is_the_only_way_on_is_within_the_budget(flow: Flow) -> None:
    """An order that waits for its own window to end is not stuck."""
    if Status.WINDOW_TO_CHANGE_PAYMENT in statuses_of(flow):
        (timer,) = steps_of(flow, Status.WINDOW_TO_CHANGE_PAYMENT).values()
        assert isinstance(timer.after, timedelta)
        assert min(BUDGETS[Status.WINDOW_TO_CHANGE_PAYMENT]) > timer.after
    assert min(BUDGETS[Status.WINDOW_TO_CHANGE_SELLER]) > CHANGE_SELLER_WITHIN
    if Status.WINDOW_TO_CANCEL in statuses_of(flow):
        assert min(BUDGETS[Status.WINDOW_TO_CANCEL]) > default_window_to_cancel()


@pytest.mark.parametrize(
    ("status", "priority", "after"),
    [
        (Status.HANDLING, Priority.NORMAL, timedelta(hours=48)),
        (Status.HANDLING, Priority.URGENT, timedelta(hours=2)),
        (Status.HANDLING, Priority.BACKGROUND, timedelta(hours=48)),
        (Status.ORDER_CREATED, Priority.URGENT, timedelta(minutes=2)),
    ],
)
def test_a_budget_ends_by_status_and_urgency(
    status: Status, priority: int, after: timedelta
) -> None:
    assert budget_ends_at(status, priority=priority, since=SINCE) == SINCE + after


@pytest.mark.parametrize("status", [status for status in Status if status.is_final])
def test_a_finished_order_is_never_stuck(status: Status) -> None:
    assert budget_ends_at(status, priority=Priority.NORMAL, since=SINCE) is None
