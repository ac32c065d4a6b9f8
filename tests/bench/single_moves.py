"""The way not taken, for comparison: one queued task per move. Run by the real cluster."""

from workflow.flows import Action
from workflow.services.handling import move_order


def close_window(order_id: str) -> None:
    """This function will close the window to cancel of one order."""
    move_order(order_id=order_id, action=Action.CLOSE_WINDOW_TO_CANCEL, actor="role:workflow")
