"""
Ratios that hold on a shared machine: ours and the limit in turns, medians, and who else was at work.

Nothing is asserted on times. A ratio is the median over rounds of (ours / limit of the same round).
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True, kw_only=True)
class Measurement:
    """
    One line of the report. `limit` empty: a figure that stands for itself.

    `goal` is of the ratio (or of the figure, where there is no limit); `smaller_is_better` for
    times and memory.
    """

    what: str
    unit: str
    ours: list[float]
    limit: list[float] = field(default_factory=list)
    limit_is: str = ""
    goal: float | None = None
    smaller_is_better: bool = False
    others_busy: float = 0.0
    note: str = ""

    @property
    def ratio(self) -> float | None:
        pairs = zip(self.ours, self.limit, strict=False)
        ratios = [ours / limit for ours, limit in pairs if limit]
        return statistics.median(ratios) if ratios else None

    @property
    def reaches_goal(self) -> bool | None:
        reached = self.ratio if self.limit else statistics.median(self.ours)
        if self.goal is None or reached is None:
            return None
        return reached <= self.goal if self.smaller_is_better else reached >= self.goal

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": self.ratio, "reaches_goal": self.reaches_goal}


def in_turns(
    what: str,
    *,
    unit: str,
    ours: Callable[[float], float],
    limit: Callable[[float], float],
    limit_is: str,
    rounds: int,
    seconds: float,
    warm_up: float,
    **facts: Any,
) -> Measurement:
    """
    This function will run ours and the limit in turns and return what both reached a second.

    Each gets the seconds it may take. The order changes from round to round, so that neither
    always finds the machine as the other left it.
    """
    measured = Measurement(what=what, unit=unit, ours=[], limit=[], limit_is=limit_is, **facts)
    ours(warm_up)
    limit(warm_up)
    with watching_others() as others:
        for number in range(rounds):
            turns = [(ours, measured.ours), (limit, measured.limit)]
            for run, results in turns if number % 2 == 0 else reversed(turns):
                results.append(run(seconds))
    measured.others_busy = others[0]
    return measured


@contextmanager
def watching_others() -> Iterator[list[float]]:
    """This function will yield a list that gets, at the end, the cores that others kept busy."""
    found: list[float] = []
    started, busy, ours = time.monotonic(), _machine_busy(), _our_busy()
    yield found
    elapsed = time.monotonic() - started
    others = (_machine_busy() - busy) - (_our_busy() - ours)
    found.append(round(max(0.0, others / TICKS / elapsed), 2))


def _machine_busy() -> int:
    """User, nice, system, irq, softirq and steal ticks of all cores since boot."""
    try:
        fields = (PROC / "stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return 0
    return sum(int(fields[index]) for index in (0, 1, 2, 5, 6, 7))


def _our_busy() -> int:
    """Ticks of this process and all below it, with those of children that ended."""
    return sum(ticks for _, ticks in _tree(os.getpid()))


def pids_below(pid: int) -> list[int]:
    """This function will list a process and all its descendants."""
    return [found for found, _ in _tree(pid)]


def _tree(root: int) -> Iterator[tuple[int, int]]:
    if not PROC.is_dir():
        return
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1])
        ticks[int(entry.name)] = sum(int(field) for field in fields[11:15])
    for pid, used in ticks.items():
        above = pid
        while above not in (root, 0, 1):
            above = parents.get(above, 0)
        if above == root:
            yield pid, used


def percentile(values: list[float], share: float) -> float:
    """This function will return the value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
