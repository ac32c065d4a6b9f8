from datetime import timedelta

import pytest
from django.db import connection

from oms.ops.clock import database_now
from oms.ops.heartbeats import age_of, beat, forget_silent_instances, idle_time_of
from oms.ops.models import Heartbeat

pytestmark = pytest.mark.django_db


def test_beats_of_one_process_share_a_row_and_add_up_its_work() -> None:
    beat("workflow", work_done=3, details={"waiting": 2}, instance="a:1")
    beat("workflow", work_done=4, details={"waiting": 0}, instance="a:1")
    row = Heartbeat.objects.get()
    assert (row.role, row.instance, row.work_done) == ("workflow", "a:1", 7)
    assert row.details == {"waiting": 0}
    assert row.started_at < row.beat_at


def test_a_beat_without_work_is_life_but_not_progress() -> None:
    beat("workflow", work_done=1, instance="a:1")
    worked_at = Heartbeat.objects.get().worked_at
    beat("workflow", instance="a:1")
    row = Heartbeat.objects.get()
    assert row.worked_at == worked_at
    assert row.worked_at is not None
    assert row.beat_at > row.worked_at


def test_a_role_that_never_worked_has_no_idle_time() -> None:
    beat("workflow", instance="a:1")
    assert age_of("workflow") is not None
    assert idle_time_of("workflow") is None
    assert age_of("hooks") is None


def test_the_age_of_a_role_is_that_of_its_liveliest_process() -> None:
    beat("workflow", instance="a:1")
    beat("workflow", instance="b:1")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ops_heartbeat SET beat_at = beat_at - interval '1 hour' WHERE instance = 'a:1'"
        )
    age = age_of("workflow")
    assert age is not None
    assert age < timedelta(seconds=30)


def test_rows_of_processes_long_gone_are_forgotten() -> None:
    beat("workflow", instance="a:1")
    assert forget_silent_instances(timedelta(days=7)) == 0
    Heartbeat.objects.update(beat_at=database_now() - timedelta(days=8))
    beat("workflow", instance="b:1")
    assert forget_silent_instances(timedelta(days=7)) == 1
    assert Heartbeat.objects.get().instance == "b:1"


def test_the_database_clock_moves_on_inside_a_transaction() -> None:
    assert database_now() < database_now()
