"""What an order waits for, in words: every status and every step has some."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from oms.backoffice.tones import TONES
from oms.backoffice.waiting import (
    STEP_WORDS,
    WORKFLOW,
    WorkFacts,
    WorkState,
    cause_words,
    describe,
    in_brief,
    in_order_of_urgency,
    rest_of,
)
from oms.orders.statuses import Flow, Status
from workflow.flows import TABLES
from workflow.steps import Step, openings_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ITEM = WorkFacts(
    pk=1,
    order_pk=1,
    step=Step.CHECK_FRAUD,
    connector="antifraud",
    due_at=NOW,
    next_attempt_at=NOW,
    attempts=0,
    last_error="",
    leased_until=None,
    leased_by="",
    parked_at=None,
    cause="",
)


def test_every_step_and_status_has_words_and_a_color() -> None:
    assert set(STEP_WORDS) == set(Step)
    assert set(TONES) == set(Status)


@pytest.mark.parametrize("flow", list(Flow))
def test_a_status_that_opens_no_step_of_its_own_names_who_must_act(flow: Flow) -> None:
    for status in dict.fromkeys(origin for origin, _ in TABLES[flow]):
        opens = [o for o in openings_of(flow, status) if o.step is not Step.CANCEL_OVERDUE]
        if not opens and status is not Status.NULL:
            assert rest_of(flow, status) is not WORKFLOW, status


@pytest.mark.parametrize(
    ("item", "state", "words", "detail"),
    [
        (
            replace(ITEM, parked_at=NOW - 65 * MINUTE, cause="check-fraud: no answer",
                    last_error="failed 12 times", attempts=12),
            WorkState.PARKED,
            "Stuck since 1 h 5 min: could not ask antifraud. No answer.",
            "Failed 12 times. 12 attempts. Somebody must retry or skip it.",
        ),
        (
            replace(ITEM, leased_until=NOW + MINUTE, leased_by="w1", attempts=1),
            WorkState.WORKING,
            "A worker is at it: ask antifraud.",
            "1 attempt. Worker w1.",
        ),
        (
            replace(ITEM, next_attempt_at=NOW + MINUTE, attempts=2, last_error="timeout"),
            WorkState.RETRYING,
            "Tries to ask antifraud again in 1 min.",
            "Last time: Timeout. 2 attempts.",
        ),
        (
            replace(ITEM, step=Step.CLOSE_WINDOW_TO_CANCEL, due_at=NOW + 29 * MINUTE,
                    next_attempt_at=NOW + 29 * MINUTE),
            WorkState.TIMER,
            "Will close the window to cancel in 29 min.",
            "",
        ),
        (ITEM, WorkState.DUE, "About to ask antifraud.", ""),
        (
            replace(ITEM, due_at=NOW - 7 * MINUTE, next_attempt_at=NOW - 7 * MINUTE),
            WorkState.DUE,
            "Due since 7 min: ask antifraud. No worker has taken it.",
            "",
        ),
    ],
)  # fmt: skip
def test_a_work_item_is_told_in_a_sentence(
    item: WorkFacts, state: WorkState, words: str, detail: str
) -> None:
    line = describe(item, NOW)
    assert (line.state, line.words, line.detail.strip()) == (state, words, detail)


def test_what_is_stuck_comes_first_and_deadlines_come_last() -> None:
    month = NOW + timedelta(days=30)
    deadline = replace(ITEM, pk=3, step=Step.CANCEL_OVERDUE, due_at=month, next_attempt_at=month)
    parked = replace(ITEM, pk=2, parked_at=NOW, cause="x")
    assert [line.pk for line in in_order_of_urgency([deadline, ITEM, parked], NOW)] == [2, 1, 3]


def test_a_list_row_says_who_and_until_when() -> None:
    timer = replace(
        ITEM,
        step=Step.CLOSE_WINDOW_TO_CANCEL,
        due_at=NOW + 29 * MINUTE,
        next_attempt_at=NOW + 29 * MINUTE,
    )
    brief = in_brief(Flow.COMPLETE, Status.WINDOW_TO_CANCEL, [timer], NOW)
    assert (brief.who, brief.detail, brief.is_parked) == ("Timer", "in 29 min", False)
    assert in_brief(Flow.COMPLETE, Status.READY_FOR_HANDLING, [], NOW).who == "ERP"
    assert in_brief(Flow.COMPLETE, Status.INVOICED, [], NOW).who == ""


def test_a_parked_item_makes_the_row_stuck() -> None:
    parked = replace(ITEM, parked_at=NOW, cause="check-fraud refused: 42")
    brief = in_brief(Flow.COMPLETE, Status.APPROVE_PAYMENT, [parked], NOW)
    assert (brief.is_parked, brief.detail) == (True, "Refused: 42")


def test_a_cause_loses_the_step_s_own_name() -> None:
    assert cause_words("settle-invoice: no answer", "settle-invoice") == "No answer"
    assert cause_words("capture denied", "settle-invoice") == "Capture denied"
