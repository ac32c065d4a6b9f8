"""Running programs as an account without rights, when this process is root's."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class NoAccount(RuntimeError):
    """Root found no account to hand a program to."""


class Account(NamedTuple):
    """Who runs a program. The fields are subprocess's arguments; None means "as this process"."""

    user: int | None = None
    group: int | None = None

    @property
    def extra_groups(self) -> list[int] | None:
        """Root's own groups must go, or the program keeps what they may read."""
        return None if self.user is None else []

    def owns(self, path: Path) -> bool:
        """This function will tell whether path is the account's, or this process's to give."""
        return path.lstat().st_uid in {os.geteuid(), self.user}

    def take(self, path: Path) -> None:
        """This function will make a directory this account's alone."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group, follow_symlinks=False)
        path.chmod(0o700)


ME = Account()


def owner_of(path: Path) -> Account | None:
    """This function will name the account that owns a file; None for root's or a missing one."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return Account(facts.st_uid, facts.st_gid) if facts.st_uid != 0 else None


def unprivileged() -> Account:
    """This function will choose an account that every system has. None is created."""
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise NoAccount("Root may not run PostgreSQL, and there is no user postgres or nobody.")


def run_as(account: Account, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """This function will run a program to its end, in `/` and a bare environment."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd="/",
        env=bare_environment(),
        user=account.user,
        group=account.group,
        extra_groups=account.extra_groups,
    )


def can_run(account: Account, command: Sequence[str | Path]) -> bool:
    """This function will tell whether the account can execute the program at all."""
    try:
        return run_as(account, command).returncode == 0
    except OSError:
        return False


def bare_environment() -> dict[str, str]:
    """This function will leave out PG* variables and the locale of the caller's shell."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "HOME": "/"}
