"""The tables are whole: nothing dead, nothing that cannot be left, nothing without a name."""

from collections.abc import Iterator

import pytest

from oms.orders.statuses import FINAL_STATUSES, STATUS_LABELS, Flow, Status
from tests.workflow.decisions import locked_order
from workflow.flows import (
    EVENT_KINDS,
    INITIAL_STATUS,
    TABLES,
    Action,
    TransitionNotAllowed,
    actions_from,
    find_next_status,
    statuses_allowing,
)
from workflow.lifecycle import NOBODY_YET, WHO_ASKS, asked_by, statuses_of, steps_for
from workflow.moves import Change

flows = pytest.mark.parametrize("flow", list(Flow))

# Kept because the contract knows the word and imported orders may have it; no move leads there.
ONLY_IMPORTED = {Status.ORDER_CREATE_ERROR}


def refusals() -> Iterator[tuple[Flow, Status, Action]]:
    for flow in Flow:
        for status in Status:
            for action in Action:
                if (status, action) not in TABLES[flow]:
                    yield flow, status, action


def reachable_from(
    flow: Flow, start: Status, *, without: frozenset[Action] = frozenset()
) -> set[Status]:
    seen = {start}
    to_visit = [start]
    while to_visit:
        status = to_visit.pop()
        for action in actions_from(flow, status):
            reached = TABLES[flow][status, action]
            if action not in without and reached not in seen:
                seen.add(reached)
                to_visit.append(reached)
    return seen


def test_every_move_without_a_row_is_refused_with_the_facts() -> None:
    count = 0
    for flow, status, action in refusals():
        change = Change(order=locked_order(flow, status), actor="user:test", action=action)
        with pytest.raises(TransitionNotAllowed) as refusal:
            change.next_status()
        facts = refusal.value
        assert (facts.order_id, facts.flow, facts.status, facts.action) == (
            "TST-1-01",
            flow,
            status,
            action,
        )
        assert facts.allowed_from == statuses_allowing(flow, action)
        assert status not in facts.allowed_from
        count += 1
    rows = sum(len(table) for table in TABLES.values())
    assert count == len(Flow) * len(Status) * len(Action) - rows


@flows
def test_every_row_leads_where_it_says(flow: Flow) -> None:
    for (status, action), reached in TABLES[flow].items():
        change = Change(order=locked_order(flow, status), actor="user:test", action=action)
        assert change.next_status() is reached
        assert find_next_status(flow, status, action) is reached


def test_a_refusal_says_where_the_action_would_be_legal() -> None:
    refusal = TransitionNotAllowed(
        order_id="1-01",
        flow=Flow.COMPLETE,
        status=Status.INVOICED,
        action=Action.START_HANDLING,
    )
    assert str(refusal) == "Order 1-01 is in invoiced; start-handling needs ready-for-handling."
    never = TransitionNotAllowed(
        order_id="1-01", flow=Flow.CHAIN, status=Status.INVOICED, action=Action.START_HANDLING
    )
    assert str(never) == "Order 1-01 is in invoiced; its flow, chain, has no start-handling."


@flows
def test_the_initial_status_is_reached_by_receiving_and_by_nothing_else_from_null(
    flow: Flow,
) -> None:
    assert actions_from(flow, Status.NULL) == (Action.RECEIVE,)
    assert INITIAL_STATUS[flow] is TABLES[flow][Status.NULL, Action.RECEIVE]
    assert Status.NULL not in TABLES[flow].values()


@flows
def test_every_status_is_reachable(flow: Flow) -> None:
    reachable = reachable_from(flow, INITIAL_STATUS[flow])
    assert set(statuses_of(flow)) - reachable <= ONLY_IMPORTED


@flows
def test_every_status_has_a_way_out_to_the_end(flow: Flow) -> None:
    """Also without the rows that nothing uses yet: no order can get stuck for ever."""
    for status in statuses_of(flow):
        if not status.is_final:
            assert actions_from(flow, status), status
        assert reachable_from(flow, status, without=NOBODY_YET) & FINAL_STATUSES, status


@flows
def test_final_statuses_are_left_by_nothing(flow: Flow) -> None:
    for status in FINAL_STATUSES:
        assert actions_from(flow, status) == ()


@flows
def test_a_canceled_order_was_canceling_before(flow: Flow) -> None:
    into = [origin for (origin, _), to in TABLES[flow].items() if to is Status.CANCELED]
    assert into == [Status.CANCEL]


@flows
def test_every_row_is_used_by_somebody(flow: Flow) -> None:
    """By a step of the status, by a service that somebody calls, or it is on the list."""
    unused = {
        action
        for status, action in TABLES[flow]
        if not asked_by(flow, action) and not steps_for(flow, status, action)
    }
    assert unused <= NOBODY_YET


@flows
def test_what_only_the_system_can_leave_it_leaves(flow: Flow) -> None:
    for status in statuses_of(flow):
        actions = actions_from(flow, status)
        needs_nobody = [action for action in actions if steps_for(flow, status, action)]
        can_be_asked = [action for action in actions if asked_by(flow, action)]
        assert status.is_final or needs_nobody or can_be_asked, status


def test_nobody_is_named_who_does_not_act() -> None:
    used = {action for table in TABLES.values() for _, action in table}
    assert used == set(Action)
    assert not NOBODY_YET & WHO_ASKS.keys()


def test_every_action_has_an_event_kind_of_its_own_in_the_past_tense() -> None:
    assert set(EVENT_KINDS) == set(Action)
    assert len(set(EVENT_KINDS.values())) == len(Action)
    assert all(kind.startswith("order.") for kind in EVENT_KINDS.values())


def test_every_status_has_a_label_and_a_flow() -> None:
    assert set(STATUS_LABELS) == set(Status)
    used = {status for flow in Flow for status in statuses_of(flow)}
    assert set(Status) - used == {Status.NULL}
