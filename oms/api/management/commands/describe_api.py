"""Writes docs/openapi.yaml, or compares it: `manage.py describe_api --check`."""

import difflib
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

PAGE = Path(settings.BASE_DIR) / "docs" / "openapi.yaml"


class Command(BaseCommand):
    help = "Writes the API's description, valid and without a warning. Needs no database."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="exit code 1 if the file differs")
        parser.add_argument("--file", type=Path, default=PAGE)

    def handle(self, *args: Any, check: bool, file: Path, **options: Any) -> None:
        described = _describe()
        if not check:
            file.write_text(described, encoding="utf-8")
            self.stdout.write(f"{file} written.")
            return
        written = file.read_text(encoding="utf-8") if file.exists() else ""
        if written != described:
            lines = difflib.unified_diff(
                written.splitlines(), described.splitlines(), str(file), "now", lineterm="", n=0
            )
            self.stderr.write("\n".join(list(lines)[:20]))
            raise CommandError("The file is not what the API is: manage.py describe_api.")


def _describe() -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "openapi.yaml"
        call_command("spectacular", validate=True, fail_on_warn=True, file=str(file))
        return file.read_text(encoding="utf-8")
