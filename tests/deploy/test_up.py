"""`make up` from outside: what a person or a script sees, and what is left afterwards."""

import json
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.postgres import Postgres
from tests.whole_system import STOP_SECONDS, WholeSystem

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.fixture
def up(tmp_path: Path) -> Iterator[WholeSystem]:
    made = WholeSystem(tmp_path)
    yield made
    made.stop_if_started()


@pytest.mark.timeout(300)
def test_it_comes_up_stops_within_15_s_and_comes_up_again_with_the_same_data(
    up: WholeSystem,
) -> None:
    admin, api = up.start()
    address = f"http://127.0.0.1:{up.port}"
    assert admin.split()[:2] == ["admin", f"{address}/admin/"]
    assert len(admin.split()) == 4
    assert api.split()[:2] == ["api", address]
    assert len(api.split()) == 4
    assert up.status("/healthz") == 200
    assert up.status("/admin/login/") == 200
    assert len(up.processes()) > 10

    assert up.stop(signal.SIGTERM) < STOP_SECONDS
    assert up.processes() == []
    secrets = [up.data_dir / "secret_key", *up.data_dir.glob("credentials-*.json")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert len(secrets) == 2
    token = json.loads(secrets[1].read_text())["app_token"]
    assert token not in up.log.read_text()

    assert up.start() == [admin, api]
    assert up.stop(signal.SIGINT) < STOP_SECONDS
    assert up.processes() == []


@pytest.mark.timeout(300)
def test_nothing_is_left_when_make_itself_is_killed(up: WholeSystem) -> None:
    up.start()
    assert up.stop(signal.SIGKILL) < STOP_SECONDS
    assert up.processes() == []


@pytest.mark.timeout(300)
def test_a_killed_postgresql_comes_back_and_so_does_the_web_role(up: WholeSystem) -> None:
    up.start()
    assert up.status("/healthz") == 200
    server = Postgres(up.data_dir / "postgres")
    first = server.pid
    server.kill()
    deadline = time.monotonic() + 60
    while not (server.pid not in {first, None} and up.status("/healthz") == 200):
        assert time.monotonic() < deadline, up.log.read_text()
        time.sleep(0.2)
    assert up.stop() < STOP_SECONDS
    assert up.processes() == []


def test_a_taken_port_is_said_before_anything_starts(up: WholeSystem) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", up.port))
        taken.listen()
        assert up.open().wait(60) != 0
    assert f"port {up.port} is taken. Another one: PORT=8001 make up" in up.log.read_text()
    assert not (up.data_dir / "postgres").exists()
