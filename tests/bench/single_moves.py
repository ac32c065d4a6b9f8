"""The way not taken, for comparison: one queued task per move. Run by the real cluster."""

import time

from oms.ops.heartbeats import beat
from workflow.flows import Action
from workflow.services.handling import move_order

BEAT_SECONDS = 1.0
_reported_at = 0.0


def close_window(order_id: str) -> None:
    """
    This function will close the window to cancel of one order.

    It reports now and then, or the supervisor takes the cluster for stuck and replaces it.
    """
    global _reported_at
    move_order(order_id=order_id, action=Action.CLOSE_WINDOW_TO_CANCEL, actor="role:workflow")
    if time.monotonic() - _reported_at >= BEAT_SECONDS:
        _reported_at = time.monotonic()
        beat("workflow", work_done=1)
