"""Prints what was measured as a table, and keeps it as a file under .local/bench."""

import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measuring import Measurement
from tests.bench.sizes import Size

COLUMNS = ("what", "ours", "limit", "limit is", "ratio", "goal", "reached", "others busy", "note")


def table(measured: Sequence[Measurement]) -> str:
    """This function will return the measurements as a Markdown table."""
    rows = [COLUMNS, tuple("---" for _ in COLUMNS), *(_cells(line) for line in measured)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cells(line: Measurement) -> tuple[str, ...]:
    reached = {None: "", True: "yes", False: "NO"}[line.reaches_goal]
    return (
        line.what,
        f"{_spread(line.ours)} {line.unit}",
        f"{_spread(line.limit)} {line.unit}" if line.limit else "",
        line.limit_is,
        "" if line.ratio is None else _number(line.ratio),
        "" if line.goal is None else _goal(line),
        reached,
        f"{line.others_busy:.2f} cores",
        line.note,
    )


def _goal(line: Measurement) -> str:
    return f"{'at most' if line.smaller_is_better else 'at least'} {_number(line.goal or 0)}"


def _spread(values: Sequence[float]) -> str:
    middle = _number(statistics.median(values))
    if len(values) < 2:
        return middle
    return f"{middle} ({_number(min(values))} to {_number(max(values))})"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def machine() -> dict[str, object]:
    """This function will describe the machine in general words."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
    }


def keep(
    folder: Path, size: Size, server: str, measured: Sequence[Measurement], sections: list[str]
) -> Path:
    """This function will write the results where no commit picks them up, and name the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{size.orders}.json"
    facts = {
        "orders": size.orders,
        "sections": sections,
        "server": server,
        "machine": machine(),
        "measurements": [line.as_json() for line in measured],
    }
    path.write_text(json.dumps(facts, indent=1))
    path.with_suffix(".md").write_text(table(measured) + "\n")
    return path
