"""
Linux calls that keep a tree of processes from leaving orphans.

Elsewhere they do nothing: a killed parent can then leave children behind, everything else works.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PROC = Path("/proc")
# Loaded here because loading a library between fork and exec can hang.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def dying_with_parent(sent: signal.Signals) -> Callable[[], None] | None:
    """
    This function will give a `preexec_fn` that has the kernel send `sent` when the parent dies.

    "The parent" is the thread that started the child, so only a main thread may use it.
    """
    if _libc is None:
        return None
    libc, parent = _libc, os.getpid()

    def prepare() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(sent), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def die_with_my_parent(sent: signal.Signals) -> None:
    """This function will have the kernel send this process `sent` when its parent dies."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, int(sent), 0, 0, 0)


def adopt_orphans() -> None:
    """This function will make orphaned descendants children of this process instead of init's."""
    if _libc is not None:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def state_and_parent(pid: int) -> tuple[str, int] | None:
    """This function will read state letter and parent of a process, None when it is gone."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[1])


def caught_signals(pid: int) -> int:
    """This function will read which signals a process handles, as a bit mask; 0 when unknown."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt")), 0)


def children_of(parent: int) -> Iterator[int]:
    """This function will list the direct children, those that wait to be collected too."""
    if not PROC.is_dir():
        return
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            facts = state_and_parent(int(entry.name))
            if facts is not None and facts[1] == parent:
                yield int(entry.name)
