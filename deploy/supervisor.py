"""Keeps child processes running, passes their output on, and leaves none behind."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.output import Output
from deploy.processes import (
    adopt_orphans,
    caught_signals,
    children_of,
    die_with_my_parent,
    dying_with_parent,
)

TICK_SECONDS = 0.2
ORPHAN_SCAN_SECONDS = 1.0
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 10.0
# After this long a child counts as well, and its next failure starts with the first delay again.
SETTLED_SECONDS = 60.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Spawn = Callable[[], "subprocess.Popen[bytes]"]


class StopRequested(Exception):
    """Somebody asked this process to end."""


class Child:
    """One process that is started again, with growing delay, whenever it ends."""

    def __init__(self, name: str, spawn: Spawn) -> None:
        self.name = name
        self.spawn = spawn
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.start_at = 0.0
        self.failures = 0

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def delay_after_end(self, now: float) -> float:
        """This function will count a failure and answer the wait before the next start."""
        self.failures = 1 if now - self.started_at > SETTLED_SECONDS else self.failures + 1
        return float(min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** (self.failures - 1)))


class Supervisor:
    """
    Runs in the main thread of the process that `make up` becomes.

    Children get a session of their own, so that Ctrl-C reaches only this process, and die with it
    whatever happens to it (Linux). Descendants that lose their parent are adopted and ended: no
    role makes daemons, so an orphan is what a killed task cluster left behind, and it would go on
    taking tasks with nobody watching it.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.environment = dict(environment)
        self.children: list[Child] = []
        self.output = Output()
        self.stop_requested = False
        self.made_by: tuple[int, int] | None = None
        self._orphans_seen: set[int] = set()
        self._orphans_scanned_at = 0.0

    def prepare(self) -> None:
        """This function will take over the stop signals and the orphans to come."""
        adopt_orphans()
        for number in STOP_SIGNALS:
            # nohup ignores SIGHUP on purpose. SIGINT is ignored in what a script starts with `&`,
            # and means stop all the same.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._on_stop_signal)

    def listen_to_make(self) -> None:
        """
        This function will also stop when make was interrupted, and end when make is killed.

        make passes SIGTERM on to its child, but after a SIGINT or SIGHUP sent to it alone it just
        waits. All that can be seen of it is that its handler is gone.
        """
        die_with_my_parent(signal.SIGTERM)
        self.made_by = (os.getppid(), caught_signals(os.getppid()))

    def _make_was_interrupted(self) -> bool:
        if self.made_by is None:
            return False
        pid, caught_before = self.made_by
        return caught_before & ~caught_signals(pid) != 0

    def _on_stop_signal(self, number: int, frame: object) -> None:
        self.stop_requested = True

    # Starting

    def spawn(
        self, name: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """This function will start one process whose output appears here under `name`."""
        reading, writing = os.pipe()
        self.output.follow(name, reading)
        try:
            return subprocess.Popen(
                command,
                cwd=self.directory,
                env=self.environment | dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
                preexec_fn=dying_with_parent(signal.SIGTERM),
            )
        finally:
            os.close(writing)

    def run(self, name: str, command: Sequence[str], *, role: str = "command") -> None:
        """This function will run a command to its end; raises when it fails or a stop is asked."""
        process = self.spawn(name, command, {"BULKHEAD_ROLE": role})
        while process.poll() is None:
            self.output.pump(TICK_SECONDS)
            if self.stop_requested:
                _end(process, patience=3.0)
        self.output.pump(0)
        if self.stop_requested:
            raise StopRequested
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, [name])

    def add(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """This function will start a process and keep it running from now on."""
        self.add_child(Child(name, lambda: self.spawn(name, command, environment)))

    def add_child(self, child: Child) -> None:
        self.children.append(child)
        if child.process is None:
            self._start(child)
        else:
            child.started_at = time.monotonic()

    def _start(self, child: Child) -> None:
        child.started_at = time.monotonic()
        child.start_at = 0.0
        child.process = child.spawn()

    # Watching

    def tick(self) -> None:
        """This function will pass output on for a moment, then look after children and orphans."""
        self.output.pump(TICK_SECONDS)
        if self.stop_requested or self._make_was_interrupted():
            raise StopRequested
        now = time.monotonic()
        for child in self.children:
            self._look_after(child, now)
        self._end_orphans(now)

    def _look_after(self, child: Child, now: float) -> None:
        if child.running:
            return
        if child.process is not None:
            _kill_group(child.process.pid)
            delay = child.delay_after_end(now)
            code = child.process.returncode
            self.output.say(f"{child.name} ended with {code}; starting again in {delay:g} s")
            child.process, child.start_at = None, now + delay
        elif now >= child.start_at:
            self._start(child)

    def _end_orphans(self, now: float) -> None:
        """This function will ask orphans to end at first sight, and end them at the second."""
        if now - self._orphans_scanned_at < ORPHAN_SCAN_SECONDS:
            return
        self._orphans_scanned_at = now
        known = {child.process.pid for child in self.children if child.process is not None}
        orphans = _reaped(set(children_of(os.getpid())) - known)
        for pid in orphans:
            _signal(pid, signal.SIGKILL if pid in self._orphans_seen else signal.SIGTERM)
        self._orphans_seen = orphans

    # Stopping

    def stop(self, children: Sequence[Child], patience: float) -> None:
        """
        This function will ask children to end, wait for `patience` seconds, then end them.

        Only the leaders are asked: a task cluster whose workers get the signal as well cuts off
        what it works on, and hangs.
        """
        for child in children:
            if child.process is not None:
                _signal(child.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + patience
        while any(child.running for child in children) and time.monotonic() < deadline:
            self.output.pump(0.05)
        for child in children:
            if child.process is not None:
                if child.running:
                    self.output.say(f"{child.name} did not stop in {patience:g} s: killed")
                _kill_group(child.process.pid)
                child.process.wait()
        self.children = [child for child in self.children if child not in children]

    def leave_no_orphan(self, patience: float = 3.0) -> None:
        """This function will kill every descendant that is not a child still kept."""
        known = {child.process.pid for child in self.children if child.process is not None}
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            orphans = _reaped(set(children_of(os.getpid())) - known)
            if not orphans:
                break
            for pid in orphans:
                _signal(pid, signal.SIGKILL)
            self.output.pump(0.02)
        self.output.pump(0)


def _end(process: "subprocess.Popen[bytes]", patience: float) -> None:
    _signal(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    _kill_group(process.pid)
    process.wait()


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _reaped(pids: set[int]) -> set[int]:
    """This function will collect the exit status of those that ended, and answer the rest."""
    left = set()
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                left.add(pid)
    return left
