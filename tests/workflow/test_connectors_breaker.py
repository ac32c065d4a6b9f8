"""The breaker in PostgreSQL: when it opens, for how long, and who may probe."""

import threading

import pytest
from django.db import connection

from workflow.connectors.breaker import (
    DOUBLINGS,
    FAILURES_TO_OPEN,
    FIRST_OPEN_SECONDS,
    LONGEST_OPEN_SECONDS,
    blocked_connectors,
    claim_probe,
    give_back_probe,
    half_open_connectors,
    probe_seconds,
    record_results,
)
from workflow.models import ConnectorState

pytestmark = pytest.mark.django_db


def fail(times: int = 1, *, name: str = "payments") -> None:
    record_results(name, 0, times, "timed out")


def let_time_pass(seconds: float, *, name: str = "payments") -> None:
    """Moves the row into the past instead of waiting: the clock is PostgreSQL's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflow_connectorstate"
            " SET opened_until = opened_until - %(past)s * interval '1s',"
            " probe_at = probe_at - %(past)s * interval '1s' WHERE name = %(name)s",
            {"past": seconds, "name": name},
        )


def seconds_open(name: str = "payments") -> float:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM opened_until - clock_timestamp())"
            " FROM workflow_connectorstate WHERE name = %s",
            [name],
        )
        return float(cursor.fetchone()[0])


def open_and_fall_due() -> None:
    fail(FAILURES_TO_OPEN)
    let_time_pass(LONGEST_OPEN_SECONDS)


def test_a_connector_without_history_is_called() -> None:
    assert blocked_connectors() == half_open_connectors() == frozenset()


def test_the_fifth_failure_in_a_row_opens_it() -> None:
    for _ in range(FAILURES_TO_OPEN - 1):
        fail()
    assert blocked_connectors() == frozenset()
    fail()
    assert blocked_connectors() == {"payments"}
    assert half_open_connectors() == frozenset()


def test_one_batch_of_failures_opens_it_at_once() -> None:
    fail(50)
    assert blocked_connectors() == {"payments"}
    assert ConnectorState.objects.get().consecutive_failures == FAILURES_TO_OPEN
    assert ConnectorState.objects.get().last_error == "timed out"


def test_a_success_between_failures_starts_the_count_again() -> None:
    fail(FAILURES_TO_OPEN - 1)
    record_results("payments", 1, 0, "")
    fail(FAILURES_TO_OPEN - 1)
    assert blocked_connectors() == frozenset()


def test_a_batch_with_one_success_counts_as_success() -> None:
    record_results("payments", 1, 99, "HTTP 500")
    assert blocked_connectors() == frozenset()


def test_a_batch_of_nothing_changes_nothing() -> None:
    record_results("payments", 0, 0, "")
    assert not ConnectorState.objects.exists()


def test_a_success_while_closed_writes_nothing() -> None:
    record_results("payments", 3, 0, "")
    assert not ConnectorState.objects.exists()


def test_connectors_do_not_share_a_breaker() -> None:
    fail(FAILURES_TO_OPEN)
    fail(name="stock")
    assert blocked_connectors() == {"payments"}


def test_it_opens_for_five_seconds_give_or_take_the_jitter() -> None:
    fail(FAILURES_TO_OPEN)
    assert 0.75 * FIRST_OPEN_SECONDS < seconds_open() <= 1.2 * FIRST_OPEN_SECONDS


def test_stragglers_neither_prolong_nor_count() -> None:
    fail(FAILURES_TO_OPEN)
    before = ConnectorState.objects.get()
    fail(100)
    after = ConnectorState.objects.get()
    assert after.opened_until == before.opened_until
    assert after.consecutive_failures == before.consecutive_failures


def test_when_due_one_caller_wins_the_probe() -> None:
    open_and_fall_due()
    assert blocked_connectors() == frozenset()
    assert half_open_connectors() == {"payments"}
    assert claim_probe("payments") is True
    assert claim_probe("payments") is False
    assert blocked_connectors() == {"payments"}
    assert half_open_connectors() == frozenset()


def test_a_closed_or_open_connector_has_no_probe_to_claim() -> None:
    assert claim_probe("payments") is False
    fail(FAILURES_TO_OPEN)
    assert claim_probe("payments") is False


def test_the_probes_success_closes_it() -> None:
    open_and_fall_due()
    claim_probe("payments")
    record_results("payments", 1, 0, "")
    state = ConnectorState.objects.get()
    assert (state.consecutive_failures, state.opened_until, state.probe_at) == (0, None, None)
    assert blocked_connectors() == frozenset()


def test_each_failed_probe_doubles_the_time_up_to_its_limit() -> None:
    fail(FAILURES_TO_OPEN)
    for expected in (10, *([LONGEST_OPEN_SECONDS] * (DOUBLINGS + 3))):
        let_time_pass(LONGEST_OPEN_SECONDS)
        assert claim_probe("payments")
        fail()
        assert 0.75 * expected < seconds_open() <= min(1.2 * expected, LONGEST_OPEN_SECONDS)


def test_only_the_success_that_closes_it_says_so() -> None:
    assert record_results("payments", 1, 0, "") is False
    fail(1)
    assert record_results("payments", 1, 0, "") is False
    open_and_fall_due()
    claim_probe("payments")
    assert record_results("payments", 1, 0, "") is True
    assert record_results("payments", 1, 0, "") is False


def test_a_probe_that_was_given_back_can_be_claimed_at_once() -> None:
    open_and_fall_due()
    claim_probe("payments")
    give_back_probe("payments")
    assert half_open_connectors() == {"payments"}
    assert claim_probe("payments") is True


def test_a_prober_that_died_lets_another_try() -> None:
    open_and_fall_due()
    claim_probe("payments")
    let_time_pass(probe_seconds())
    assert half_open_connectors() == {"payments"}
    assert claim_probe("payments") is True


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_at_once_one_wins_the_probe() -> None:
    open_and_fall_due()
    wins: list[bool] = []

    def claim() -> None:
        try:
            wins.append(claim_probe("payments"))
        finally:
            connection.close()

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins) == [False] * 7 + [True]


@pytest.mark.django_db(transaction=True)
def test_the_first_failures_of_many_workers_at_once_are_all_counted() -> None:
    def report() -> None:
        try:
            fail()
        finally:
            connection.close()

    threads = [threading.Thread(target=report) for _ in range(FAILURES_TO_OPEN)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert blocked_connectors() == {"payments"}
