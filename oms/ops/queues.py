"""The task queue as the supervisors see it: what waits in it, and when something last came through."""

import logging
from datetime import timedelta
from typing import Final

from django.db import connection
from django_q.tasks import async_task

from oms.ops.heartbeats import beat

logging.getLogger("django-q").setLevel(logging.WARNING)

BEAT_TASK: Final = "oms.ops.queues.beat_cluster"
# Older reports say nothing that their absence does not.
LONGEST_REMEMBERED: Final = timedelta(hours=1)


def waiting_tasks(cluster: str, *, at_most: int) -> int:
    """This function will count the tasks that wait for a worker of the cluster, up to a number."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*) FROM (
                SELECT 1 FROM django_q_ormq WHERE key = %s AND lock <= statement_timestamp() LIMIT %s
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


def progress_ages(cluster: str) -> dict[str, float]:
    """This function will return, per process of the cluster, the seconds since a task reported."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT instance, extract(epoch FROM clock_timestamp() - beat_at)"
            " FROM ops_heartbeat WHERE role = %s AND beat_at > clock_timestamp()"
            " - make_interval(secs => %s)",
            [cluster, LONGEST_REMEMBERED.total_seconds()],
        )
        return {instance: float(age) for instance, age in cursor.fetchall()}
