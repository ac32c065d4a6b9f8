"""What runs every night, as rows of the task queue's own schedule."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django_q.models import Schedule

from oms.ops.clock import database_now

SCHEDULES_LOCK: Final = int.from_bytes(b"schedule", "big", signed=True)


@transaction.atomic
def ensure_schedules(cluster: str | None = None) -> int:
    """
    This function will write the schedules of a cluster (of all without one) that are not there.

    Returns how many it wrote or corrected. The time of the next run is left alone, unless the
    hour in the settings has changed. Two hosts that start at once write one row.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEDULES_LOCK])
    wanted = settings.SCHEDULES.items()
    return sum(
        _ensure(name, facts) for name, facts in wanted if cluster in (None, facts["cluster"])
    )


# The supervisor calls this again and again; an exception is not remembered, so it goes on trying
# until PostgreSQL has answered once.
ensure_schedules_once = cache(ensure_schedules)


def next_night(now: datetime, hour: int) -> datetime:
    """This function will return when it is next that hour, in UTC."""
    tonight = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return tonight if tonight > now else tonight + timedelta(days=1)


def _ensure(name: str, facts: Mapping[str, Any]) -> bool:
    known = Schedule.objects.filter(name=name).first()
    schedule = known or Schedule(name=name)
    before = (schedule.func, schedule.cluster, schedule.schedule_type, schedule.repeats)
    after = (facts["function"], facts["cluster"], Schedule.DAILY, -1)
    is_late = known is None or known.next_run is None or known.next_run.hour != facts["hour"]
    if known is not None and before == after and not is_late:
        return False
    schedule.func, schedule.cluster, schedule.schedule_type, schedule.repeats = after
    if is_late:
        schedule.next_run = next_night(database_now(), facts["hour"])
    schedule.save()
    return True
