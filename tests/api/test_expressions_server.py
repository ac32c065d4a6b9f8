"""Expressions through gunicorn: its workers go on whatever an expression does, and leave nothing."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from tests.api.boundary_server import WebServer
from tests.feeds.test_evaluator import DOUBLED_LISTS, DOUBLED_TEXT

# A machine with much else to do takes seconds to start an evaluator, and each of eight needs one.
PATIENCE_SECONDS = 120.0


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> WebServer:
    """This fixture will prepare a server of the project's own routes; the test runs it."""
    server = WebServer(tmp_path, database_url)
    server.environment["DJANGO_SETTINGS_MODULE"] = "oms.settings"
    return server


def evaluators() -> set[int]:
    """This function will find the evaluators that run on this machine from this folder."""
    here = os.getcwd()
    return {
        pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_one(pid, here)
    }


def _is_one(pid: int, folder: str) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as told:
            command = told.read()
        return b"feeds.evaluator" in command and os.readlink(f"/proc/{pid}/cwd") == folder
    except OSError:
        return False


def test_hostile_expressions_hold_up_no_worker_and_leave_no_process(server: WebServer) -> None:
    key, token = issue_app_key(owner_name="ERP", scopes=[*Scope], actor="user:ann")
    headers = {"X-VTEX-API-AppKey": key.app_key, "X-VTEX-API-AppToken": token}
    before = evaluators()

    def ask(expression: str) -> tuple[int, Any]:
        body = orjson.dumps({"Expression": expression, "Document": '{"status":"canceled"}'})
        ends_at = time.monotonic() + PATIENCE_SECONDS
        # Many at once are asked to come again: they are tried one after the other.
        while True:
            status, _, answer = server.ask(
                "POST", "/api/orders/expressions/jsonata", body, headers
            )
            if status != 503 or time.monotonic() > ends_at:
                return status, answer
            time.sleep(0.05)

    with server.running(), ThreadPoolExecutor(6) as threads:
        asked = [DOUBLED_LISTS, 'status = "canceled"', DOUBLED_TEXT, "status = "] * 3
        answers = list(threads.map(ask, asked))
        assert [status for status, _ in answers] == [400, 200, 400, 400] * 3
        assert [answer for status, answer in answers if status == 200] == [True] * 3
        # Whatever the last of them did to its evaluator: the next one has one.
        assert ask('status = "canceled"') == (200, True)
        assert evaluators() - before
    ends_at = time.monotonic() + 20
    while evaluators() - before:
        assert time.monotonic() < ends_at
        time.sleep(0.05)
