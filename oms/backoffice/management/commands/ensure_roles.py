"""Makes the usual groups of staff and gives them what their role needs."""

from typing import Any

from django.core.management.base import BaseCommand

from oms.backoffice.roles import GROUPS, ensure_groups


class Command(BaseCommand):
    help = "Make the groups Support, Operator, Supervisor and Administrator; adds, never takes."

    def handle(self, *args: Any, **options: Any) -> None:
        ensure_groups()
        for name, permissions in GROUPS.items():
            self.stdout.write(f"{name}: {len(permissions)} permissions")
