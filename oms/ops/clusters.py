"""
Keeps one django-q2 cluster at work.

A cluster can stand still while it reports itself alive: an idle worker killed while it holds the
queue's lock stops it for ever, and when its sentinel dies the orphans go on without a guard
(research, stack 3.3; ADR 0004). So it is judged by work that went through its queue: a beat task
every few seconds, and whatever its tasks report. When none of it moves, the group is replaced; so
is a group that stands still while another cluster on the same queue does all the work.
"""

import contextlib
import ctypes
import math
import os
import signal
import socket
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
from oms.ops.queues import progress_ages, queue_beat, waiting_tasks

logger = structlog.get_logger(__name__)

LONGEST_BEAT_SECONDS: Final = 5.0
# How many beats fit into the silence after which a cluster counts as stuck.
BEATS_BEFORE_STUCK: Final = 4
# A group whose siblings work may have been unlucky with beats rather than stuck: it gets longer,
# and is asked to end instead of killed.
PATIENCE_AMONG_SIBLINGS: Final = 3
# Without this a host on which a start takes longer than the limit would never finish one.
MOST_DOUBLINGS: Final = 3
STOP_GRACE_SECONDS: Final = 8.0
LONGEST_RESTART_DELAY: Final = 10.0
PR_SET_PDEATHSIG: Final = 1
SUPERVISOR_PID: Final = "BULKHEAD_SUPERVISOR_PID"

# Loaded before any fork: loading a library between fork and exec can hang.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_forking_pid = 0


def die_with_parent(sig: int = signal.SIGKILL, *, parent: int | None = None) -> None:
    """
    This function will have the kernel kill this process when its parent dies (Linux only).

    With `parent`, the pid that must be the parent's, it ends at once if that one is gone already:
    the kernel tells of later deaths only.
    """
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, int(sig), 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def tie_children_to_parents() -> None:
    """
    This function will make every process forked from here on die with the one that forked it.

    Sentinel with main, workers with the sentinel: no kill leaves orphans that take tasks.
    """
    os.register_at_fork(before=_remember_pid, after_in_child=_die_with_forking_process)


def _remember_pid() -> None:
    global _forking_pid
    _forking_pid = os.getpid()


def _die_with_forking_process() -> None:
    die_with_parent(parent=_forking_pid)


class _Stopped(BaseException):
    """Raised by the signal handler, to leave a database that does not answer."""


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
        self.beat_seconds = min(LONGEST_BEAT_SECONDS, stuck_seconds / BEATS_BEFORE_STUCK)
        self._sweep = sweep
        self._child: subprocess.Popen[bytes] | None = None
        self._restarts = 0
        self._fruitless = 0
        self._start_at = 0.0
        self._watched_since = 0.0
        self._reported_at = -math.inf
        self._beat_at = 0.0
        self._is_silent = False
        self._is_stopping = False
        self._may_be_interrupted = False

    def run(self) -> None:
        """This function will keep the cluster at work until SIGTERM or SIGINT."""
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, self._stop_on_signal)
        die_with_parent(signal.SIGTERM)
        try:
            while not self._is_stopping:
                self._keep_alive()
                self._tend_until_stopped()
                self._pause()
        except _Stopped:
            pass
        finally:
            self._stop_child()

    def _stop_on_signal(self, signum: int, frame: FrameType | None) -> None:
        self._is_stopping = True
        if self._may_be_interrupted:
            self._may_be_interrupted = False
            raise _Stopped

    def _tend_until_stopped(self) -> None:
        # A silent database would hold up the end of this process until it is killed.
        self._may_be_interrupted = True
        try:
            self._tend()
        finally:
            self._may_be_interrupted = False

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
            env={
                **os.environ,
                "Q_CLUSTER_NAME": self.name,
                SUPERVISOR_PID: str(os.getpid()),
            },
            start_new_session=True,
        )
        self._watched_since = time.monotonic()
        logger.info("cluster.started", cluster=self.name, pid=self._child.pid)

    def _tend(self) -> None:
        """
        This function will sweep, beat and look for progress, each whatever became of the others.

        Without PostgreSQL nobody can work or report: the clock starts again when it is back. Any
        other failure must not hide a stuck cluster, so it does not touch the clock.
        """
        for duty in (self._sweep_due, self._beat, self._replace_if_stuck):
            try:
                duty()
            except (DatabaseError, InterfaceError) as error:
                logger.warning("cluster.database_failed", cluster=self.name, error=str(error))
                connection.close()
                if not _database_answers():
                    self._watched_since = time.monotonic()
                    return
            except Exception:
                logger.exception("cluster.duty_failed", cluster=self.name, duty=duty.__name__)

    def _sweep_due(self) -> None:
        if self._sweep is not None:
            self._sweep()

    def _beat(self) -> None:
        is_due = time.monotonic() - self._beat_at >= self.beat_seconds
        # A silent group gets more chances to catch a beat before its siblings do.
        if (is_due or self._is_silent) and not waiting_tasks(self.name, at_most=1):
            queue_beat(self.name)
        if is_due:
            self._beat_at = time.monotonic()
            beat(f"supervisor:{self.name}", details={"restarts": self._restarts})
            forget_silent_instances(settings.FORGET_INSTANCES_AFTER)

    def _replace_if_stuck(self) -> None:
        if self._child is None:
            return
        watched = time.monotonic() - self._watched_since
        ages = progress_ages(self.name)
        ours = [age for name, age in ages.items() if self._is_ours(name)]
        if ours:
            self._reported_at = max(self._reported_at, time.monotonic() - min(ours))
        # What was reported before we began to watch is no news of this group. What a worker of it
        # reported counts on when that worker has ended, as each does after `recycle` tasks.
        own = min(watched, time.monotonic() - self._reported_at)
        idle = min([own, *ages.values()])
        self._is_silent = own >= self.beat_seconds
        if idle >= self._patience():
            logger.error("cluster.stuck", cluster=self.name, seconds=round(idle, 1))
            self._fruitless += 1
            self._kill_group()
        elif own >= PATIENCE_AMONG_SIBLINGS * self._patience():
            logger.error("cluster.stuck_among_siblings", cluster=self.name, seconds=round(own, 1))
            self._fruitless += 1
            self._stop_child()
        elif own < watched:
            self._fruitless = self._restarts = 0

    def _patience(self) -> float:
        """Longer after each group that never worked: an overloaded host starts slowly."""
        return self.stuck_seconds * float(2 ** min(self._fruitless, MOST_DOUBLINGS))

    def _is_ours(self, instance: str) -> bool:
        host, _, pid = instance.rpartition(":")
        if self._child is None or host != socket.gethostname() or not pid.isdigit():
            return False
        try:
            return os.getpgid(int(pid)) == self._child.pid
        except ProcessLookupError:
            return False

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


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError):
        connection.close()
        return False
    return True
