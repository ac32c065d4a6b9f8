from datetime import UTC, datetime

import pytest
from django.core.management import call_command
from django.utils.module_loading import import_string
from django_q.models import Schedule
from pytest_django import Settings

from oms.ops.schedules import ensure_schedules, next_night

pytestmark = pytest.mark.django_db


def test_schedules_are_written_once() -> None:
    assert ensure_schedules() == 4
    assert ensure_schedules() == 0
    facts = Schedule.objects.order_by("name").values_list(
        "name", "cluster", "schedule_type", "repeats"
    )
    assert list(facts) == [
        ("check timelines", "backoffice", Schedule.DAILY, -1),
        ("forget deliveries", "backoffice", Schedule.DAILY, -1),
        ("forget old snapshots", "backoffice", Schedule.DAILY, -1),
        ("forget what is over", "backoffice", Schedule.DAILY, -1),
    ]


def test_what_is_scheduled_can_be_imported(settings: Settings) -> None:
    for facts in settings.SCHEDULES.values():
        assert callable(import_string(facts["function"]))
        assert facts["cluster"] in settings.CLUSTER_STUCK_SECONDS


def test_a_cluster_gets_its_own_schedules_only() -> None:
    assert ensure_schedules("workflow") == 0
    assert ensure_schedules("backoffice") == 4


def test_the_next_run_stays_unless_the_hour_changes(settings: Settings) -> None:
    settings.SCHEDULES = {"check timelines": settings.SCHEDULES["check timelines"]}
    ensure_schedules()
    schedule = Schedule.objects.get()
    later = schedule.next_run.replace(minute=17)
    Schedule.objects.update(next_run=later, func="old.path")
    assert ensure_schedules() == 1
    schedule.refresh_from_db()
    assert schedule.next_run == later
    settings.SCHEDULES = {"check timelines": {**settings.SCHEDULES["check timelines"], "hour": 5}}
    assert ensure_schedules() == 1
    schedule.refresh_from_db()
    assert (schedule.next_run.hour, schedule.next_run.minute) == (5, 0)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2026, 1, 31, 2, 59, tzinfo=UTC), datetime(2026, 1, 31, 3, tzinfo=UTC)),
        (datetime(2026, 1, 31, 3, 0, tzinfo=UTC), datetime(2026, 2, 1, 3, tzinfo=UTC)),
        (datetime(2026, 1, 31, 23, 0, tzinfo=UTC), datetime(2026, 2, 1, 3, tzinfo=UTC)),
    ],
)
def test_the_next_night_is_the_first_that_comes(now: datetime, expected: datetime) -> None:
    assert next_night(now, 3) == expected


def test_the_command_says_how_many_it_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("ensure_schedules")
    call_command("ensure_schedules")
    assert capsys.readouterr().out == "4 schedules written.\n0 schedules written.\n"
