"""`manage.py import_orders FILE`: order documents from NDJSON, plain or gzip, in bulk."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from oms.orders.import_runs import ImportIsRunning
from oms.orders.importing import (
    ImportProgress,
    ImportSummary,
    import_file,
)
from workflow.services.imported import schedule_imported

SECONDS_BETWEEN_LINES = 5.0


class Command(BaseCommand):
    help = (
        "Import order documents, one JSON document a line. Interrupted, it continues when called"
        " again; orders that are there already are left alone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--batch", type=int, default=1_000, help="orders in one transaction")
        parser.add_argument("--rejects", type=Path, help="default: FILE.rejects.ndjson")
        parser.add_argument("--actor", default="role:command", help="who the timeline names")
        parser.add_argument(
            "--restart", action="store_true", help="begin an unfinished import of FILE again"
        )
        parser.add_argument(
            "--resume-work",
            action="store_true",
            help="let open orders go on through their workflow from where they stand",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        if not file.is_file():
            raise CommandError(f"{file} is not a file.")
        if options["batch"] < 1:
            raise CommandError("--batch: expected 1 or more.")
        if options["rejects"] is not None and options["rejects"].resolve() == file.resolve():
            raise CommandError("--rejects: expected another file than the one to import.")
        bar = ProgressBar(file)
        try:
            summary = import_file(
                file,
                batch=options["batch"],
                rejects=options["rejects"],
                resume=not options["restart"],
                actor=options["actor"],
                on_inserted=schedule_imported if options["resume_work"] else None,
                progress=bar.show,
            )
        except KeyboardInterrupt:
            raise CommandError(f"Interrupted. {CONTINUE}", returncode=130) from None
        except (EOFError, OSError) as error:
            raise CommandError(f"{file} cannot be read further: {error}. {CONTINUE}") from None
        except ImportIsRunning as error:
            raise CommandError(str(error)) from None
        finally:
            bar.close()
        self.stdout.write(report(summary))


CONTINUE = "Call the command again to continue after the last finished batch."


def report(summary: ImportSummary) -> str:
    """This function will say in words what an import did."""
    rate = round((summary.imported) / summary.seconds) if summary.seconds else 0
    again = f" (continued after line {summary.resumed_after})" if summary.resumed_after else ""
    text = (
        f"{summary.lines} lines{again}: {summary.imported} orders imported,"
        f" {summary.skipped} already there, {summary.rejected} rejected"
        f" in {summary.seconds:.1f} s ({rate} orders/s)."
    )
    return f"{text} Rejects: {summary.rejects_path}" if summary.rejected else text


class ProgressBar:
    """A bar over the bytes of the file on a terminal; elsewhere a line every few seconds."""

    def __init__(self, file: Path) -> None:
        is_terminal = sys.stderr.isatty()
        self.bar = tqdm(
            total=file.stat().st_size,
            unit="B",
            unit_scale=True,
            desc=file.name,
            mininterval=0.2 if is_terminal else SECONDS_BETWEEN_LINES,
            ascii=not is_terminal,
            file=sys.stderr,
        )

    def show(self, progress: ImportProgress) -> None:
        self.bar.set_postfix(
            orders=progress.imported,
            there=progress.skipped,
            rejected=progress.rejected,
            refresh=False,
        )
        self.bar.update(progress.bytes_read - self.bar.n)

    def close(self) -> None:
        self.bar.close()
