"""Gives stuck work a fresh start: `manage.py retry_work --cause "…" --reason "…"`."""

from workflow.management.repair_command import RepairCommand
from workflow.services.repair import retry_work


class Command(RepairCommand):
    help = "Retries parked work items, chosen by cause, step, order or item."
    repair = staticmethod(retry_work)
