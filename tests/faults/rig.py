"""
The whole product as real processes on a PostgreSQL of its own, to be broken and looked at.

Nothing here is simulated: the supervisor is started as systemd would, the outside services answer
over HTTP and keep books that survive a kill, and the database can be killed, frozen or cut off.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import requests

from deploy.postgres import PORT, Postgres
from deploy.processes import children_of
from oms.orders.statuses import Flow, Status
from tests.faults.clusters import ROOT, RunningCluster
from tests.faults.evidence import REACHED_BY_ITSELF, Counts, Step, Story, count
from tests.faults.processes import processes_marked, send, wait_until
from tests.faults.proxy import Wire
from workflow.sandbox.effects import EffectBook
from workflow.sandbox.journal import Journal

RECOVERS_WITHIN = 60.0
# A commit must survive the death of every process, so it is written to the kernel at once. It need
# not survive the loss of power, so it is not forced to the disk.
DURABILITY = {"fsync": "off", "autovacuum_naptime": "5s"}


class Rig:
    """PostgreSQL and sandbox run as long as the rig; clusters and web come and go with each test."""

    def __init__(self, home: Path, settings: Mapping[str, str]) -> None:
        self.home = home
        self.mark = f"BULKHEAD_FAULT_RIG={uuid.uuid4().hex}"
        self.postgres = Postgres(home / "postgres", settings=DURABILITY)
        self.postgres.start()
        self.wire = Wire(self.postgres.socket_dir / f".s.PGSQL.{PORT}")
        self.sandbox_port = free_port()
        self.web_port = free_port()
        name, value = self.mark.split("=")
        self.environment = {
            **os.environ,
            **settings,
            name: value,
            "DATABASE_URL": self.postgres.url(),
            "SANDBOX_URL": f"http://127.0.0.1:{self.sandbox_port}",
            "LOG_LEVEL": "INFO",
            "API_REQUESTS_PER_MINUTE": "0",
        }
        self.sandbox: subprocess.Popen[bytes] | None = None
        self.clusters: list[RunningCluster] = []
        self._query: psycopg.Connection[Any] | None = None
        self.run("migrate", "--no-input", "--verbosity", "0")
        self.start_sandbox()

    def close(self) -> None:
        """This function will end everything the rig started, by its id."""
        for cluster in self.clusters:
            cluster.kill_everything()
        for pid in list(processes_marked(self.mark)):
            send(pid, signal.SIGKILL)
        if self.sandbox is not None:
            self.sandbox.wait(5)
        self.forget_connection()
        self.wire.close()
        self.thaw_postgres()
        self.postgres.remove()

    # Processes

    def run(self, *arguments: str) -> None:
        """This function will run a management command to its end."""
        command = [sys.executable, "manage.py", *arguments]
        subprocess.run(command, cwd=ROOT, env=self.environment, check=True, timeout=60)

    def start_cluster(self, **environment: str) -> RunningCluster:
        """
        This function will start a supervised workflow cluster and wait until it is complete.

        One in an environment of its own runs alone: another would do its work.
        """
        if environment:
            self.keep_one_cluster(healthy=False)
        log = self.home / f"cluster-{len(self.clusters)}.log"
        cluster = RunningCluster(
            {**self.environment, **environment}, log, special=bool(environment)
        )
        self.clusters.append(cluster)
        cluster.start()
        cluster.wait_until_complete()
        return cluster

    def one_cluster(self) -> RunningCluster:
        """This function will return the cluster that runs, or start one."""
        running = [cluster for cluster in self.clusters if cluster.supervisor]
        if not running:
            return self.start_cluster()
        running[0].wait_until_complete()
        return running[0]

    def keep_one_cluster(self, *, healthy: bool) -> None:
        """This function will end all clusters but one, and that one too unless it is healthy."""
        for cluster in self.clusters:
            others = [other for other in self.clusters if other is not cluster]
            if not healthy or cluster.special or any(other.supervisor for other in others):
                cluster.kill_everything()

    def start_web(self, **environment: str) -> subprocess.Popen[bytes]:
        """This function will start gunicorn as in production and wait until it serves."""
        with (self.home / "web.log").open("ab") as log:
            web = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "oms.wsgi"),
                    *("--config", "deploy/gunicorn.py", "--bind", f"127.0.0.1:{self.web_port}"),
                ],
                cwd=ROOT,
                env={**self.environment, **environment, "BULKHEAD_ROLE": "web"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._web_answers, seconds=30, what="the web process serves")
        return web

    def _web_answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.web_url}/healthz", timeout=5).ok
        return False

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def start_sandbox(self) -> None:
        """This function will start the outside services on the same port and books as before."""
        command = [sys.executable, "manage.py", "sandbox", "--port", str(self.sandbox_port)]
        with (self.home / "sandbox.log").open("ab") as log:
            self.sandbox = subprocess.Popen(
                [*command, "--journal", str(self.journal_path), "--seed", "1"],
                cwd=ROOT,
                env={**self.environment, "BULKHEAD_ROLE": "sandbox"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._sandbox_answers, seconds=20, what="the sandbox answers")

    def kill_sandbox(self) -> None:
        if self.sandbox is not None:
            self.sandbox.kill()
            self.sandbox.wait(5)
            self.sandbox = None

    def _sandbox_answers(self) -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{self.sandbox_url}/control/health", timeout=5).ok
        return False

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def journal_path(self) -> Path:
        return self.home / "sandbox.journal"

    def set_fault(self, mode: str, connector: str = "*", **details: Any) -> None:
        body = {"mode": mode, "connector": connector, **details}
        requests.post(
            f"{self.sandbox_url}/control/faults", json=body, timeout=5
        ).raise_for_status()

    def clear_faults(self) -> None:
        requests.delete(f"{self.sandbox_url}/control/faults", timeout=5).raise_for_status()

    # PostgreSQL

    def url_over_wire(self) -> str:
        return f"postgresql://bulkhead@127.0.0.1:{self.wire.port}/bulkhead"

    def freeze_postgres(self) -> None:
        """This function will stop every process of the server where it stands."""
        for pid in self._server_processes():
            send(pid, signal.SIGSTOP)

    def thaw_postgres(self) -> None:
        for pid in self._server_processes():
            send(pid, signal.SIGCONT)

    def backends(self, application: str = "bulkhead-workflow") -> list[int]:
        """This function will list the server processes that work for one role."""
        rows = self.query(
            "SELECT pid FROM pg_stat_activity WHERE application_name = %s", application
        )
        return [pid for (pid,) in rows]

    def _server_processes(self) -> list[int]:
        pid = self.postgres.pid
        return [] if pid is None else [pid, *children_of(pid)]

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """This function will ask PostgreSQL directly, on a connection of its own."""
        if self._query is None or self._query.closed:
            self._query = psycopg.connect(self.postgres.url(user="postgres"), autocommit=True)
        try:
            cursor = self._query.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []
        except psycopg.OperationalError:
            self.forget_connection()
            raise

    def answers(self) -> bool:
        """This function will tell whether PostgreSQL answers now."""
        with contextlib.suppress(psycopg.OperationalError):
            return bool(self.query("SELECT 1"))
        return False

    def forget_connection(self) -> None:
        if self._query is not None:
            with contextlib.suppress(psycopg.Error):
                self._query.close()
            self._query = None

    def forget_work(self) -> None:
        """This function will leave the next test no work of this one."""
        for table in ("workflow_workitem", "django_q_ormq", "workflow_connectorstate"):
            wait_until(partial(self._emptied, table), seconds=20, what=f"{table} is empty")

    def _emptied(self, table: str) -> bool:
        # Workers that go on lock rows in another order than this: one of us gives way.
        with contextlib.suppress(psycopg.errors.DeadlockDetected):
            self.query(f"DELETE FROM {table}")
            return True
        return False

    # What became of the orders

    def statuses(self, order_ids: Sequence[str]) -> Counter[tuple[str, str]]:
        rows = self.query(
            "SELECT flow, status, count(*) FROM orders_order WHERE order_id = ANY(%s)"
            " GROUP BY 1, 2",
            list(order_ids),
        )
        return Counter({(flow, status): number for flow, status, number in rows})

    def have_arrived(
        self, order_ids: Sequence[str], expected: Mapping[Flow, Status] = REACHED_BY_ITSELF
    ) -> bool:
        found = self.statuses(order_ids)
        arrived = sum(n for (flow, status), n in found.items() if expected[Flow(flow)] == status)
        return arrived == len(order_ids)

    def wait_for_arrival(
        self,
        order_ids: Sequence[str],
        *,
        since: float,
        expected: Mapping[Flow, Status] = REACHED_BY_ITSELF,
    ) -> float:
        """
        This function will wait until all orders are where they must come to by themselves.

        Returns the seconds since the monotonic time `since`; fails after `RECOVERS_WITHIN`.
        """
        left = RECOVERS_WITHIN - (time.monotonic() - since)
        try:
            wait_until(
                lambda: self.have_arrived(order_ids, expected), seconds=left, what="all arrived"
            )
        except AssertionError:
            raise AssertionError(f"{self.statuses(order_ids)}\n{self.open_work()}") from None
        return time.monotonic() - since

    def open_work(self) -> str:
        """This function will describe the work that is left, for a failure's message."""
        rows = self.query(
            "SELECT step, attempts, leased_by, leased_until - now(), next_attempt_at - now(),"
            " announced_at - now(), last_error, cause, count(*) FROM workflow_workitem"
            " WHERE next_attempt_at < now() + interval '10 minutes'"
            " GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 LIMIT 20"
        )
        states = self.query("SELECT * FROM workflow_connectorstate")
        queued = self.query("SELECT key, lock - now() FROM django_q_ormq LIMIT 20")
        return "\n".join(map(str, [*rows, *states, *queued]))

    def stories(self, order_ids: Iterable[str] | None = None) -> dict[str, Story]:
        """This function will read orders with their timelines; None: all there are."""
        wanted = None if order_ids is None else list(order_ids)
        # One statement, one snapshot: orders may be moving while they are looked at.
        rows = self.query(
            "SELECT o.order_id, o.flow, o.status, o.version, e.seq, e.kind, e.last_status, e.status"
            " FROM orders_order o LEFT JOIN orders_orderevent e ON e.order_id = o.id"
            " WHERE %s::text[] IS NULL OR o.order_id = ANY(%s::text[]) ORDER BY o.id, e.seq",
            wanted,
            wanted,
        )
        stories: dict[str, Story] = {}
        for order_id, flow, status, version, *step in rows:
            known = stories.get(order_id)
            steps = (*(known.steps if known else ()), *([Step(*step)] if step[0] else ()))
            stories[order_id] = Story(order_id, Flow(flow), Status(status), version, steps)
        return stories

    def effects(self) -> dict[str, Counter[str]]:
        """This function will count the effects per order, from the books as the sandbox keeps them."""
        book = EffectBook(Journal(None))
        orders: dict[str, Counter[str]] = {}
        seen = set()
        for entry in Journal(self.journal_path).entries():
            book.apply(entry)
            if entry["kind"] == "execution":
                seen.add(entry["orderId"])
        for order_id in seen:
            orders[order_id] = Counter(
                past.operation for past in book.of_order(order_id) if past.is_effective
            )
        return orders

    def effects_of(self, order_id: str) -> Counter[str]:
        return self.effects().get(order_id, Counter())

    def doubled_effects(self) -> list[Any]:
        """This function will ask the sandbox which effects happened under more than one key."""
        answer = requests.get(f"{self.sandbox_url}/control/effects", timeout=10)
        answer.raise_for_status()
        doubled: list[Any] = answer.json()["doubled"]
        return doubled

    def count(
        self, *, attempted: Iterable[str], acknowledged: Iterable[str], only: Iterable[str] | None
    ) -> Counts:
        """This function will count what happened to orders; `only` None looks at all there are."""
        return count(
            attempted=attempted,
            acknowledged=acknowledged,
            stories=self.stories(only),
            effects=self.effects(),
        )

    def check_ledger(self) -> None:
        """
        This function will assert that events have positions, 1, 2, 3 without gap.

        Those that orders on the move have added since the ledger was numbered wait for theirs.
        """
        rows = self.query(
            "SELECT (SELECT count(*) FROM orders_orderevent), count(*),"
            " coalesce(max(position), 0), coalesce(min(position), 1),"
            " (SELECT count(*) FROM orders_unnumberedevent) FROM orders_ledgerentry"
        )
        events, entries, last, first, left = rows[0]
        assert (entries + left, last, first) == (events, entries, 1)

    # Work done

    def work_done_after(self, moment: Any) -> bool:
        """This function will tell whether the workflow moved any order after a moment of PostgreSQL's."""
        return bool(
            self.query(
                "SELECT 1 FROM orders_orderevent WHERE actor = 'role:workflow'"
                " AND occurred_at > %s LIMIT 1",
                moment,
            )
        )

    def now(self) -> Any:
        return self.query("SELECT clock_timestamp()")[0][0]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def leased_workers(rig: Rig) -> list[int]:
    """This function will list the worker processes that hold a lease: busy with a call."""
    rows = rig.query(
        "SELECT DISTINCT leased_by FROM workflow_workitem WHERE leased_until > clock_timestamp()"
    )
    return [int(name.rpartition(":")[2]) for (name,) in rows]


def workers_calling(rig: Rig, connector: str) -> list[int]:
    """This function will list the worker processes that hold leases of one service."""
    rows = rig.query(
        "SELECT DISTINCT leased_by FROM workflow_workitem"
        " WHERE leased_until > clock_timestamp() AND connector = %s",
        connector,
    )
    return [int(name.rpartition(":")[2]) for (name,) in rows]


def moments(seconds: float, every: float = 0.05) -> Iterator[float]:
    """This function will yield until a time is over."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        yield ends_at - time.monotonic()
        time.sleep(every)
