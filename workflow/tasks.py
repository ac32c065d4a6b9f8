"""What the workflow cluster runs. Every task may be lost, doubled or late without harm."""

from collections.abc import Sequence

from workflow.runner import run_due


def look(item_ids: Sequence[int] = ()) -> int:
    """This function will run what is due, the announced items first, and return how much it did."""
    return run_due(item_ids).count
