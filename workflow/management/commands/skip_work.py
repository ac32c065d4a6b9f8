"""Lets orders go on without an outside answer: `manage.py skip_work --order ID --reason "…"`."""

from workflow.management.repair_command import RepairCommand
from workflow.services.repair import skip_work


class Command(RepairCommand):
    help = "Skips parked work items, chosen by cause, step, order or item, where that is allowed."
    repair = staticmethod(skip_work)
