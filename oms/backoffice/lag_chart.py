"""
How far a subscription was behind over time, as a line that the server draws.

`read_lag` reads one row per step of the chart whatever the number of samples; the rest is pure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from oms.backoffice.times import short, span

WIDTH: Final = 720
HEIGHT: Final = 132
LEFT: Final = 52
RIGHT: Final = 8
TOP: Final = 10
BOTTOM: Final = 22
STEPS: Final = 96
SPANS: Final = {
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
SPAN_LABELS: Final = {"6h": "6 hours", "24h": "24 hours", "7d": "7 days", "30d": "30 days"}


@dataclass(frozen=True, slots=True)
class LagPoint:
    """The worst of one step of time."""

    at: datetime
    open_count: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Tick:
    place: float
    words: str


@dataclass(frozen=True, slots=True)
class Band:
    """One step under the pointer: where it is and what it says."""

    x: float
    width: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One line. `lines` and `areas` are broken where nothing was measured."""

    title: str
    summary: str
    lines: Sequence[str]
    areas: Sequence[str]
    dots: Sequence[tuple[float, float]]
    bands: Sequence[Band]
    y_ticks: Sequence[Tick]
    x_ticks: Sequence[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    floor: int = HEIGHT - BOTTOM
    top: int = TOP


def read_lag(subscription_pk: int, *, until: datetime, length: timedelta) -> list[LagPoint]:
    """This function will read the worst of each step of the time before `until`, oldest first."""
    start = until - length
    asked: list[Any] = [length / STEPS, start, subscription_pk, start, until]
    with connection.cursor() as cursor:
        cursor.execute(_READ, asked)
        return [LagPoint(*row) for row in cursor.fetchall()]


_READ: Final = """
    SELECT date_bin(%s, sampled_at, %s) AS at, max(open_count), max(oldest_seconds)
    FROM feeds_lagsample
    WHERE subscription_id = %s AND sampled_at > %s AND sampled_at <= %s
    GROUP BY 1 ORDER BY 1
"""


def charts_of(
    points: Sequence[LagPoint], *, until: datetime, length: timedelta
) -> tuple[Chart, Chart]:
    """This function will draw how old the oldest waiting event was, and how many waited."""
    ages = [(point.at, point.oldest_seconds) for point in points]
    counts = [(point.at, float(point.open_count)) for point in points]
    return (
        _chart("Age of the oldest waiting event", ages, _age_words, _age_tops, until, length),
        _chart(
            "Events waiting", counts, lambda value: f"{value:,.0f}", _count_tops, until, length
        ),
    )


def _chart(
    title: str,
    values: Sequence[tuple[datetime, float]],
    tell: Callable[[float], str],
    tops: Callable[[float], float],
    until: datetime,
    length: timedelta,
) -> Chart:
    start, step = until - length, length / STEPS
    highest = tops(max((value for _, value in values), default=0.0))
    plane_width, plane_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    floor = HEIGHT - BOTTOM

    def x(at: datetime) -> float:
        return round(LEFT + plane_width * ((at - start) / length), 1)

    def y(value: float) -> float:
        return round(floor - plane_height * (value / highest), 1)

    runs = _unbroken(values, 2 * step)
    corners = [[(x(at + step / 2), y(value)) for at, value in run] for run in runs]
    return Chart(
        title=title,
        summary=_summary(values, tell, until, length),
        lines=[_path(run) for run in corners if len(run) > 1],
        areas=[
            f"M{run[0][0]} {floor} L{_path(run)[1:]} L{run[-1][0]} {floor} Z"
            for run in corners
            if len(run) > 1
        ],
        dots=[run[0] for run in corners if len(run) == 1],
        bands=[
            Band(x(at), round(plane_width / STEPS, 1), f"{short(at, until)}: {tell(value)}")
            for at, value in values
        ],
        y_ticks=[Tick(y(value), tell(value)) for value in (0.0, highest / 2, highest)],
        x_ticks=[
            Tick(x(start + length * part / 4), short(start + length * part / 4, until))
            for part in range(1, 4)
        ],
    )


def _summary(
    values: Sequence[tuple[datetime, float]],
    tell: Callable[[float], str],
    until: datetime,
    length: timedelta,
) -> str:
    """What somebody who does not see the line is told."""
    if not values:
        return f"Nothing was measured in the last {_length_words(length)}."
    worst_at, worst = max(values, key=lambda value: value[1])
    if not worst:
        return f"In the last {_length_words(length)} nothing waited at any measurement."
    now = values[-1][1]
    return (
        f"In the last {_length_words(length)} at most {tell(worst)}, at {short(worst_at, until)};"
        f" at the last measurement {tell(now)}."
    )


def _length_words(length: timedelta) -> str:
    return next((SPAN_LABELS[name] for name in SPANS if SPANS[name] == length), span(length))


def _unbroken(
    values: Sequence[tuple[datetime, float]], gap: timedelta
) -> list[list[tuple[datetime, float]]]:
    runs: list[list[tuple[datetime, float]]] = []
    for at, value in values:
        if runs and at - runs[-1][-1][0] <= gap:
            runs[-1].append((at, value))
        else:
            runs.append([(at, value)])
    return runs


def _path(corners: Sequence[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{x} {y}" for x, y in corners)


def _age_words(seconds: float) -> str:
    return span(timedelta(seconds=seconds))


def _age_tops(highest: float) -> float:
    """A top that halves into words that people say: a minute, half an hour, two days."""
    for top in (10, 60, 120, 600, 1_200, 3_600, 7_200, 21_600, 43_200, 86_400, 172_800):
        if highest <= top:
            return float(top)
    return 172_800.0 * -(-highest // 172_800)


def _count_tops(highest: float) -> float:
    """A top of 2, 4 or 10 with zeros: halves are whole numbers."""
    power = 1.0
    while True:
        for top in (2 * power, 4 * power, 10 * power):
            if highest <= top:
                return top
        power *= 10
