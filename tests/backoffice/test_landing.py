"""The landing page's words for who is at work."""

from django.utils import timezone

from oms.backoffice.landing import role_lines
from oms.ops.models import Heartbeat


def test_supervisors_are_named_in_words_and_owe_no_work() -> None:
    now = timezone.now()
    beats = [
        Heartbeat(role=role, instance=f"host:{pid}", beat_at=now)
        for pid, role in enumerate(("supervisor:workflow", "workflow"))
    ]
    lines = role_lines(beats, now)
    assert [(line.words, line.is_supervisor) for line in lines] == [
        ("Workflow supervisor", True),
        ("Workflow cluster", False),
    ]
