"""Who is who among the processes of a task cluster, read from /proc. Linux only, as the rig is."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from deploy.processes import PROC, children_of, state_and_parent

# How the kernel calls what a process waits in. The name of the pipe's function changed over time.
READING_A_PIPE = ("pipe_read", "pipe_wait")
WAITING_FOR_A_LOCK = ("futex",)

T = TypeVar("T")


def is_running(pid: int) -> bool:
    """This function will tell whether a process is there and more than a zombie."""
    facts = state_and_parent(pid)
    return facts is not None and facts[0] not in "ZX"


def descendants_of(pid: int) -> list[int]:
    """This function will list all living processes below one, nearest first."""
    found: list[int] = []
    level = [pid]
    while level:
        level = [child for parent in level for child in children_of(parent) if is_running(child)]
        found += level
    return found


def send(pid: int, number: signal.Signals) -> None:
    """This function will signal one process; one that is gone is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def processes_marked(mark: str) -> Iterator[int]:
    """This function will find every process whose environment holds `mark`, whoever its parent."""
    for entry in PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if mark.encode() in (entry / "environ").read_bytes() and is_running(
                    int(entry.name)
                ):
                    yield int(entry.name)


def wait_until(
    look: Callable[[], T | None], *, seconds: float, what: str, every: float = 0.05
) -> T:
    """This function will look until the answer is truthy and return it; else fail, saying what."""
    ends_at = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() > ends_at:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(every)


def wait_until_gone(pids: list[int], *, seconds: float, what: str) -> None:
    """This function will wait until none of the processes is left."""
    wait_until(
        lambda: not [pid for pid in pids if is_running(pid)],
        seconds=seconds,
        what=f"{what}: {[pid for pid in pids if is_running(pid)]} still there",
    )


def waits_in(pid: int) -> str:
    """This function will name what a process waits in, empty when it runs or may not be seen."""
    try:
        return (PROC / str(pid) / "wchan").read_text()
    except OSError:
        return ""


def reads_from(pid: int) -> int | None:
    """This function will return the file descriptor that a process blocks on in read(2)."""
    try:
        words = Path(PROC / str(pid) / "syscall").read_text().split()
    except OSError:
        return None
    return int(words[1], 16) if len(words) > 1 and words[0] == "0" else None


def is_blocked_in(pid: int, functions: tuple[str, ...]) -> bool:
    return any(function in waits_in(pid) for function in functions)
