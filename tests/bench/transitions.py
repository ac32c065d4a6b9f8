"""One transition through the service, alone and in batches, against its statements in pgbench."""

import time
from collections.abc import Iterator, Sequence
from functools import partial

from django.db import transaction

from oms.orders.locks import lock_orders
from tests.bench.capturing import captured, transition_script
from tests.bench.measuring import Measurement, in_turns
from tests.bench.pgbench import pgbench
from tests.bench.racing import rate_of
from tests.bench.rig import Rig
from workflow.announcing import CLUSTER, ENOUGH_TASKS, announce
from workflow.flows import Action
from workflow.moves import Change, write_changes
from workflow.services.handling import start_handling

ACTOR = "key:bench"
SINGLE_GOAL, BATCH_GOAL = 0.35, 1.2
BATCH = 50


def measure_transitions(rig: Rig) -> Iterator[Measurement]:
    """This function will measure single transitions at 1, 2 and 4 clients, then batches of 50."""
    keep_queue_full(rig)
    script = start_handling_script(rig)
    for clients in (1, 2, 4):
        yield in_turns(
            f"transition, {clients} at once",
            unit="a second",
            ours=partial(_singles, rig, clients),
            limit=partial(_in_pgbench, rig, script, clients),
            limit_is="the same statements in pgbench",
            goal=SINGLE_GOAL if clients == 1 else None,
            rounds=rig.size.rounds,
            seconds=rig.size.seconds,
            warm_up=rig.size.warm_up,
        )
    for clients in (1, 2):
        yield in_turns(
            f"transitions in batches of {BATCH}, {clients} at once",
            unit="a second",
            ours=partial(_batches, rig, clients),
            limit=partial(_in_pgbench, rig, script, clients),
            limit_is="single transitions in pgbench",
            goal=BATCH_GOAL if clients == 1 else None,
            rounds=rig.size.rounds,
            seconds=rig.size.seconds,
            warm_up=rig.size.warm_up,
        )


def keep_queue_full(rig: Rig) -> None:
    """
    This function will leave as many tasks waiting as there are under load.

    A transition then looks at the queue and adds nothing, on both sides of the comparison.
    """
    with rig.owner() as connection:
        connection.execute("DELETE FROM django_q_ormq")
        connection.execute(
            "INSERT INTO django_q_ormq (key, payload, lock)"
            " SELECT %s, 'none', now() - interval '1 day' FROM generate_series(1, %s)",
            [CLUSTER, ENOUGH_TASKS],
        )


def reset_pool(rig: Rig, status: str = "ready-for-handling") -> tuple[int, int]:
    """This function will put the young orders back to a status without work; first and last key."""
    last = rig.size.orders
    first = last - rig.size.pool + 1
    with rig.superuser() as connection:
        pool = {"first": first, "last": last, "status": status}
        connection.execute(
            "UPDATE orders_order SET status = %(status)s"
            " WHERE id BETWEEN %(first)s AND %(last)s AND status <> %(status)s",
            pool,
        )
        connection.execute(
            "DELETE FROM workflow_workitem WHERE order_id BETWEEN %(first)s AND %(last)s", pool
        )
    return first, last


def start_handling_script(rig: Rig) -> str:
    """This function will capture what `start_handling` sends for one order, as a script for any."""
    first, last = reset_pool(rig)
    start_handling(order_id=pool_order(first), actor=ACTOR)  # policies are read now
    reset_pool(rig)
    with captured() as sent:
        start_handling(order_id=pool_order(first), actor=ACTOR)
    with rig.owner() as connection:
        row = connection.execute(
            "SELECT version FROM orders_order WHERE id = %s", [first]
        ).fetchone()
    assert row is not None
    return transition_script(
        sent, pk=first, order_id=pool_order(first), seq=row[0], first=first, last=last
    )


def pool_order(number: int) -> str:
    """This function will return the public id of a generated order."""
    return f"BEN-{number}-01"


def _singles(rig: Rig, clients: int, seconds: float) -> float:
    first, last = reset_pool(rig)

    def work(number: int, ends_at: float) -> int:
        done = 0
        for pk in range(first + number, last + 1, clients):
            start_handling(order_id=pool_order(pk), actor=ACTOR)
            done += 1
            if time.monotonic() >= ends_at:
                break
        return done

    return rate_of(work, clients=clients, seconds=seconds)


def _in_pgbench(rig: Rig, script: str, clients: int, seconds: float) -> float:
    return pgbench(rig, script, clients=clients, seconds=seconds)


def _batches(rig: Rig, clients: int, seconds: float) -> float:
    first, last = reset_pool(rig)

    def work(number: int, ends_at: float) -> int:
        done = 0
        step = BATCH * clients
        for start in range(first + number * BATCH, last + 1, step):
            pks = range(start, min(start + BATCH, last + 1))
            move_batch(pks, Action.START_HANDLING)
            done += len(pks)
            if time.monotonic() >= ends_at:
                break
        return done

    return rate_of(work, clients=clients, seconds=seconds)


def move_batch(pks: Sequence[int], action: Action) -> None:
    """This function will move orders by one action in one transaction, as the runner does."""
    with transaction.atomic():
        orders = lock_orders(pks)
        written = write_changes(
            [Change(order=order, actor=ACTOR, action=action) for order in orders.values()]
        )
        announce(written.due_item_ids)
