"""Whatever a step can come to, the table of the flow allows it."""

from collections import defaultdict
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from oms.orders.statuses import Flow, Status
from tests.workflow.decisions import inside_decisions, is_outside, locked_order, outside_verdicts
from workflow.flows import TABLES, Action, find_next_status
from workflow.lifecycle import ACTIONS_OF_STEP, NEXT_STEP, steps_for, steps_of
from workflow.policies import default_window_to_cancel
from workflow.steps import (
    ACTION_WHEN_SKIPPED,
    CONNECTOR_OF_STEP,
    NOTHING,
    OPENINGS,
    UNBOUND_STEPS,
    Decision,
    SellerRules,
    Step,
    decide,
    openings_of,
)

A, S, T = Action, Status, Step
RULES = SellerRules(default_window_to_cancel())


@pytest.fixture(autouse=True)
def authorization_limit(settings: Settings) -> None:
    settings.AUTHORIZATION_ABOVE_CENTS = 10_000


def opened() -> Iterator[tuple[Flow, Status, Step]]:
    """Every step in every status of the tables in which it can be open."""
    for flow in Flow:
        for status in OPENINGS[flow]:
            if any(origin is status for origin, _ in TABLES[flow]):
                for step in steps_of(flow, status):
                    yield flow, status, step


def actions_of(flow: Flow, status: Status, step: Step) -> set[Action]:
    if is_outside(step):
        actions = {verdict.action for verdict in outside_verdicts(flow, step)}
    else:
        actions = {decision.action for decision in inside_decisions(flow, status, step)}
    return {action for action in actions if action is not None}


@pytest.mark.parametrize(("flow", "status", "step"), list(opened()))
def test_whatever_a_step_comes_to_is_legal(flow: Flow, status: Status, step: Step) -> None:
    for action in actions_of(flow, status, step):
        assert find_next_status(flow, status, action) is not None, action


@pytest.mark.parametrize(("flow", "status", "step"), list(opened()))
def test_a_step_moves_the_order_hands_over_or_waits_for_news(
    flow: Flow, status: Status, step: Step
) -> None:
    assert actions_of(flow, status, step) or step in NEXT_STEP


def test_the_life_cycle_page_tells_what_steps_really_come_to() -> None:
    found: dict[Step, set[Action]] = defaultdict(set)
    for flow, status, step in opened():
        found[step] |= actions_of(flow, status, step)
    for step in UNBOUND_STEPS:
        found[step] |= {
            a for flow in Flow for v in outside_verdicts(flow, step) if (a := v.action)
        }
    assert found == ACTIONS_OF_STEP


def test_steps_that_hand_over_are_told_on_the_page() -> None:
    handed = {
        step: verdict.then
        for step in CONNECTOR_OF_STEP
        for verdict in outside_verdicts(Flow.COMPLETE, step)
        if verdict.then is not None
    }
    assert handed == NEXT_STEP


def test_every_step_is_opened_somewhere_or_bound_to_a_package_or_late_effect() -> None:
    assert {step for _, _, step in opened()} == set(Step) - UNBOUND_STEPS


def test_unbound_steps_never_move_an_order() -> None:
    for step in UNBOUND_STEPS:
        assert ACTIONS_OF_STEP[step] == frozenset()


def test_only_steps_that_call_a_service_have_a_connector() -> None:
    for step in Step:
        if step not in CONNECTOR_OF_STEP:
            decide(step, locked_order(Flow.COMPLETE, S.ORDER_CREATED), RULES)
            continue
        with pytest.raises(KeyError):
            decide(step, locked_order(Flow.COMPLETE, S.ORDER_CREATED), RULES)


def test_a_skipped_step_leads_where_the_service_would_have_led() -> None:
    for step, action in ACTION_WHEN_SKIPPED.items():
        assert action in ACTIONS_OF_STEP[step]
        for flow, status, opened_step in opened():
            if opened_step is step:
                assert step in steps_for(flow, status, action)


@pytest.mark.parametrize("flow", list(Flow))
def test_final_statuses_open_nothing(flow: Flow) -> None:
    for status in Status:
        if status.is_final:
            assert openings_of(flow, status) == ()


@pytest.mark.parametrize("flow", list(Flow))
def test_no_step_is_opened_twice_in_a_status(flow: Flow) -> None:
    for openings in OPENINGS[flow].values():
        steps = [opening.step for opening in openings]
        assert len(set(steps)) == len(steps)


DECISIONS = [
    (T.ASK_SELLER, S.ON_ORDER_COMPLETED, {}, Decision(A.ASK_SELLER)),
    (
        T.ASK_SELLER,
        S.ON_ORDER_COMPLETED,
        {"value_cents": 10_000},
        Decision(A.ASK_SELLER),
    ),
    (
        T.ASK_SELLER,
        S.ON_ORDER_COMPLETED,
        {"value_cents": 10_001},
        Decision(A.HOLD_FOR_AUTHORIZATION, "The value needs somebody's authorization."),
    ),
    (T.SETTLE_DENIED_PAYMENT, S.PAYMENT_DENIED, {}, Decision(A.CANCEL, "Payment denied.")),
    (T.VERIFY_INVOICE, S.INVOICE, {"invoiced_cents": 999}, Decision(A.SETTLE_PART)),
    (T.VERIFY_INVOICE, S.INVOICE, {"invoiced_cents": 1000}, Decision(A.SETTLE_INVOICE)),
    (T.TAKE_EARLY_AUTHORIZATION, S.WAITING_FFMT_AUTHORIZATION, {}, NOTHING),
    (
        T.CANCEL_OVERDUE,
        S.PAYMENT_PENDING,
        {},
        Decision(A.CANCEL, "Not resolved in time: payment pending."),
    ),
    (
        T.CANCEL_OVERDUE,
        S.CANCELLATION_REQUESTED,
        {},
        Decision(A.ACCEPT_CANCELLATION, "The seller did not decide in time."),
    ),
    (
        T.RESUME_AFTER_DENIAL,
        S.CANCELLATION_REQUEST_DENIED_FFM,
        {"status_before_request": S.READY_FOR_HANDLING},
        Decision(A.RETURN_TO_READY),
    ),
    (
        T.RESUME_AFTER_DENIAL,
        S.CANCELLATION_REQUEST_DENIED_FFM,
        {"status_before_request": S.READY_FOR_INVOICING},
        Decision(A.RETURN_TO_INVOICING),
    ),
    (
        T.RESUME_AFTER_DENIAL,
        S.CANCELLATION_REQUEST_DENIED_FFM,
        {},
        Decision(A.RETURN_TO_HANDLING),
    ),
]


@pytest.mark.parametrize(("step", "status", "facts", "expected"), DECISIONS)
def test_an_inside_step_decides_by_the_facts_of_the_order(
    step: Step, status: Status, facts: dict[str, object], expected: Decision
) -> None:
    assert decide(step, locked_order(Flow.COMPLETE, status, **facts), RULES) == expected


def test_a_denied_payment_opens_a_window_in_the_marketplace_flow_alone() -> None:
    order = locked_order(Flow.MARKETPLACE, S.PAYMENT_DENIED)
    assert decide(T.SETTLE_DENIED_PAYMENT, order, RULES) == Decision(A.OPEN_PAYMENT_WINDOW)


@pytest.mark.parametrize(
    ("flow", "status", "action"),
    [
        (Flow.FULFILLMENT, S.WAITING_FFMT_AUTHORIZATION, A.AUTHORIZE_FULFILLMENT),
        (Flow.CHAIN, S.WAITING_FOR_MKT_AUTHORIZATION, A.AUTHORIZE_BY_MARKETPLACE),
    ],
)
def test_an_authorization_that_came_early_is_taken_up(
    flow: Flow, status: Status, action: Action
) -> None:
    order = locked_order(flow, status, authorized_at=locked_order(flow, status).read_at)
    assert decide(T.TAKE_EARLY_AUTHORIZATION, order, RULES) == Decision(action)


def test_a_seller_with_a_warehouse_system_gets_the_order_there_first() -> None:
    order = locked_order(Flow.COMPLETE, S.WINDOW_TO_CANCEL)
    warehouse = SellerRules(default_window_to_cancel(), has_warehouse_system=True)
    assert decide(T.CLOSE_WINDOW_TO_CANCEL, order, RULES) == Decision(A.CLOSE_WINDOW_TO_CANCEL)
    assert decide(T.CLOSE_WINDOW_TO_CANCEL, order, warehouse) == Decision(A.HAND_TO_WAREHOUSE)
