"""What the back-office cluster runs for orders. A lost task is made up for by the next night's."""

from typing import Final

import structlog

from oms.ops.queues import queue_task
from oms.orders.checks import CheckIsRunning, check_timelines
from oms.orders.models import TimelineCheck

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
