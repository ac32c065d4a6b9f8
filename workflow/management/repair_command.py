"""What the repair commands share: which items, why, by whom, and the summary."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser

from workflow.models import WorkItem
from workflow.services.refusals import InvalidInput
from workflow.services.repair import Repaired


class RepairCommand(BaseCommand):
    """A repair over parked items. `--dry-run` says what would be reached and changes nothing."""

    repair: ClassVar[Callable[..., Repaired]]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--item", type=int, action="append", help="work item; repeatable")
        parser.add_argument("--order", action="append", help="order id; repeatable")
        parser.add_argument("--cause", help="the cause as the stuck inbox shows it")
        parser.add_argument("--step", help="the step, such as authorize-payment")
        parser.add_argument("--limit", type=int, default=500, help="at most so many (default 500)")
        parser.add_argument("--reason", required=True, help="kept in timeline and audit log")
        parser.add_argument("--actor", default="command", help="who does it; default: command")
        parser.add_argument("--dry-run", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        pks = self._chosen(options)
        if options["dry_run"]:
            self.stdout.write(f"{len(pks)} parked work items would be reached.")
            return
        try:
            repaired = self.repair(
                item_pks=pks, reason=options["reason"], actor=f"command:{options['actor']}"
            )
        except InvalidInput as refusal:
            raise CommandError(str(refusal)) from None
        for pk, why in repaired.refused.items():
            self.stderr.write(f"work item {pk}: {why}")
        self.stdout.write(f"{repaired.done} done, {len(repaired.refused)} refused.")

    def _chosen(self, options: dict[str, Any]) -> list[int]:
        parked = WorkItem.objects.filter(parked_at__isnull=False)
        filters = {
            "pk__in": options["item"],
            "order__order_id__in": options["order"],
            "cause": options["cause"],
            "step": options["step"],
        }
        chosen = {lookup: value for lookup, value in filters.items() if value}
        if not chosen:
            raise CommandError("Choose by --item, --order, --cause or --step.")
        ordered = parked.filter(**chosen).order_by("priority", "parked_at", "pk")
        return list(ordered.values_list("pk", flat=True)[: options["limit"]])
