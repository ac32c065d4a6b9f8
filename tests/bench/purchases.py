"""Bodies of placing requests: a purchase of one or two lines, as a storefront sends it."""

import random
import time
from typing import Any

from workflow.sandbox.shopping import MARKETPLACE, invent_order

AFFILIATE = "BEN"


def purchase(number: int) -> dict[str, Any]:
    """This function will make the purchase of a number, the same each time."""
    return invent_order(random.Random(number), MARKETPLACE, f"bench-{number}")


class Counter:
    """Numbers for purchases, each given once, in this run and in later ones."""

    def __init__(self) -> None:
        self._next = int(time.time()) * 1_000_000

    def take(self, count: int) -> range:
        """This function will return the next `count` numbers."""
        self._next += count
        return range(self._next - count, self._next)
