"""How much a run measures: BENCH_ORDERS orders, ten events each; a small number is a smoke test."""

import os
from dataclasses import dataclass

FULL_ORDERS = 1_000_000
# Below this a run only shows that the scripts work; its figures mean nothing.
SMOKE_BELOW = 50_000


@dataclass(frozen=True, slots=True)
class Size:
    """
    `rounds` of each measurement, each of `seconds`, after one of `warm_up` seconds.

    `pool` orders at the young end are kept in statuses that the measurements need.
    """

    orders: int
    rounds: int
    seconds: float
    warm_up: float
    pool: int

    @property
    def is_smoke(self) -> bool:
        return self.orders < SMOKE_BELOW

    def scaled(self, full: int, smoke: int) -> int:
        """This function will choose a count by the kind of run."""
        return smoke if self.is_smoke else full


def size_from_environment() -> Size:
    orders = int(os.environ.get("BENCH_ORDERS", FULL_ORDERS))
    if orders < SMOKE_BELOW:
        return Size(max(orders, 2_000), rounds=1, seconds=0.25, warm_up=0.05, pool=1_000)
    return Size(orders, rounds=5, seconds=4.0, warm_up=1.0, pool=20_000)
