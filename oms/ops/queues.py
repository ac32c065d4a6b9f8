"""The task queue as the supervisors see it: what waits in it, and when something last came through."""

import logging
from typing import Final

from django.db import connection
from django_q.tasks import async_task

from oms.ops.heartbeats import beat

logging.getLogger("django-q").setLevel(logging.WARNING)

BEAT_TASK: Final = "oms.ops.queues.beat_cluster"


def waiting_tasks(cluster: str, *, at_most: int) -> int:
    """This function will count the tasks that wait for a worker of the cluster, up to a number."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*) FROM (
                SELECT 1 FROM django_q_ormq WHERE key = %s AND lock <= clock_timestamp() LIMIT %s
            ) waiting
            """,
            [cluster, at_most],
        )
        return int(cursor.fetchone()[0])


def queue_task(cluster: str, function: str, *args: object) -> None:
    """
    This function will queue a task, in the caller's transaction.

    Results are not kept and failures not repeated: whoever queues finds out by the work not done.
    """
    async_task(function, *args, q_options={"cluster": cluster, "ack_failure": True, "save": False})


def queue_beat(cluster: str) -> None:
    """This function will send a beat through the cluster's queue: it comes back as a heartbeat."""
    queue_task(cluster, BEAT_TASK, cluster)


def beat_cluster(cluster: str) -> None:
    """This function will report that a worker of the cluster took this task from its queue."""
    beat(cluster)


def seconds_since_progress(cluster: str) -> float | None:
    """This function will return how long ago any task of the cluster reported; None: never."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM clock_timestamp() - max(beat_at)) FROM ops_heartbeat"
            " WHERE role = %s",
            [cluster],
        )
        age = cursor.fetchone()[0]
    return None if age is None else float(age)
