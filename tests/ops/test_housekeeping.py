from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django_q.models import Failure, Task
from pytest_django import Settings

from oms.ops import housekeeping
from oms.ops.clock import database_now
from oms.ops.housekeeping import forget_what_is_over

pytestmark = pytest.mark.django_db


def leave_session(key: str, *, expires_in: timedelta) -> None:
    """This function will leave a session that ends, or ended, so far from now."""
    Session.objects.create(
        session_key=key, session_data="x", expire_date=database_now() + expires_in
    )


def leave_failure(name: str, *, age: timedelta) -> None:
    """This function will leave the failure of a task as django-q2 keeps it."""
    at = database_now() - age
    Task.objects.create(
        id=name, name=name, func="f", started=at, stopped=at, success=False, result="no"
    )


def test_sessions_that_ended_are_forgotten_and_others_stay() -> None:
    leave_session("over", expires_in=-timedelta(seconds=1))
    leave_session("open", expires_in=timedelta(hours=1))
    forgotten = forget_what_is_over()
    assert (forgotten["sessions"], forgotten["task_failures"]) == (1, 0)
    assert Session.objects.get().session_key == "open"


def test_task_failures_are_kept_as_long_as_the_settings_say(settings: Settings) -> None:
    settings.FORGET_TASK_FAILURES_AFTER = timedelta(days=7)
    leave_failure("old", age=timedelta(days=8))
    leave_failure("new", age=timedelta(days=6))
    forgotten = forget_what_is_over()
    assert (forgotten["sessions"], forgotten["task_failures"]) == (0, 1)
    assert Failure.objects.get().name == "new"


def test_many_are_forgotten_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 2)
    for number in range(5):
        leave_session(f"over {number}", expires_in=-timedelta(days=1))
    assert forget_what_is_over()["sessions"] == 5
    assert not Session.objects.exists()
