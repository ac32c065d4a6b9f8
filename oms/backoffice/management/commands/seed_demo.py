"""Fills an empty installation for a first look: `manage.py seed_demo --credentials FILE`."""

import random
import tempfile
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from oms.backoffice.demo import history_documents
from oms.backoffice.first_access import grant_first_access, with_demo_key
from oms.ops.clock import database_now
from oms.orders.importing import import_file
from workflow.sandbox.shopping import MARKETPLACE, STOREFRONT, invent_order
from workflow.services.placing import place_orders

ACTOR = "command:seed_demo"


class Command(BaseCommand):
    help = "Makes the first account and app key, a past of imported orders, and some fresh ones."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--credentials", type=Path, required=True, metavar="FILE")
        parser.add_argument("--past", type=int, default=600, help="imported orders (default 600)")
        parser.add_argument("--fresh", type=int, default=24, help="orders placed now (default 24)")

    def handle(self, *args: Any, credentials: Path, past: int, fresh: int, **options: Any) -> None:
        access = with_demo_key(grant_first_access(actor=ACTOR), actor=ACTOR)
        self._import_past(past)
        self._place_fresh(fresh)
        access.write(credentials)
        self.stdout.write(f"{past} past orders, {fresh} fresh ones, credentials in {credentials}.")

    def _import_past(self, count: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "past.ndjson"
            documents = history_documents(count, now=database_now())
            file.write_bytes(b"\n".join(orjson.dumps(document) for document in documents))
            summary = import_file(file, actor=ACTOR)
            if summary.rejected:
                raise CommandError(summary.rejects_path.read_text(encoding="utf-8"))

    def _place_fresh(self, count: int) -> None:
        chance = random.Random(2)
        for affiliate_id in (MARKETPLACE, STOREFRONT):
            body = [
                invent_order(chance, affiliate_id, f"F{number:04d}")
                for number in range(count // 2)
            ]
            if body:
                place_orders(body, affiliate_id=affiliate_id, sales_channel="1", actor=ACTOR)
