"""The real server with the boundary's test routes: gunicorn, its real settings, a real socket."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

START_SECONDS = 30


class WebServer:
    """One gunicorn on a port of its own; its log goes to a file, so it is JSON."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.log = folder / "web.log"
        self.port = _free_port()
        self.environment = {
            **os.environ,
            "BULKHEAD_ROLE": "web",
            "DATABASE_URL": database_url,
            "DJANGO_SETTINGS_MODULE": "tests.api.boundary_settings",
            "LOG_LEVEL": "INFO",
            "WEB_BIND": f"127.0.0.1:{self.port}",
            "WEB_CONCURRENCY": "1",
        }

    @contextlib.contextmanager
    def running(self) -> Iterator["WebServer"]:
        command = [sys.executable, "-m", "gunicorn", "oms.wsgi", "--config", "deploy/gunicorn.py"]
        with self.log.open("wb") as log:
            process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        try:
            self._wait_until_it_answers(process)
            yield self
        finally:
            process.terminate()
            process.wait(20)

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """This function will answer status, headers and the parsed JSON of one request."""
        with contextlib.closing(self.connection()) as connection:
            return ask(connection, method, path, body, headers)

    def raw(self, request: bytes) -> bytes:
        """This function will send bytes as they are and answer all that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as conversation:
            conversation.sendall(request)
            conversation.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: conversation.recv(65536), b""))

    def lines(self) -> list[dict[str, Any]]:
        # Not splitlines: it also breaks at signs that JSON need not escape.
        return [json.loads(line) for line in self.log.read_text().split("\n") if line]

    def _wait_until_it_answers(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert process.poll() is None, self.log.read_text()
            with contextlib.suppress(OSError):
                if self.ask("GET", "/livez")[0] == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"gunicorn did not answer: {self.log.read_text()}")


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], Any]:
    given = headers or {}
    chunked = "Transfer-Encoding" in given
    connection.request(method, path, body, given, encode_chunked=chunked)
    answer = connection.getresponse()
    content = answer.read()
    return answer.status, dict(answer.getheaders()), json.loads(content) if content else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
