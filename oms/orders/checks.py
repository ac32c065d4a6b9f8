"""
The nightly check: are orders what their timelines say? Finds rows changed without an event.

An order row and its events are compared inside one statement, so in one snapshot: a change that
commits meanwhile is seen whole or not at all. Batches by primary key; only differences leave
PostgreSQL, so memory stays flat.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from django.db import connection, transaction
from django.db.models.functions import Now

from oms.ops.audit import record_audit
from oms.ops.clock import database_now
from oms.ops.heartbeats import beat
from oms.orders.models import Drift, Order, TimelineCheck

logger = structlog.get_logger(__name__)

BATCH: Final = 10_000
# A run with more findings than this tells of a fault in the software, not of single rows.
MOST_FINDINGS: Final = 10_000
# What was checked longer ago has to be checked again.
RESUME_WITHIN: Final = timedelta(hours=20)
ROLE: Final = "backoffice"
CHECK_LOCK: Final = int.from_bytes(b"timeline", "big", signed=True)

Progress = Callable[[int], object]


class CheckIsRunning(Exception):
    """Another process compares timelines at this moment."""


@dataclass(frozen=True, slots=True)
class _Page:
    """Some orders by primary key: those above `after`, up to `upto`."""

    after: int
    upto: int
    count: int


def find_drift(*, batch: int = BATCH, after: int = 0) -> Iterator[Drift]:
    """
    This function will yield what differs between orders and their timelines, as unsaved rows.

    Orders are walked by primary key, beginning above `after`. A change to `order_fingerprint` or
    `order_parts_fingerprint` makes every order differ that has had no event since.
    """
    while (page := _next_page(after, batch)) is not None:
        yield from _compare(page)
        after = page.upto


def check_timelines(
    progress: Progress | None = None, *, batch: int = BATCH, seconds: float | None = None
) -> TimelineCheck:
    """
    This function will compare all orders with their timelines and keep what it finds.

    `progress` is told the number of orders of each batch. After `seconds` it pauses, still
    `running`: the next call goes on, as after a kill. Raises CheckIsRunning.
    """
    ends_at = time.monotonic() + seconds if seconds is not None else float("inf")
    with _only_one_checks():
        check = _open_check()
        while check.state == TimelineCheck.State.RUNNING and time.monotonic() < ends_at:
            page = _next_page(check.position, batch)
            if page is None:
                _close(check, TimelineCheck.State.FINISHED)
                break
            _check_page(check, page)
            beat(ROLE, work_done=page.count, details={"timelines_checked": check.order_count})
            if progress is not None:
                progress(page.count)
    return check


@transaction.atomic
def resolve_drift(*, drift_pk: int, actor: str, reason: str) -> None:
    """
    This function will close a finding that somebody has looked into.

    If the rows still differ, the next check opens a new one. Raises Drift.DoesNotExist.
    """
    drift = Drift.objects.select_for_update().get(pk=drift_pk, resolved_at__isnull=True)
    drift.resolved_at = database_now()
    drift.save(update_fields=["resolved_at"])
    record_audit(
        actor=actor,
        action="drift.resolved",
        object_type="order",
        object_id=drift.order_id,
        reason=reason,
        details={"what": drift.what, "expected": drift.expected, "found": drift.found},
    )


def count_orders() -> int:
    """This function will estimate how many orders there are, from PostgreSQL's statistics."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT greatest(reltuples, 0)::bigint FROM pg_class"
            " WHERE oid = 'orders_order'::regclass"
        )
        return int(cursor.fetchone()[0])


@contextmanager
def _only_one_checks() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [CHECK_LOCK])
        if not cursor.fetchone()[0]:
            raise CheckIsRunning
    try:
        yield
    finally:
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [CHECK_LOCK])


def _open_check() -> TimelineCheck:
    """This function will take up the check that was left, or begin a new one."""
    running = TimelineCheck.objects.filter(state=TimelineCheck.State.RUNNING)
    running.filter(started_at__lt=Now() - RESUME_WITHIN).update(
        state=TimelineCheck.State.ABANDONED, finished_at=Now()
    )
    check, _ = running.get_or_create()
    return check


@transaction.atomic
def _check_page(check: TimelineCheck, page: _Page) -> None:
    findings = list(_compare(page))
    _keep(findings)
    check.position = page.upto
    check.order_count += page.count
    check.drift_count += len(findings)
    check.save(update_fields=["position", "order_count", "drift_count"])
    if check.drift_count > MOST_FINDINGS:
        _close(check, TimelineCheck.State.STOPPED)


def _keep(findings: list[Drift]) -> None:
    """What is open already stays as it was first found."""
    Drift.objects.bulk_create(findings, ignore_conflicts=True, batch_size=1_000)
    for drift in findings:
        logger.error(
            "timeline.drift",
            order_id=drift.order.order_id,
            what=drift.what,
            expected=drift.expected,
            found=drift.found,
        )


@transaction.atomic
def _close(check: TimelineCheck, state: str) -> None:
    check.state = state
    check.finished_at = database_now()
    check.save(update_fields=["state", "finished_at"])
    record_audit(
        actor=f"role:{ROLE}",
        action="timelines.checked",
        object_type="timeline check",
        object_id=check.pk,
        details={
            "state": check.state,
            "orders": check.order_count,
            "drifts": check.drift_count,
        },
    )


def _next_page(after: int, batch: int) -> _Page | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(id), count(*) FROM"
            " (SELECT id FROM orders_order WHERE id > %s ORDER BY id LIMIT %s) page",
            [after, batch],
        )
        upto, count = cursor.fetchone()
    return None if upto is None else _Page(after, upto, count)


def _compare(page: _Page) -> Iterator[Drift]:
    with connection.cursor() as cursor:
        cursor.execute(_COMPARE, [page.after, page.upto])
        for order_pk, order_id, what, expected, found in cursor.fetchall():
            order = Order(pk=order_pk, order_id=order_id)
            yield Drift(order=order, what=what, expected=expected, found=found)


_COMPARE: Final = """
    SELECT o.id, o.order_id, d.what, d.expected, d.found
    FROM (
        SELECT id, order_id, status, version, order_fingerprint(orders_order) AS fingerprint
        FROM orders_order WHERE id > %s AND id <= %s
        OFFSET 0  -- computes each fingerprint once, not at each mention below
    ) o
    CROSS JOIN LATERAL (
        SELECT count(*) AS count, coalesce(max(seq), 0) AS seq
        FROM orders_orderevent e WHERE e.order_id = o.id
    ) events
    LEFT JOIN LATERAL (
        SELECT e.status, e.fingerprint FROM orders_orderevent e
        WHERE e.order_id = o.id ORDER BY e.seq DESC LIMIT 1
    ) last ON true
    LEFT JOIN LATERAL (
        SELECT e.parts_fingerprint AS expected, order_parts_fingerprint(o.id) AS found
        FROM orders_orderevent e
        WHERE e.order_id = o.id AND e.parts_fingerprint IS NOT NULL
        ORDER BY e.seq DESC LIMIT 1
    ) parts ON true
    CROSS JOIN LATERAL (
        VALUES
            ('status', last.status, o.status, last.status <> o.status),
            ('version', events.seq::text, o.version::text, events.seq <> o.version),
            ('events', events.seq::text, events.count::text, events.seq <> events.count),
            ('row', last.fingerprint::text, o.fingerprint::text,
             last.fingerprint <> o.fingerprint
             -- Both are part of the fingerprint and have a line of their own.
             AND last.status = o.status AND events.seq = o.version),
            ('parts', parts.expected::text, parts.found::text, parts.expected <> parts.found)
    ) AS d (what, expected, found, is_wrong)
    WHERE d.is_wrong
    ORDER BY o.id, d.what
"""
