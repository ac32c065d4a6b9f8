"""Runs one task cluster under supervision: `manage.py run_cluster workflow`."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connections
from django_q.cluster import Cluster

from oms.ops.clusters import ClusterSupervisor, die_with_parent, tie_children_to_parents
from workflow.announcing import CLUSTER, sweep


class Command(BaseCommand):
    help = (
        "Runs a task cluster, announces due work, and replaces the cluster when it stands still."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=sorted(settings.CLUSTER_STUCK_SECONDS))
        parser.add_argument(
            "--child-of", type=int, metavar="PID", help="The cluster itself; PID supervises it."
        )

    def handle(self, *args: Any, name: str, child_of: int | None, **options: Any) -> None:
        if child_of is not None:
            self._run_child(child_of)
            return
        ClusterSupervisor(
            name,
            stuck_seconds=settings.CLUSTER_STUCK_SECONDS[name],
            sweep=sweep if name == CLUSTER else None,
        ).run()

    def _run_child(self, supervisor: int) -> None:
        die_with_parent(parent=supervisor)
        tie_children_to_parents()
        # A connection must not be shared across the forks that follow.
        connections.close_all()
        Cluster().start()
