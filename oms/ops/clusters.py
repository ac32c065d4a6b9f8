"""
Keeps one django-q2 cluster at work.

A cluster can stand still while it reports itself alive: an idle worker killed while it holds the
queue's lock stops it for ever, and when its sentinel dies the orphans go on without a guard
(research, stack 3.3; ADR 0004). So it is judged by work that went through its queue: a beat task
every few seconds, and whatever its tasks report. When none of it moves, the group is replaced.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from oms.ops.heartbeats import beat, forget_silent_instances
from oms.ops.queues import queue_beat, seconds_since_progress, waiting_tasks

logger = structlog.get_logger(__name__)

BEAT_SECONDS: Final = 5.0
STOP_GRACE_SECONDS: Final = 8.0
LONGEST_RESTART_DELAY: Final = 10.0
PR_SET_PDEATHSIG: Final = 1


def die_with_parent(sig: int = signal.SIGKILL) -> None:
    """This function will have the kernel kill this process when its parent dies (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, sig)


def tie_children_to_parents() -> None:
    """
    This function will make every process forked from here on die with the one that forked it.

    Sentinel with main, workers with the sentinel: no kill leaves orphans that take tasks.
    """
    os.register_at_fork(after_in_child=die_with_parent)


class ClusterSupervisor:
    """
    Starts a cluster, sweeps, beats, watches, replaces.

    `sweep` is called every `settings.SWEEP_SECONDS`; `stuck_seconds` must exceed the longest time
    between two reports of a working cluster, else good work is killed.
    """

    def __init__(
        self, name: str, *, stuck_seconds: float, sweep: Callable[[], int] | None = None
    ) -> None:
        self.name = name
        self.stuck_seconds = stuck_seconds
        self._sweep = sweep
        self._child: subprocess.Popen[bytes] | None = None
        self._restarts = 0
        self._start_at = 0.0
        self._watched_since = 0.0
        self._beat_at = 0.0
        self._is_stopping = False

    def run(self) -> None:
        """This function will keep the cluster at work until SIGTERM or SIGINT."""
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, self._stop_on_signal)
        die_with_parent(signal.SIGTERM)
        try:
            while not self._is_stopping:
                self._keep_alive()
                self._tend()
                self._pause()
        finally:
            self._stop_child()

    def _stop_on_signal(self, signum: int, frame: FrameType | None) -> None:
        self._is_stopping = True

    def _pause(self) -> None:
        # Short naps: a signal handler alone does not end a sleep (PEP 475).
        ends_at = time.monotonic() + settings.SWEEP_SECONDS
        while not self._is_stopping and time.monotonic() < ends_at:
            time.sleep(min(0.1, settings.SWEEP_SECONDS))

    def _keep_alive(self) -> None:
        if self._child is not None and self._child.poll() is not None:
            logger.warning("cluster.ended", cluster=self.name, code=self._child.returncode)
            self._stop_child()
            self._restarts += 1
            delay = min(0.5 * 2 ** min(self._restarts, 6), LONGEST_RESTART_DELAY)
            self._start_at = time.monotonic() + delay
        if self._child is None and time.monotonic() >= self._start_at:
            self._start_child()

    def _start_child(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, sys.argv[0], "run_cluster", self.name, "--child"],
            env={**os.environ, "Q_CLUSTER_NAME": self.name},
            start_new_session=True,
        )
        self._watched_since = time.monotonic()
        logger.info("cluster.started", cluster=self.name, pid=self._child.pid)

    def _tend(self) -> None:
        try:
            if self._sweep is not None:
                self._sweep()
            if time.monotonic() - self._beat_at >= BEAT_SECONDS:
                self._beat_at = time.monotonic()
                if not waiting_tasks(self.name, at_most=1):
                    queue_beat(self.name)
                beat(f"supervisor:{self.name}", details={"restarts": self._restarts})
                forget_silent_instances(settings.FORGET_INSTANCES_AFTER)
            self._replace_if_stuck()
        except (DatabaseError, InterfaceError) as error:
            # Without PostgreSQL nobody can work or report: the clock starts again when it is back.
            logger.warning("cluster.database_unavailable", cluster=self.name, error=str(error))
            connection.close()
            self._watched_since = time.monotonic()

    def _replace_if_stuck(self) -> None:
        watched = time.monotonic() - self._watched_since
        if self._child is None or watched < self.stuck_seconds:
            return
        idle = seconds_since_progress(self.name)
        if idle is not None and idle < self.stuck_seconds:
            self._restarts = 0
            return
        logger.error("cluster.stuck", cluster=self.name, seconds=idle or watched)
        self._kill_group()
        self._start_at = time.monotonic()

    def _stop_child(self) -> None:
        """Main alone gets SIGTERM: a signal to the whole group hangs it. Then the group is killed."""
        child = self._child
        if child is None:
            return
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(STOP_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                logger.warning("cluster.killed", cluster=self.name)
        self._kill_group()

    def _kill_group(self) -> None:
        child = self._child
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        self._child = None
