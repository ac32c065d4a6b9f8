"""How moments and spans are told to people. Pure: the present is a parameter."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings

# Puts a moment into words, given the present.
Teller = Callable[[datetime, datetime], str]

_UNITS: Final = (
    (timedelta(days=365), "year"),
    (timedelta(days=30), "month"),
    (timedelta(days=1), "d"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "min"),
)


def store_zone() -> ZoneInfo:
    """This function will return the time zone that the store lives in."""
    return ZoneInfo(settings.STORE_TIME_ZONE)


def span(length: timedelta) -> str:
    """This function will tell a length in one or two units: `45 s`, `3 min`, `2 h 5 min`, `4 d`."""
    length = abs(length)
    for index, (unit, name) in enumerate(_UNITS):
        if length < unit:
            continue
        count, rest = divmod(length, unit)
        if name in ("year", "month"):
            return f"{count} {name}{'s' if count > 1 else ''}"
        if index + 1 < len(_UNITS) and count < 4:
            smaller, smaller_name = _UNITS[index + 1]
            if more := rest // smaller:
                return f"{count} {name} {more} {smaller_name}"
        return f"{count} {name}"
    return f"{int(length.total_seconds())} s"


def ago(moment: datetime, now: datetime) -> str:
    """This function will tell a past moment relative to now; one ahead is told as `in …`."""
    if moment > now:
        return f"in {span(moment - now)}"
    if now - moment < timedelta(seconds=5):
        return "just now"
    return f"{span(now - moment)} ago"


def age(moment: datetime, now: datetime) -> str:
    """This function will tell a past moment in one unit: `3 h ago`. Days stand out from hours."""
    for unit, name in _UNITS:
        if now - moment >= unit:
            count = (now - moment) // unit
            plural = "s" if count > 1 and name in ("year", "month") else ""
            return f"{count} {name}{plural} ago"
    return ago(moment, now)


def exact(moment: datetime) -> str:
    """This function will tell a moment to the second in the store's time zone, zone named."""
    local = moment.astimezone(store_zone())
    return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"


def short(moment: datetime, now: datetime) -> str:
    """This function will tell a moment as a list does: time of today, else the day as well."""
    local, today = moment.astimezone(store_zone()), now.astimezone(store_zone())
    if local.date() == today.date():
        return f"{local:%H:%M}"
    if local.year == today.year:
        return f"{local:%d %b %H:%M}"
    return f"{local:%d %b %Y}"
