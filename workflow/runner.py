"""
Runs due work: inside steps in batches, outside steps by claim, call, record.

`run_due` is what a queued task does. It keeps going until nothing is due or its time is up, so
that an order passes its inside steps without waiting for another task.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import OperationalError, transaction

from oms.ops.heartbeats import beat, default_instance
from oms.orders.locks import lock_orders
from workflow.connectors.breaker import (
    blocked_connectors,
    claim_probe,
    give_back_probe,
    half_open_connectors,
    record_results,
)
from workflow.connectors.http import call_many
from workflow.connectors.protocol import Answered, Call, Failed, Outcome, Refused
from workflow.connectors.slots import connector_slot
from workflow.flows import TransitionNotAllowed
from workflow.moves import Change, write_change, write_changes
from workflow.outside import CallFacts, Verdict, build_call, interpret, load_facts
from workflow.policies import policies
from workflow.recording import broken, record_each
from workflow.steps import decide
from workflow.work import (
    ClaimedItem,
    claim_items,
    close_items,
    connectors_with_due_items,
    due_inside_items,
    find_due_orders,
    hurry_retries,
    park_item,
)

logger = structlog.get_logger(__name__)

ACTOR: Final = "role:workflow"
INSIDE_BATCH: Final = 200
# A task ends after this long even if more is due, so that the cluster can stop and recycle.
RUN_SECONDS: Final = 5.0


@dataclass(slots=True)
class Tally:
    """How much a run did."""

    moved: int = 0
    called: int = 0
    retried: int = 0
    parked: int = 0

    @property
    def count(self) -> int:
        return self.moved + self.called + self.retried + self.parked


def run_due(item_ids: Sequence[int] | None = None, *, seconds: float = RUN_SECONDS) -> Tally:
    """
    This function will run the announced items, then whatever else is due, until time is up.

    Urgent orders go first in every batch. Work of a connector whose breaker is open stays.
    """
    ends_at = time.monotonic() + seconds
    tally = Tally()
    if item_ids:
        run_once(tally, only=item_ids)
    # Even if others took the announced items: what is due beyond them has no other announcement.
    is_busy = True
    while is_busy and time.monotonic() < ends_at:
        is_busy = run_once(tally)
    return tally


def run_once(tally: Tally, *, only: Sequence[int] | None = None) -> bool:
    """
    This function will run one batch of each kind of work and say whether anything was done.

    It reports after each batch: the supervisor replaces a cluster that is silent for too long.
    """
    before = tally.count
    _run_inside(tally, only)
    _report(tally.count - before)
    for connector in connectors_with_due_items(settings.CONNECTORS):
        before_call = tally.count
        _run_connector(connector, tally, only)
        _report(tally.count - before_call)
    return tally.count > before


def _report(work_done: int) -> None:
    beat("workflow", work_done=work_done)


def _run_inside(tally: Tally, only: Sequence[int] | None) -> None:
    candidates = find_due_orders(limit=INSIDE_BATCH, only=only)
    if not candidates:
        return
    try:
        tally.moved += _run_orders(candidates)
    except OperationalError:  # the database is away, or a lock took too long: nobody's fault
        raise
    except Exception:
        # One of them cannot be moved. Alone, it holds up nobody else.
        logger.exception("orders run one by one")
        for order_pk in candidates:
            _run_alone(order_pk, tally)


@transaction.atomic
def _run_orders(candidates: Sequence[int]) -> int:
    """This function will run one due inside step of each order, and return of how many."""
    # Taken by another worker or by a caller of the API: left for the next round.
    orders = lock_orders(candidates, skip_locked=True)
    due = due_inside_items(list(orders))
    finished: list[int] = []
    changes: list[Change] = []
    for order_pk, (item_pk, step) in due.items():
        order = orders[order_pk]
        decision = decide(step, order, policies.rules_of(order.seller_id))
        if decision.action is None:
            finished.append(item_pk)
        else:
            changes.append(
                Change(order=order, actor=ACTOR, action=decision.action, reason=decision.reason)
            )
    close_items(finished)
    write_changes(changes)
    return len(due)


def _run_alone(order_pk: int, tally: Tally) -> None:
    try:
        tally.moved += _run_orders([order_pk])
    except OperationalError:
        raise
    except Exception as error:
        logger.exception("inside step broke", order=order_pk)
        _try_to_park(order_pk, error, tally)


def _try_to_park(order_pk: int, broke_by: Exception, tally: Tally) -> None:
    try:
        tally.parked += _park_broken(order_pk, broke_by)
    except OperationalError:
        raise
    except Exception:
        # Not even that can be written. It stays due and in the log; the others go on.
        logger.exception("order left alone", order=order_pk)


@transaction.atomic
def _park_broken(order_pk: int, error: Exception) -> int:
    orders = lock_orders([order_pk], skip_locked=True)
    due = due_inside_items(list(orders))
    for item_pk, step in due.values():
        is_refusal = isinstance(error, TransitionNotAllowed)
        cause = "refused by the table" if is_refusal else f"{step} broke"
        reason = str(error) if is_refusal else f"{type(error).__name__}: see the log."
        park_item(item_pk, cause=cause, error=reason)
        write_change(
            Change(
                order=orders[order_pk],
                actor=ACTOR,
                kind="work.parked",
                reason=reason,
                data={"step": step, "cause": cause},
            )
        )
    return len(due)


def _run_connector(connector: str, tally: Tally, only: Sequence[int] | None) -> None:
    if connector in blocked_connectors():
        return
    if connector not in half_open_connectors():
        _claim_and_call(connector, settings.CONNECTOR_CALLS_AT_ONCE, tally, only)
    elif claim_probe(connector) and not _claim_and_call(connector, 1, tally, only):
        # Won the probe and had nothing to send: others must not wait for it.
        give_back_probe(connector)


def _claim_and_call(connector: str, limit: int, tally: Tally, only: Sequence[int] | None) -> bool:
    """This function will tell whether anything was sent to the connector."""
    with connector_slot(connector, settings.CONNECTOR_SLOTS) as is_free:
        if not is_free:
            return False
        items = claim_items(
            connector=connector,
            limit=limit,
            lease=timedelta(seconds=settings.WORK_LEASE_SECONDS),
            worker=default_instance(),
            only=only,
        )
        return bool(items) and _call_and_record(connector, items, tally)


def _call_and_record(connector: str, items: Sequence[ClaimedItem], tally: Tally) -> bool:
    facts = load_facts([item.order_pk for item in items])
    prepared = [(item, _prepare(item, facts[item.order_pk])) for item in items]
    calls = [(item, call) for item, call in prepared if isinstance(call, Call)]
    outcomes: list[Outcome] = call_many(
        [call for _, call in calls],
        limit_per_connector=settings.CONNECTOR_CALLS_AT_ONCE,
        timeout_seconds=settings.CONNECTOR_TIMEOUT_SECONDS,
        budget_seconds=settings.CONNECTOR_TIMEOUT_SECONDS,
    )
    _report_to_breaker(connector, outcomes)
    results: list[tuple[ClaimedItem, Verdict | Outcome]] = [
        (item, done) for item, done in prepared if not isinstance(done, Call)
    ]
    for (item, _), outcome in zip(calls, outcomes, strict=True):
        results.append((item, _read(item, facts[item.order_pk], outcome)))
    recorded = record_each(results, actor=ACTOR)
    tally.called += recorded.done
    tally.retried += recorded.retried
    tally.parked += recorded.parked
    return bool(calls)


def _prepare(item: ClaimedItem, facts: CallFacts) -> Call | Verdict | Refused:
    # Claims count at their start: this many without a recorded result, and the step kills workers.
    if item.attempts > settings.WORK_MAX_ATTEMPTS:
        return Refused("worker lost", f"{item.attempts} claims ended without a result.")
    try:
        return build_call(item, facts)
    except Exception as error:
        logger.exception("call not built", work_item=item.pk, step=item.step)
        return broken(item.step, error)


def _read(item: ClaimedItem, facts: CallFacts, outcome: Outcome) -> Verdict | Outcome:
    if not isinstance(outcome, Answered):
        return outcome
    try:
        return interpret(item, facts, outcome)
    except Exception as error:
        logger.exception("answer not understood", work_item=item.pk, step=item.step)
        return broken(item.step, error)


def _report_to_breaker(connector: str, outcomes: Sequence[Outcome]) -> None:
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    failures = [outcome for outcome in failed if not outcome.is_answer]
    answered = sum(isinstance(outcome, Answered | Refused) for outcome in outcomes)
    answered += len(failed) - len(failures)
    last_error = failures[-1].cause if failures else ""
    if record_results(connector, answered, len(failures), last_error):
        # The service is back: what failed meanwhile need not wait for minutes of backoff.
        hurried = hurry_retries(connector)
        logger.info("connector.back", connector=connector, hurried=hurried)
