"""Makes the first admin account and app key: `manage.py bootstrap_access --credentials FILE`."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from oms.backoffice.first_access import grant_first_access


class Command(BaseCommand):
    help = "Makes the first admin account, app key and affiliates, and writes them to a 0600 file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--credentials", type=Path, required=True, metavar="FILE")

    def handle(self, *args: Any, credentials: Path, **options: Any) -> None:
        grant_first_access(actor="command:bootstrap_access").write(credentials)
        self.stdout.write(f"Credentials written to {credentials}.")
