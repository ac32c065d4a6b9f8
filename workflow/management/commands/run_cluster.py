"""Runs one task cluster under supervision: `manage.py run_cluster workflow`."""

import os
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connections
from django_q.cluster import Cluster

from oms.ops.clusters import (
    SUPERVISOR_PID,
    ClusterSupervisor,
    die_with_parent,
    tie_children_to_parents,
)
from oms.ops.schedules import ensure_schedules_once
from workflow.announcing import CLUSTER, sweep


class Command(BaseCommand):
    help = (
        "Runs a task cluster, announces due work, and replaces the cluster when it stands still."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=sorted(settings.CLUSTER_STUCK_SECONDS))
        parser.add_argument(
            "--child", action="store_true", help="The cluster itself, unsupervised."
        )

    def handle(self, *args: Any, name: str, child: bool, **options: Any) -> None:
        if child:
            self._run_child()
            return
        ClusterSupervisor(
            name,
            stuck_seconds=settings.CLUSTER_STUCK_SECONDS[name],
            sweep=sweep if name == CLUSTER else partial(ensure_schedules_once, name),
        ).run()

    def _run_child(self) -> None:
        # Named in the environment, so that a supervisor of older code can start newer code.
        supervisor = os.environ.get(SUPERVISOR_PID)
        die_with_parent(parent=int(supervisor) if supervisor else None)
        tie_children_to_parents()
        # A connection must not be shared across the forks that follow.
        connections.close_all()
        Cluster().start()
