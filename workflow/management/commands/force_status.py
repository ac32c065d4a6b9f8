"""Puts an order into a status around the table: the last resort of the engineer on call."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from oms.orders.locks import OrderNotFound
from oms.orders.statuses import Status
from workflow.services.refusals import InvalidInput
from workflow.services.repair import force_status


class Command(BaseCommand):
    help = "Forces an order into a status, with a reason, and opens that status's steps."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("order_id")
        parser.add_argument("status", choices=[status.value for status in Status])
        parser.add_argument("--reason", required=True, help="kept in timeline and audit log")
        parser.add_argument("--actor", default="command", help="who does it; default: command")

    def handle(self, *args: Any, order_id: str, status: str, **options: Any) -> None:
        try:
            before = force_status(
                order_id=order_id,
                status=Status(status),
                reason=options["reason"],
                actor=f"command:{options['actor']}",
            )
        except (OrderNotFound, InvalidInput) as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(f"{order_id}: {before.status} -> {status}")
