"""`make up` from outside: what a person or a script sees, and what is left afterwards."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.processes import PROC

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 90.0
STOP_SECONDS = 15.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


class Up:
    """One `make up` with an empty demo-less installation in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.said = folder / "stdout"
        self.log = folder / "stderr"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> list[str]:
        """This function will start it and answer the two lines it prints when ready."""
        self.process = self.open()
        deadline = time.monotonic() + READY_SECONDS
        while (said := self.said.read_text()).count("\n") < 2:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)
        return said.splitlines()

    def open(self) -> "subprocess.Popen[bytes]":
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in {"DATABASE_URL", "SECRET_KEY", "BULKHEAD_ROLE", "LOG_LEVEL"}
        }
        asked = {"PORT": str(self.port), "DATA_DIR": str(self.data_dir), "DEMO": "0"}
        with self.said.open("wb") as said, self.log.open("ab") as log:
            return subprocess.Popen(
                ["make", "up", f"PYTHON={sys.executable}"],
                cwd=ROOT,
                env=inherited | asked,
                stdout=said,
                stderr=log,
                start_new_session=True,
            )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """This function will stop it and answer the seconds until no process was left."""
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(STOP_SECONDS + 5)
        while self.processes() and time.monotonic() < started + STOP_SECONDS + 5:
            time.sleep(0.05)
        return time.monotonic() - started

    def processes(self) -> list[str]:
        """This function will list the command lines of all processes that belong to this run."""
        marks = (f"DATA_DIR={self.data_dir}".encode(), str(self.data_dir).encode())
        found = []
        for entry in PROC.iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                command = (entry / "cmdline").read_bytes()
                if marks[0] in (entry / "environ").read_bytes() or marks[1] in command:
                    found.append(command.replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            refused.close()
            return refused.code


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    made = Up(tmp_path)
    yield made
    if made.process is not None:
        made.stop()


@pytest.mark.timeout(300)
def test_it_comes_up_stops_within_15_s_and_comes_up_again_with_the_same_data(up: Up) -> None:
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
def test_nothing_is_left_when_make_itself_is_killed(up: Up) -> None:
    up.start()
    assert up.stop(signal.SIGKILL) < STOP_SECONDS
    assert up.processes() == []


def test_a_taken_port_is_said_before_anything_starts(up: Up) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", up.port))
        taken.listen()
        assert up.open().wait(60) != 0
    assert f"port {up.port} is taken. Another one: PORT=8001 make up" in up.log.read_text()
    assert not (up.data_dir / "postgres").exists()
