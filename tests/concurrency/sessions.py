"""Threads that each hold a real connection, so that one test can keep many transactions open."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from django.db import connection, transaction

P = ParamSpec("P")
R = TypeVar("R")

# Long, because starting an interpreter takes long on a machine that is busy with other things.
PATIENCE_SECONDS = 90.0


class Session:
    """One connection, told what to do one call at a time. Django's connections belong to threads."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._atomic: transaction.Atomic | None = None

    def start(self, act: Callable[P, R], *args: P.args, **named: P.kwargs) -> "Future[R]":
        """This function will begin a call on the session's connection without waiting for it."""
        return self._thread.submit(act, *args, **named)

    def call(self, act: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
        return self.start(act, *args, **named).result(PATIENCE_SECONDS)

    @property
    def pid(self) -> int:
        """The process id of the backend that serves this session."""
        return int(self.call(query, "SELECT pg_backend_pid()")[0][0])

    def begin(self, *first: str) -> None:
        """This function will open a transaction and run the statements given."""
        self._atomic = transaction.atomic()
        self.call(self._atomic.__enter__)
        for statement in first:
            self.call(execute, statement)

    def commit(self) -> None:
        assert self._atomic is not None
        self.call(self._atomic.__exit__, None, None, None)
        self._atomic = None

    def roll_back(self) -> None:
        """This function will roll back, also when the backend has been killed."""
        assert self._atomic is not None
        given_up = RuntimeError("given up by the test")
        self.call(self._atomic.__exit__, RuntimeError, given_up, None)
        self._atomic = None

    def close(self) -> None:
        if self._atomic is not None:
            self.roll_back()
        self.call(disconnect)
        self._thread.shutdown()


def disconnect() -> None:
    """This function will close the connection of the thread it runs in, not the caller's."""
    connection.close()


def execute(sql: str, *parameters: Any) -> int:
    """This function will run a statement and return how many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return int(cursor.rowcount)


def query(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return list(cursor.fetchall())


def kill_backend(pid: int) -> None:
    """This function will end a backend as a crash would, and wait until its locks are free."""
    assert query("SELECT pg_terminate_backend(%s)", pid) == [(True,)]
    wait_for("NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = %s)", pid)


def wait_until_blocked(pid: int) -> None:
    """This function will wait until a backend waits for a lock that somebody else holds."""
    wait_for("cardinality(pg_blocking_pids(%s)) > 0", pid)


def wait_for(condition: str, *parameters: object) -> None:
    """This function will ask PostgreSQL until a condition holds."""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while not query(f"SELECT {condition}", *parameters)[0][0]:
        assert time.monotonic() < ends_at, f"never true: {condition} {parameters}"
        time.sleep(0.001)
