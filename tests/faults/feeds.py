"""What the rig is asked about feeds and hooks: the ledger, the queues, the process that delivers."""

import contextlib
import subprocess
import sys
from typing import Any

import psycopg
from django.db import connection

from feeds.identifiers import event_id_of
from oms.orders.ledger import number_all_events
from tests.faults.clusters import ROOT
from tests.faults.deliveries import Emitted
from tests.faults.processes import wait_until
from tests.faults.rig import Rig


def ask(rig: Rig, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """This function will ask PostgreSQL, again if a fault has just ended the session."""
    return wait_until(
        lambda: _answer(rig, sql, *parameters), seconds=20, what="PostgreSQL answers"
    )[0]


def _answer(rig: Rig, sql: str, *parameters: object) -> tuple[list[tuple[Any, ...]]] | None:
    with contextlib.suppress(psycopg.OperationalError):
        return (rig.query(sql, *parameters),)
    return None


def start_hooks(rig: Rig, **environment: str) -> "subprocess.Popen[bytes]":
    """This function will start a dispatcher of hooks and wait until it has beaten."""
    before = _beats(rig)
    with (rig.home / "hooks.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "dispatch_hooks"],
            cwd=ROOT,
            env={**rig.environment, **environment, "BULKHEAD_ROLE": "hooks"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    wait_until(lambda: _beats(rig) > before, seconds=30, what="the dispatcher of hooks beats")
    return process


def _beats(rig: Rig) -> int:
    [(count,)] = ask(rig, "SELECT count(*) FROM ops_heartbeat WHERE role = 'hooks'")
    return int(count)


def last_position(rig: Rig) -> int:
    """This function will number what is committed and return the ledger's end."""
    connection.close()  # the server may have been killed since it was opened
    number_all_events()
    [(position,)] = ask(rig, "SELECT coalesce(max(position), 0) FROM orders_ledgerentry")
    return int(position)


def emitted(rig: Rig) -> list[Emitted]:
    """This function will read the whole ledger."""
    last_position(rig)
    rows = ask(
        rig,
        "SELECT l.position, e.id, o.order_id, e.seq, e.status, e.last_status"
        " FROM orders_ledgerentry l JOIN orders_orderevent e ON e.id = l.event_id"
        " JOIN orders_order o ON o.id = e.order_id ORDER BY l.position",
    )
    return [Emitted(position, event_id_of(pk), *facts) for position, pk, *facts in rows]


def send_hooks_now(rig: Rig) -> None:
    """This function will make deliveries that wait for their next attempt due at once."""
    ask(
        rig,
        "UPDATE feeds_queueitem i SET available_at = now() FROM feeds_subscription s"
        " WHERE s.id = i.subscription_id AND s.channel = 'hook' AND i.outcome = ''"
        " AND i.available_at > now()",
    )
    ask(rig, "UPDATE feeds_hookendpoint SET paused_until = NULL")


def hooks_are_empty(rig: Rig) -> bool:
    """This function will tell whether every hook has looked at and delivered everything."""
    [(behind, left)] = ask(
        rig,
        "SELECT count(*) FILTER (WHERE s.cursor < (SELECT max(position) FROM orders_ledgerentry)),"
        " (SELECT count(*) FROM feeds_queueitem i JOIN feeds_subscription s"
        "  ON s.id = i.subscription_id WHERE s.channel = 'hook' AND i.outcome = '')"
        " FROM feeds_subscription s WHERE s.channel = 'hook' AND s.is_active",
    )
    return bool(behind == 0 and left == 0)


def work_is_due(rig: Rig) -> bool:
    """This function will tell whether the workflow still has something to do by itself."""
    return bool(
        ask(
            rig,
            "SELECT 1 FROM workflow_workitem WHERE parked_at IS NULL"
            " AND next_attempt_at < now() + interval '30 s' LIMIT 1",
        )
    )
