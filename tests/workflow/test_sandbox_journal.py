"""The sandbox's memory outlives a kill."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.workflow.sandboxes import ThreadedSandbox
from workflow.sandbox.journal import Journal
from workflow.sandbox.server import SandboxOptions

ROOT = Path(__file__).resolve().parents[2]
BODY = {"orderId": "A-1", "value": 1, "currency": "BRL", "payments": []}


def start(journal: Path) -> tuple[subprocess.Popen[str], str]:
    """Runs the management command itself; its first line says where it listens."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sandbox", "--port", "0", "--journal", str(journal)],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "oms.settings"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().split()[1]


def end(process: subprocess.Popen[str], how: signal.Signals) -> int:
    process.send_signal(how)
    process.communicate(timeout=5)
    return process.returncode


def analyze(url: str, order_id: str) -> requests.Response:
    return requests.post(
        f"{url}/antifraud/analyses",
        json={**BODY, "orderId": order_id},
        headers={"Idempotency-Key": f"{order_id}:analysis"},
        timeout=5,
    )


def test_books_answers_outcomes_and_parcels_survive_a_kill(tmp_path: Path) -> None:
    journal = tmp_path / "books" / "journal.ndjson"
    process, url = start(journal)
    outcome = {"orderId": "A-2", "operation": "analysis", "result": "denied"}
    requests.post(f"{url}/control/outcomes", json=outcome, timeout=5).raise_for_status()
    answer = analyze(url, "A-1").json()
    analyze(url, "A-1")
    parcel = requests.get(f"{url}/carrier/trackings/BK1", timeout=5).json()["events"][0]
    before = requests.get(f"{url}/control/effects?orderId=A-1", timeout=5).json()
    end(process, signal.SIGKILL)

    process, url = start(journal)
    try:
        after = requests.get(f"{url}/control/effects?orderId=A-1", timeout=5).json()
        assert after["effects"] == before["effects"]
        assert after["operations"]["analysis"] == before["operations"]["analysis"]
        assert analyze(url, "A-1").json() == answer
        assert analyze(url, "A-2").json()["result"] == "denied"
        tracking = requests.get(f"{url}/carrier/trackings/BK1", timeout=5).json()
        assert tracking["events"][0] == parcel
    finally:
        assert end(process, signal.SIGTERM) == 0


def test_it_stops_at_once_while_calls_hang(tmp_path: Path) -> None:
    process, url = start(tmp_path / "journal")
    fault = {"mode": "hang"}
    requests.post(f"{url}/control/faults", json=fault, timeout=5).raise_for_status()
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{url}/carrier/trackings/BK1", timeout=0.3)
    with ThreadPoolExecutor() as callers:
        hanging = callers.submit(analyze, url, "A-1")
        time.sleep(0.3)
        assert end(process, signal.SIGTERM) == 0
        assert isinstance(hanging.exception(timeout=5), requests.ConnectionError)


@pytest.mark.parametrize("torn", [b'{"kind": "exec', b"x" * 100_000])
def test_a_torn_last_line_is_cut_off_and_writing_goes_on(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.append({"kind": "call", "operation": "void", "as": "replays"})
    journal.close()
    path.write_bytes(path.read_bytes() + torn)

    journal = Journal(path)
    journal.append({"kind": "call", "operation": "void", "as": "faults"})
    assert [entry["as"] for entry in journal.entries()] == ["replays", "faults"]
    journal.close()


def test_a_journal_that_is_one_torn_line_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b'{"kind"')
    journal = Journal(path)
    assert list(journal.entries()) == []
    journal.close()


def test_a_used_up_outcome_stays_used_up_after_a_restart(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with ThreadedSandbox(SandboxOptions(port=0, journal=journal)) as running:
        running.force_outcome("A-1", "analysis", "denied", times=1)
        assert analyze(running.url, "A-1").json()["result"] == "denied"
    with ThreadedSandbox(SandboxOptions(port=0, journal=journal)) as running:
        again = {**BODY, "orderId": "A-1"}
        answer = requests.post(
            f"{running.url}/antifraud/analyses",
            json=again,
            headers={"Idempotency-Key": "another"},
            timeout=5,
        )
        assert answer.json()["result"] == "approved"
