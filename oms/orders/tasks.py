"""What the back-office cluster runs for orders. A lost task is made up for by the next night's."""

from typing import Final

import structlog
from django.conf import settings

from oms.ops.clock import database_now
from oms.ops.queues import queue_task
from oms.orders.checks import CheckIsRunning, check_timelines
from oms.orders.models import TimelineCheck
from oms.orders.snapshots import forget_snapshots

logger = structlog.get_logger(__name__)

CLUSTER: Final = "backoffice"
CHECK_TASK: Final = "oms.orders.tasks.check_timelines_in_slices"
# Exports and whatever else waits in the queue have their turn in between.
SLICE_SECONDS: Final = 30.0


def check_timelines_in_slices() -> None:
    """This function will check timelines for a while, and queue itself again for the rest."""
    try:
        check = check_timelines(seconds=SLICE_SECONDS)
    except CheckIsRunning:
        logger.info("timeline_check.runs_already")
        return
    if check.state == TimelineCheck.State.RUNNING:
        queue_task(CLUSTER, CHECK_TASK)


def forget_old_snapshots() -> None:
    """This function will delete snapshots that no reader may ask for any more."""
    forgotten = forget_snapshots(database_now() - settings.FORGET_SNAPSHOTS_AFTER)
    logger.info("snapshots.forgotten", count=forgotten)
