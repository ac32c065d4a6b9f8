"""
Runs the whole of Bulkhead in the foreground: `make up`.

Prepares PostgreSQL (unless DATABASE_URL names one), secrets, schema and first data, then keeps the
roles of deploy/roles.py running. Once they work it prints two lines for people and scripts to
stdout; all else goes to stderr. Ends within 15 s of SIGINT or SIGTERM, PostgreSQL last.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
from django.core.exceptions import ImproperlyConfigured

from deploy.postgres import Postgres
from deploy.postgres_binaries import PostgresFailed
from deploy.roles import MANAGE, ROLES, roles_for
from deploy.supervisor import Child, StopRequested, Supervisor
from oms.env import env_bool, env_int, env_secret, env_str

ROOT = Path(__file__).resolve().parent.parent
SANDBOX_PORT_OFFSET = 11
CONNECTOR_VARIABLES = ("ANTIFRAUD_URL", "PAYMENTS_URL", "STOCK_URL", "CARRIER_URL")
# Together below the 15 s that stopping may take. A task cluster's supervisor takes up to 8 s.
ROLE_PATIENCE_SECONDS = 8.5
LATE_ROLE_PATIENCE_SECONDS = 1.0
ORPHAN_PATIENCE_SECONDS = 0.5
POSTGRES_PATIENCE_SECONDS = 3.5
STILL_WAITING_SECONDS = 30.0
READINESS_INTERVAL_SECONDS = 0.3


class Plan(NamedTuple):
    """What this run was asked for."""

    port: int
    data_dir: Path
    demo: bool


class Credentials(NamedTuple):
    """What the first run created. The token is nowhere else: the database keeps its hash."""

    admin_user: str
    admin_password: str
    app_key: str
    app_token: str
    demo_app_key: str = ""
    demo_app_token: str = ""


def main() -> int:
    try:
        plan = read_plan()
        with only_one_runs(plan.data_dir):
            return run(plan)
    except (ImproperlyConfigured, PostgresFailed, psycopg.OperationalError, OSError) as error:
        print(f"make up: {error}", file=sys.stderr)
    except subprocess.CalledProcessError as error:
        print(f"make up: {error.cmd[0]} failed; the reason is above.", file=sys.stderr)
    return 1


def read_plan() -> Plan:
    plan = Plan(
        port=env_int("PORT", 8000, minimum=1),
        data_dir=(ROOT / env_str("DATA_DIR", ".local")).absolute(),
        demo=env_bool("DEMO", True),
    )
    plan.data_dir.mkdir(parents=True, exist_ok=True)
    if not is_free(plan.port):
        raise ImproperlyConfigured(f"port {plan.port} is taken. Another one: PORT=8001 make up")
    return plan


@contextlib.contextmanager
def only_one_runs(data_dir: Path) -> Iterator[None]:
    with (data_dir / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ImproperlyConfigured(f"already running with DATA_DIR={data_dir}.") from None
        yield


def run(plan: Plan) -> int:
    supervisor = Supervisor(ROOT, os.environ)
    supervisor.prepare()
    if "MAKELEVEL" in os.environ:
        supervisor.listen_to_make()
    server: Postgres | None = None
    try:
        if env_secret("DATABASE_URL") is None:
            server = start_postgres(supervisor, plan)
        supervisor.environment |= environment_for(plan, server)
        wait_for_database(supervisor)
        supervisor.run(
            "migrate", (*MANAGE, "migrate", "--no-input", "--verbosity", "1"), role="migrate"
        )
        credentials = first_data(supervisor, plan)
        start_roles(supervisor, plan, credentials)
        announce_when_ready(supervisor, plan, credentials)
        while True:
            supervisor.tick()
    except StopRequested:
        return 0
    finally:
        stop(supervisor, server)


# Preparing


def start_postgres(supervisor: Supervisor, plan: Plan) -> Postgres:
    server = Postgres(plan.data_dir / "postgres")
    server.start()
    supervisor.output.say(f"PostgreSQL {server.binaries.major} runs, data in {server.data}")
    if server.process is not None:
        child = Child("postgres", server.spawn)
        child.process = server.process
        supervisor.add_child(child)
    return server


def environment_for(plan: Plan, server: Postgres | None) -> dict[str, str]:
    """This function will complete the children's environment; what is given stays as it is."""
    defaults = {
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "DEBUG": "0",
        "DEMO_ORDERS_PER_MINUTE": "12",
        "HTTPS": "0",
        "LOG_FORMAT": "console" if sys.stderr.isatty() else "json",
        "PYTHONUNBUFFERED": "1",
        "WEB_GRACEFUL_SECONDS": "5",
    }
    if plan.demo:
        # Half an hour, as in life, would show orders that stand still.
        defaults["WINDOW_TO_CANCEL_SECONDS"] = "120"
    if server is not None:
        defaults["DATABASE_URL"] = server.url()
    if env_secret("SECRET_KEY") is None:
        defaults["SECRET_KEY"] = kept_secret_key(plan.data_dir / "secret_key")
    if "SANDBOX_URL" not in os.environ and not all(map(os.environ.get, CONNECTOR_VARIABLES)):
        port = plan.port + SANDBOX_PORT_OFFSET
        port = port if is_free(port) else any_free_port()
        defaults |= {"SANDBOX_PORT": str(port), "SANDBOX_URL": f"http://127.0.0.1:{port}"}
    fixed = {"PORT": str(plan.port), "DATA_DIR": str(plan.data_dir)}
    return {name: os.environ.get(name, value) for name, value in defaults.items()} | fixed


def kept_secret_key(path: Path) -> str:
    """This function will make the key once: a new one would drop every queued task and session."""
    if not path.exists():
        write_secret(path, secrets.token_urlsafe(64))
    return path.read_text(encoding="utf-8").strip()


def write_secret(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.new")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)


def wait_for_database(supervisor: Supervisor, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(database_url(supervisor), connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
        supervisor.tick()


def database_url(supervisor: Supervisor) -> str:
    return supervisor.environment.get("DATABASE_URL") or env_secret("DATABASE_URL") or ""


def first_data(supervisor: Supervisor, plan: Plan) -> Credentials:
    """This function will create demo data or bare access on the first run with a database."""
    database = hashlib.sha256(database_url(supervisor).encode()).hexdigest()[:12]
    path = plan.data_dir / f"credentials-{database}.json"
    if not path.exists():
        partial = path.with_name(f".{path.name}.new")
        write_secret(partial, "")
        command = "seed_demo" if plan.demo else "bootstrap_access"
        supervisor.run(command, (*MANAGE, command, "--credentials", str(partial)))
        path = partial.replace(path)
    known = json.loads(path.read_text(encoding="utf-8"))
    return Credentials(**{name: known[name] for name in Credentials._fields if name in known})


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def any_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


# Running


def start_roles(supervisor: Supervisor, plan: Plan, credentials: Credentials) -> None:
    key = {
        "SANDBOX_APP_KEY": credentials.demo_app_key or credentials.app_key,
        "SANDBOX_APP_TOKEN": credentials.demo_app_token or credentials.app_token,
    }
    for role in roles_for(supervisor.environment, demo=plan.demo):
        added = {**role.environment, **(key if role.name == "sandbox" else {})}
        supervisor.add(role.name, role.command, added)


def announce_when_ready(supervisor: Supervisor, plan: Plan, credentials: Credentials) -> None:
    """This function will print the two lines once web answers and the workflow has beaten."""
    address = f"http://127.0.0.1:{plan.port}"
    remind_at = time.monotonic() + STILL_WAITING_SECONDS
    while not (answers(f"{address}/healthz") and workflow_beats(supervisor)):
        if time.monotonic() > remind_at:
            supervisor.output.say("not ready yet: look above for a role that does not start")
            remind_at += STILL_WAITING_SECONDS
        ask_again_at = time.monotonic() + READINESS_INTERVAL_SECONDS
        while time.monotonic() < ask_again_at:
            supervisor.tick()
    with contextlib.suppress(OSError):  # the reader may have gone: that stops nothing
        print(f"admin {address}/admin/ {credentials.admin_user} {credentials.admin_password}")
        print(f"api {address} {credentials.app_key} {credentials.app_token}", flush=True)


def answers(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2):
            return True
    except OSError:
        return False


def workflow_beats(supervisor: Supervisor) -> bool:
    """This function will tell whether a workflow cluster has reported itself just now."""
    recent = (
        "SELECT EXISTS (SELECT FROM ops_heartbeat WHERE role = 'workflow'"
        " AND beat_at > clock_timestamp() - interval '10 s')"
    )
    try:
        with psycopg.connect(database_url(supervisor), connect_timeout=2) as connection:
            row = connection.execute(recent).fetchone()
    except psycopg.Error:
        return False
    return bool(row and row[0])


def stop(supervisor: Supervisor, server: Postgres | None) -> None:
    """This function will stop callers first, then what they call, then PostgreSQL."""
    supervisor.output.say("stopping")
    called = {role.name for role in ROLES if role.stops_late}
    roles = [child for child in supervisor.children if child.name != "postgres"]
    callers = [child for child in roles if child.name not in called]
    supervisor.stop(callers, ROLE_PATIENCE_SECONDS)
    supervisor.stop([child for child in roles if child.name in called], LATE_ROLE_PATIENCE_SECONDS)
    supervisor.leave_no_orphan(ORPHAN_PATIENCE_SECONDS)
    if server is not None and server.process is not None:
        server.stop(POSTGRES_PATIENCE_SECONDS)
    supervisor.output.say("stopped")


if __name__ == "__main__":
    sys.exit(main())
