"""Compares every order with its timeline now: `manage.py check_timelines`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from oms.orders.checks import BATCH, CheckIsRunning, check_timelines, count_orders
from oms.orders.models import TimelineCheck


class Command(BaseCommand):
    help = (
        "Finds orders whose rows were changed without an event. Goes on where an interrupted "
        "check stopped. Exit code 1: there are such orders."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch", type=int, default=BATCH, help="orders per statement")

    def handle(self, *args: Any, batch: int, **options: Any) -> None:
        # Without a terminal no bar: it would be noise in a log.
        with tqdm(total=count_orders(), unit=" orders", unit_scale=True, disable=None) as bar:
            try:
                check = check_timelines(bar.update, batch=batch)
            except CheckIsRunning:
                raise CommandError("A check is running already.", returncode=2) from None
        if check.state == TimelineCheck.State.STOPPED:
            self.stderr.write("Too many findings: stopped before the end.")
        if check.drift_count:
            raise CommandError(
                f"{check.order_count} orders checked, {check.drift_count} findings."
            )
        self.stdout.write(f"{check.order_count} orders checked, no findings.")
