"""Moves through the real task cluster, and how long a placed order waits for its first one."""

import random
import time
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from django.db import connection, transaction

from oms.ops.queues import queue_task
from oms.orders.models import Affiliate
from tests.bench.measuring import Measurement, percentile, watching_others
from tests.bench.purchases import AFFILIATE, Counter, purchase
from tests.bench.rig import Rig
from tests.bench.transitions import move_batch, pool_order, reset_pool
from workflow.announcing import CLUSTER, announce
from workflow.flows import Action
from workflow.runner import INSIDE_BATCH
from workflow.services.placing import place_orders
from workflow.steps import Step

RATIO_GOAL, PER_TASK_GOAL = 0.25, 5.0
ONE_MOVE: Final = "tests.bench.single_moves.close_window"
PATIENCE_SECONDS: Final = 300.0


def measure_moving(rig: Rig) -> Iterator[Measurement]:
    """This function will measure moves a second, then, on the same cluster at rest, single waits."""
    close_connectors(rig)
    Affiliate.objects.get_or_create(
        affiliate_id=AFFILIATE, defaults={"name": "Bench", "flow": "complete"}
    )
    with rig.cluster():
        yield from _many_moves(rig)
        yield from _first_moves(rig)


def _many_moves(rig: Rig) -> Iterator[Measurement]:
    """
    Moves of the inside step that closes the window to cancel.

    It calls nobody, and the order rests after it: one order is one move.
    """
    count = rig.size.scaled(rig.size.pool, 300)
    cluster, loop, per_task = [], [], []
    _through_cluster(rig, max(count // 10, 100))
    with watching_others() as others:
        for _ in range(rig.size.rounds):
            cluster.append(_through_cluster(rig, count))
            loop.append(_in_a_loop(rig, count))
            per_task.append(_one_task_each(rig, rig.size.scaled(3_000, 50)))
    facts: dict[str, Any] = {"unit": "moves a second", "others_busy": others[0]}
    yield Measurement(
        what="moves through the cluster",
        ours=cluster,
        limit=loop,
        limit_is=f"the same moves in a plain loop of batches of {INSIDE_BATCH}, one process",
        goal=RATIO_GOAL,
        **facts,
    )
    yield Measurement(
        what="moves through the cluster",
        ours=cluster,
        limit=per_task,
        limit_is="one django-q2 task a move, same cluster",
        goal=PER_TASK_GOAL,
        **facts,
    )


def _first_moves(rig: Rig) -> Iterator[Measurement]:
    """From the return of placing to the order's first move, one order after another."""
    reset_pool(rig)
    counter, chance = Counter(), random.Random(1)
    waits: list[float] = []
    with rig.owner() as other, watching_others() as others:
        for _ in range(rig.size.scaled(200, 10)):
            time.sleep(chance.uniform(0.02, 0.3))
            waits.append(_wait_of_one(counter, other))
    for name, share in (("median", 0.5), ("p95", 0.95)):
        yield Measurement(
            what=f"placed to first automatic move, {name} of {len(waits)}",
            unit="ms",
            ours=[percentile(waits, share) * 1000],
            smaller_is_better=True,
            others_busy=others[0],
        )


def close_connectors(rig: Rig) -> None:
    """This function will keep calls to the outside from being tried: nobody is there."""
    with rig.owner() as other:
        other.execute(
            "INSERT INTO workflow_connectorstate (name, consecutive_failures, opened_until,"
            " last_error) SELECT name, 5, now() + interval '1 day', 'bench' FROM"
            " unnest(ARRAY['antifraud', 'payments', 'stock', 'carrier']) AS name"
            " ON CONFLICT (name) DO UPDATE SET opened_until = excluded.opened_until"
        )


def _window_orders(rig: Rig, count: int) -> tuple[int, int]:
    first, _ = reset_pool(rig, "window-to-cancel")
    with rig.owner() as other:
        other.execute("DELETE FROM django_q_ormq WHERE lock <= now()")
    return first, first + count - 1


_OPEN_WORK: Final = """
    INSERT INTO workflow_workitem (
        order_id, step, connector, priority, due_at, next_attempt_at, announced_at, leased_by,
        fence, attempts, last_error, cause, created_at
    )
    SELECT id, %(step)s, '', priority, now() + %(after)s * interval '1 s',
           now() + %(after)s * interval '1 s', now(), '', 0, 0, '', '', now()
    FROM orders_order WHERE id BETWEEN %(first)s AND %(last)s ORDER BY id RETURNING id
"""


def _open_work(first: int, last: int, *, after: float) -> list[int]:
    with connection.cursor() as cursor:
        step = Step.CLOSE_WINDOW_TO_CANCEL
        cursor.execute(_OPEN_WORK, {"step": step, "after": after, "first": first, "last": last})
        return [row[0] for row in cursor.fetchall()]


def _through_cluster(rig: Rig, count: int) -> float:
    """From the commit that makes the work due and announces it, until none of it is left."""
    first, last = _window_orders(rig, count)
    with transaction.atomic():
        announce(_open_work(first, last, after=0))
    started = time.perf_counter()
    with rig.owner() as other:
        _wait_until_moved(other, first, last)
    return count / (time.perf_counter() - started)


def _in_a_loop(rig: Rig, count: int) -> float:
    first, last = _window_orders(rig, count)
    _open_work(first, last, after=86_400)
    started = time.perf_counter()
    for start in range(first, last + 1, INSIDE_BATCH):
        pks = range(start, min(start + INSIDE_BATCH, last + 1))
        move_batch(pks, Action.CLOSE_WINDOW_TO_CANCEL)
    return count / (time.perf_counter() - started)


def _one_task_each(rig: Rig, count: int) -> float:
    """Tasks are queued before the clock starts: only taking and moving counts, in its favor."""
    first, last = _window_orders(rig, count)
    with transaction.atomic():
        for number in range(first, last + 1):
            queue_task(CLUSTER, ONE_MOVE, pool_order(number))
    started = time.perf_counter()
    with rig.owner() as other:
        _wait_until_moved(other, first, last)
    return count / (time.perf_counter() - started)


def _wait_until_moved(other: psycopg.Connection[Any], first: int, last: int) -> None:
    """Looks for one order still in the window, from the end that moves last."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        row = other.execute(
            "SELECT id FROM orders_order WHERE id BETWEEN %s AND %s"
            " AND status = 'window-to-cancel' ORDER BY id DESC LIMIT 1",
            [first, last],
        ).fetchone()
        if row is None:
            return
        time.sleep(0.02)
    raise RuntimeError("The cluster did not finish its moves: see roles.log.")


def _wait_of_one(counter: Counter, other: psycopg.Connection[Any]) -> float:
    (number,) = counter.take(1)
    body = purchase(number)
    placed = place_orders(body, affiliate_id=AFFILIATE, sales_channel="1", actor="key:bench")
    started = time.perf_counter()
    query = "SELECT version FROM orders_order WHERE order_id = %s"
    while time.perf_counter() - started < PATIENCE_SECONDS:
        row = other.execute(query, [placed[0].order_ids[0]]).fetchone()
        if row and row[0] > 1:
            return time.perf_counter() - started
        time.sleep(0.001)
    raise RuntimeError("The cluster did not move a placed order: see roles.log.")
