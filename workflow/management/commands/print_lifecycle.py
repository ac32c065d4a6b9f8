"""Writes docs/lifecycle.md from the tables, or compares it: `manage.py print_lifecycle --check`."""

import difflib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from workflow.lifecycle import render_lifecycle

PAGE = Path(settings.BASE_DIR) / "docs" / "lifecycle.md"


class Command(BaseCommand):
    help = "Writes the page of the life cycle from the workflow's tables. Needs no database."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="exit code 1 if the page differs")
        parser.add_argument("--file", type=Path, default=PAGE)

    def handle(self, *args: Any, check: bool, file: Path, **options: Any) -> None:
        page = render_lifecycle()
        if not check:
            file.write_text(page, encoding="utf-8")
            self.stdout.write(f"{file} written.")
            return
        written = file.read_text(encoding="utf-8") if file.exists() else ""
        if written != page:
            lines = difflib.unified_diff(
                written.splitlines(), page.splitlines(), str(file), "the tables", lineterm="", n=0
            )
            self.stderr.write("\n".join(list(lines)[:20]))
            raise CommandError("The page is not what the tables say: manage.py print_lifecycle.")
