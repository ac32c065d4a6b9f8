"""A supervised task cluster as a test sees it: every one of its processes, by its part in it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.processes import children_of
from tests.faults.processes import (
    READING_A_PIPE,
    WAITING_FOR_A_LOCK,
    descendants_of,
    is_blocked_in,
    is_running,
    reads_from,
    send,
    wait_until,
    wait_until_gone,
)

ROOT = Path(__file__).resolve().parents[2]
# Main and sentinel, one or more workers, monitor and pusher.
FEWEST_PROCESSES = 5


class RunningCluster:
    """`manage.py run_cluster NAME` in a session of its own, as systemd would start it."""

    def __init__(
        self, environment: Mapping[str, str], log: Path, *, special: bool = False
    ) -> None:
        self.name = "workflow"
        self.environment = {**environment, "BULKHEAD_ROLE": self.name}
        self.log = log
        # Started in an environment of its own: of no use to the next test.
        self.special = special
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """This function will start the supervisor, which starts the rest."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "run_cluster", self.name],
                cwd=ROOT,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_complete(self, *, seconds: float = 30.0) -> None:
        """This function will wait until all processes are there and the idle ones idle."""
        wait_until(
            lambda: self.supervisor and len(self.children) >= FEWEST_PROCESSES - 2,
            seconds=seconds,
            what="the cluster is complete",
        )

    def stop(self, *, seconds: float = 15.0) -> int:
        """This function will ask the supervisor to end and return its exit code."""
        assert self.process is not None
        everybody = self.everybody()
        self.process.terminate()
        code = self.process.wait(seconds)
        wait_until_gone(everybody, seconds=1.0, what="stopped, and yet")
        return code

    def kill_everything(self) -> None:
        """This function will leave nothing of the cluster behind, whatever state it is in."""
        if self.process is None:
            return
        everybody = self.everybody()
        send(self.process.pid, signal.SIGKILL)
        for pid in everybody:
            send(pid, signal.SIGCONT)
            send(pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process = None

    # Who is who

    def everybody(self) -> list[int]:
        """This function will list supervisor, main, sentinel and children."""
        return [self.supervisor, *descendants_of(self.supervisor)] if self.supervisor else []

    @property
    def supervisor(self) -> int:
        """The supervisor's pid, 0 when it is not running."""
        is_up = self.process is not None and self.process.poll() is None
        return self.process.pid if is_up and self.process is not None else 0

    @property
    def main(self) -> int:
        return _only_child(self.supervisor)

    @property
    def sentinel(self) -> int:
        return _only_child(self.main)

    @property
    def children(self) -> list[int]:
        """Workers, monitor and pusher."""
        sentinel = self.sentinel
        return [pid for pid in children_of(sentinel) if is_running(pid)] if sentinel else []

    def idle_workers(self) -> list[int]:
        """This function will list the workers that wait for a task: one at the pipe, the rest behind."""
        holder = self.holder_of_the_queue()
        waiting = [pid for pid in self.children if is_blocked_in(pid, WAITING_FOR_A_LOCK)]
        return [*([holder] if holder else []), *waiting]

    def holder_of_the_queue(self) -> int | None:
        """
        This function will find the idle worker that holds the queue's lock, if it can be told.

        It reads the pipe of the task queue; the monitor reads that of the result queue, which was
        made later and so has the higher number in every process.
        """
        reading = {
            fd: pid
            for pid in self.children
            if is_blocked_in(pid, READING_A_PIPE) and (fd := reads_from(pid)) is not None
        }
        return reading[min(reading)] if len(reading) == 2 else None

    def monitor(self) -> int | None:
        reading = {fd: pid for pid in self.children if (fd := reads_from(pid)) is not None}
        return reading[max(reading)] if len(reading) == 2 else None

    def pusher(self) -> int | None:
        """This function will find the process that polls the queue: neither at a pipe nor a lock."""
        others = [
            pid
            for pid in self.children
            if not is_blocked_in(pid, READING_A_PIPE + WAITING_FOR_A_LOCK)
        ]
        return others[0] if len(others) == 1 else None

    def group(self) -> int:
        """This function will return the process group of main, sentinel and children."""
        return os.getpgid(self.main)


def _only_child(parent: int) -> int:
    if not parent:
        return 0
    return next((pid for pid in children_of(parent) if is_running(pid)), 0)
