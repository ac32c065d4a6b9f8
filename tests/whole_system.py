"""The whole system as `make up` runs it, in a folder and on a port of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from deploy.processes import PROC

ROOT = Path(__file__).resolve().parents[1]
READY_SECONDS = 90.0
STOP_SECONDS = 15.0


class WholeSystem:
    """One `make up` with an empty demo-less installation; more settings by keyword."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = environment
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
            # Under `make test` a make of our own would take itself for a part of that one.
            if name not in {"DATABASE_URL", "SECRET_KEY", "BULKHEAD_ROLE", "LOG_LEVEL"}
            and name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
        }
        asked = {"PORT": str(self.port), "DATA_DIR": str(self.data_dir), "DEMO": "0"}
        with self.said.open("wb") as said, self.log.open("ab") as log:
            return subprocess.Popen(
                ["make", "up", f"PYTHON={sys.executable}"],
                cwd=ROOT,
                env=inherited | asked | self.environment,
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

    def stop_if_started(self) -> None:
        if self.process is not None:
            self.stop()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_headers(self) -> dict[str, str]:
        """The headers of the app key that the last line of the start named."""
        key, token = self.said.read_text().splitlines()[1].split()[2:]
        return {"X-VTEX-API-AppKey": key, "X-VTEX-API-AppToken": token}

    @property
    def command_environment(self) -> dict[str, str]:
        """The environment of the running roles, for a management command beside them."""
        mark = f"DATA_DIR={self.data_dir}"
        for entry in PROC.iterdir():
            if entry.name.isdigit():
                try:
                    variables = (entry / "environ").read_bytes().decode().split("\0")
                except OSError:
                    continue
                if mark in variables and "BULKHEAD_ROLE=workflow" in variables:
                    found = dict(variable.split("=", 1) for variable in variables if variable)
                    return found | {"BULKHEAD_ROLE": "command"}
        raise AssertionError("The workflow role is not running.")

    @property
    def database_url(self) -> str:
        return self.command_environment["DATABASE_URL"]

    @property
    def sandbox_address(self) -> str:
        return self.command_environment["SANDBOX_URL"]
