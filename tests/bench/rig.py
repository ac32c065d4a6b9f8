"""
The place where everything is measured: a PostgreSQL of its own with production settings, filled
once and copied for each run, and the real roles started as `make up` starts them.
"""

import contextlib
import hashlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from deploy.postgres import DATABASE, OWNER, SUPERUSER, Postgres
from tests.bench.sizes import Size

ROOT = Path(__file__).resolve().parent.parent.parent
GENERATED = "generated"
MARKER = "generated.json"
# What a store with a machine of its own sets beyond the launcher's defaults.
PRODUCTION = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "2GB",
    "effective_cache_size": "12GB",
    "max_wal_size": "8GB",
}
# Only while data is made: nothing is lost that could not be made again.
GENERATING = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "shared_buffers": "2GB",
    "maintenance_work_mem": "512MB",
    "work_mem": "64MB",
}
# A smoke test proves that the scripts run, not how fast: it need not wait for the disk.
SMALL = {"shared_buffers": "128MB", "fsync": "off", "synchronous_commit": "off"}
SILENT_SERVER_SECONDS = 30.0


@dataclass(slots=True)
class Rig:
    """The server and what runs against it. Everything started is stopped with it."""

    size: Size
    folder: Path
    server: Postgres
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def superuser(self, database: str = DATABASE) -> psycopg.Connection[Any]:
        """This function will connect as superuser: making room and putting things back."""
        return psycopg.connect(self.server.url(database, SUPERUSER), autocommit=True)

    def owner(self) -> psycopg.Connection[Any]:
        """This function will connect as the project does."""
        return psycopg.connect(self.server.url(), autocommit=True)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """This function will start a role of the project in the background, its log in a file."""
        with (self.folder / "roles.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=self.environment | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """This function will end a role as a deployment does, by SIGTERM to its first process."""
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.processes.remove(process)

    @contextlib.contextmanager
    def web(self) -> Iterator["Web"]:
        """This function will run the web role: gunicorn as in production, two workers."""
        port = free_port()
        process = self.start(
            *("-m", "gunicorn", "oms.wsgi", "--config", "deploy/gunicorn.py"),
            *("--bind", f"127.0.0.1:{port}"),
            BULKHEAD_ROLE="web",
            PORT=str(port),
            WEB_CONCURRENCY="1" if self.size.is_smoke else "2",
        )
        try:
            _wait_for_answer(port, process)
            yield Web(port, process)
        finally:
            self.stop(process)

    @contextlib.contextmanager
    def cluster(self, name: str = "workflow") -> Iterator[subprocess.Popen[bytes]]:
        """This function will run a task cluster under its supervisor until it takes tasks."""
        with self.owner() as connection:
            connection.execute("DELETE FROM ops_heartbeat WHERE role = %s", [name])
            connection.execute("DELETE FROM django_q_ormq")  # no task of an earlier measurement
            process = self.start(
                "manage.py", "run_cluster", name, BULKHEAD_ROLE=name, Q_CLUSTER_NAME=name
            )
            try:
                _wait_for(
                    connection,
                    "SELECT count(*) FROM ops_heartbeat WHERE role = %s",
                    [name],
                    process,
                )
                yield process
            finally:
                self.stop(process)

    def version(self) -> str:
        return self.server.psql("SHOW server_version").split()[0]


@dataclass(frozen=True, slots=True)
class Web:
    port: int
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def open_rig(size: Size) -> Iterator[Rig]:
    """
    This function will yield a rig whose database is a fresh copy of the generated one.

    The generated one is made on the first run with a size, and again when its recipe changed.
    """
    folder = Path(os.environ.get("DATA_DIR", ROOT / ".local")).absolute() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / f"postgres-{size.orders}"
    settings = PRODUCTION | (SMALL if size.is_smoke else {})
    is_new = _generate_unless_there(home, size)
    server = Postgres(home, settings=settings)
    server.start()
    rig = Rig(size, folder, server, _environment(server))
    try:
        _copy_generated(server)
        if not is_new:
            _migrate(rig.environment)
        yield rig
    finally:
        for process in list(rig.processes):
            rig.stop(process)
        server.stop(60)


def _environment(server: Postgres) -> dict[str, str]:
    return os.environ | {
        "DATABASE_URL": server.url(),
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "DJANGO_SETTINGS_MODULE": "oms.settings",
        "HTTPS": "0",
        "DEBUG": "0",
        "LOG_LEVEL": "WARNING",
        # What is measured is the work, not the limit of a key.
        "API_REQUESTS_PER_MINUTE": "0",
        "BULKHEAD_ROLE": "command",
        # Receivers of hooks answer on this machine, over plain HTTP.
        "HOOK_ALLOWED_ADDRESSES": "127.0.0.0/8",
        "HOOK_ALLOW_HTTP": "1",
        "HOOK_PORTS": "any",
        "HOOK_CALLS_PER_RECEIVER": "32",
    }


def _recipe() -> str:
    """What the generated data depend on. Migrations that came later are run on each copy."""
    return hashlib.sha256(Path(__file__).with_name("generating.py").read_bytes()).hexdigest()


def _generate_unless_there(home: Path, size: Size) -> bool:
    """This function will fill a database by the present recipe and say whether it had to."""
    marker = home.with_suffix(f".{MARKER}")
    wanted = {"orders": size.orders, "recipe": _recipe()}
    with contextlib.suppress(OSError, ValueError):
        if json.loads(marker.read_text()) == wanted:
            return False
    marker.unlink(missing_ok=True)
    server = Postgres(home, settings=GENERATING | (SMALL if size.is_smoke else {}))
    server.remove()
    server.start()
    try:
        environment = _environment(server)
        _migrate(environment)
        arguments = ["-m", "tests.bench.generating", str(size.orders), str(size.pool)]
        subprocess.run([sys.executable, *arguments], env=environment, cwd=ROOT, check=True)
        server.psql(f"ALTER DATABASE {DATABASE} RENAME TO {GENERATED}")
    finally:
        server.stop(120)
    # What was written without fsync reaches the disk before anything is measured.
    os.sync()
    marker.write_text(json.dumps(wanted))
    return True


def _copy_generated(server: Postgres) -> None:
    with psycopg.connect(server.url("postgres", SUPERUSER), autocommit=True) as connection:
        database, owner = Identifier(DATABASE), Identifier(OWNER)
        connection.execute(SQL("DROP DATABASE IF EXISTS {}").format(database))
        connection.execute(
            SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY = file_copy OWNER {}").format(
                database, Identifier(GENERATED), owner
            )
        )


def _migrate(environment: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        env=environment,
        cwd=ROOT,
        check=True,
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for_answer(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SILENT_SERVER_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError("The web role did not start: see roles.log.")


def _wait_for(
    connection: psycopg.Connection[Any],
    query: Any,
    parameters: list[Any],
    process: subprocess.Popen[bytes],
) -> None:
    deadline = time.monotonic() + SILENT_SERVER_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        row = connection.execute(query, parameters).fetchone()
        if row and row[0]:
            return
        time.sleep(0.05)
    raise RuntimeError("The cluster did not start: see roles.log.")
