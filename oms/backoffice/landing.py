"""The landing page: what is open, what is stuck, who is at work, what came in last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.http import HttpRequest
from django.utils import timezone

from oms.backoffice.order_filters import OPEN_STATUSES, OrderFilters
from oms.backoffice.order_list import read_rows
from oms.backoffice.order_rows import find_page
from oms.backoffice.personal_data import sees_everything
from oms.backoffice.roles import May, may
from oms.backoffice.stuck_groups import late_groups, overdue_groups, parked_groups
from oms.ops.models import Heartbeat
from oms.orders.models import Affiliate
from oms.orders.statuses import STATUS_LABELS
from workflow.models import ConnectorState

COUNT_LIMIT: Final = 1_000
NEWEST: Final = 8
# A process that has not beaten for so long is told as silent.
SILENT_AFTER: Final = timedelta(seconds=60)
ROLE_WORDS: Final = {
    "workflow": "Workflow cluster",
    "backoffice": "Back-office cluster",
    "web": "Web",
    "hooks": "Hooks",
    "sandbox": "Sandbox services",
    "supervisor:workflow": "Workflow supervisor",
    "supervisor:backoffice": "Back-office supervisor",
}


@dataclass(frozen=True, slots=True)
class StatusCount:
    status: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class RoleLine:
    """One role in words: is anybody there, and when did work last come out of it."""

    name: str
    words: str
    processes: int
    beat_at: datetime
    worked_at: datetime | None
    is_silent: bool

    @property
    def is_supervisor(self) -> bool:
        """It watches, and does no work of its own that could be missed."""
        return self.name.startswith("supervisor:")


def landing_context(request: HttpRequest) -> dict[str, Any]:
    """This function will return the facts of the landing page, as far as this person may see."""
    now = timezone.now()
    context: dict[str, Any] = {"now": now, "count_limit": COUNT_LIMIT}
    if may(request, May.VIEW_ORDERS):
        affiliates = dict(Affiliate.objects.values_list("affiliate_id", "name"))
        newest = find_page(OrderFilters(), cursor=None, size=NEWEST, now=now)
        masked = not sees_everything(request)
        context["newest"] = read_rows(newest.pks, affiliates, is_masked=masked, now=now)
        context["open_counts"] = open_counts()
    if may(request, May.VIEW_STUCK_INBOX):
        context["stuck"] = {
            "parked": sum(group.count for group in parked_groups()),
            "late": sum(group.count for group in late_groups()),
            "overdue": sum(group.count for group in overdue_groups()),
        }
    if may(request, "ops.view_heartbeat"):
        context["roles"] = role_lines(
            list(Heartbeat.objects.order_by("role", "-beat_at")[:200]), now
        )
    if may(request, "workflow.view_connectorstate"):
        context["broken"] = list(ConnectorState.objects.filter(opened_until__gt=now))
    return context


def open_counts() -> list[StatusCount]:
    """This function will count open orders by status, each up to one above `COUNT_LIMIT`."""
    # The status must be a constant of each part: only so the partial index is known to hold it.
    part = "SELECT %s, count(*) FROM (SELECT 1 FROM orders_order WHERE status = %s LIMIT %s) c"
    parameters = [
        value
        for status in OPEN_STATUSES
        for value in (status.value, status.value, COUNT_LIMIT + 1)
    ]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join([part] * len(OPEN_STATUSES)), parameters)
        counts = dict(cursor.fetchall())
    return [
        StatusCount(status.value, STATUS_LABELS[status], counts[status.value])
        for status in OPEN_STATUSES
        if counts[status.value]
    ]


def role_lines(beats: Sequence[Heartbeat], now: datetime) -> list[RoleLine]:
    """This function will sum the processes of each role up to one line."""
    by_role: dict[str, list[Heartbeat]] = {}
    for beat in beats:
        by_role.setdefault(beat.role, []).append(beat)
    lines = []
    for role, found in by_role.items():
        beating = [beat for beat in found if now - beat.beat_at < SILENT_AFTER]
        worked = [beat.worked_at for beat in found if beat.worked_at]
        lines.append(
            RoleLine(
                name=role,
                words=ROLE_WORDS.get(role, role.capitalize()),
                processes=len(beating),
                beat_at=max(beat.beat_at for beat in found),
                worked_at=max(worked, default=None),
                is_silent=not beating,
            )
        )
    return lines
