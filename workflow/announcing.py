"""
Says "look now" to the workflow cluster. Losing every announcement loses nothing: the sweep repeats.

A task carries item ids only. It is inserted in the caller's transaction, so it exists if and only
if the work does; with a broker other than the ORM it may come early and is then swept.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.db import connection

from oms.ops.queues import queue_task, waiting_tasks

CLUSTER: Final = "workflow"
LOOK_TASK: Final = "workflow.tasks.look"
ITEMS_PER_TASK: Final = 100
# With this many tasks waiting the cluster is busy anyway and will come to what is due by itself.
ENOUGH_TASKS: Final = 20
ANNOUNCE_AGAIN_AFTER: Final = timedelta(seconds=10)


def announce(item_ids: Sequence[int]) -> None:
    """This function will queue "look now" for due items, unless enough tasks are waiting."""
    if not item_ids or waiting_tasks(CLUSTER, at_most=ENOUGH_TASKS) >= ENOUGH_TASKS:
        return
    for start in range(0, len(item_ids), ITEMS_PER_TASK):
        queue_task(CLUSTER, LOOK_TASK, list(item_ids[start : start + ITEMS_PER_TASK]))


def sweep(*, limit: int = 1_000) -> int:
    """
    This function will announce due items that nobody announced lately, and return how many.

    Run every few seconds by the supervisor of each workflow cluster; two of them do not announce
    the same item twice within `ANNOUNCE_AGAIN_AFTER`.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE workflow_workitem SET announced_at = clock_timestamp() WHERE id IN (
                SELECT id FROM workflow_workitem
                WHERE parked_at IS NULL AND next_attempt_at <= statement_timestamp()
                  AND (announced_at IS NULL OR announced_at < clock_timestamp() - make_interval(secs => %s))
                ORDER BY next_attempt_at LIMIT %s FOR UPDATE SKIP LOCKED
            ) RETURNING id
            """,
            [ANNOUNCE_AGAIN_AFTER.total_seconds(), limit],
        )
        ids = [row[0] for row in cursor.fetchall()]
    announce(ids)
    return len(ids)
