"""Writes the nightly tasks into the task queue's schedule: `manage.py ensure_schedules`."""

from typing import Any

from django.core.management.base import BaseCommand

from oms.ops.schedules import ensure_schedules


class Command(BaseCommand):
    help = "Writes the schedules of the settings that are not there yet. Safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{ensure_schedules()} schedules written.")
