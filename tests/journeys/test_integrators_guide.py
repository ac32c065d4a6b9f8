"""docs/integrators.md, run: what it tells others to type does what it says."""

import base64
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests

from feeds.hooks.signing import key_of, new_secret, signed_headers
from feeds.models import QueueItem, Subscription
from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from oms.orders.models import Order, OrderEvent
from oms.orders.statuses import Status
from tests.api.boundary_server import WebServer
from tests.api.purchases import purchase
from tests.feeds.feeding import end_leases
from tests.journeys.guide import calling, snippet, snippets
from tests.whole_system import WholeSystem
from tests.workflow.stories import move_to, place_in

FIRST = "The first event in ten minutes"
PATIENCE_SECONDS = 60.0
LINES_OF_THE_CONSUMER = 40


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """This fixture will serve the API and give what the guide has its reader export."""
    server = WebServer(tmp_path, database_url)
    server.environment["DJANGO_SETTINGS_MODULE"] = "oms.settings"
    scopes = [Scope.FEED_HOOK_ADMIN, Scope.OMS_VIEWER]
    key, token = issue_app_key(owner_name="ERP", scopes=scopes, actor="user:ann")
    with server.running():
        yield {
            "PATH": os.environ["PATH"],
            "BULKHEAD": f"http://127.0.0.1:{server.port}",
            "APP_KEY": key.app_key,
            "APP_TOKEN": token,
        }


@contextlib.contextmanager
def running(
    command: list[str], environment: dict[str, str], folder: Path
) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(is_so: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def said_after_an_order(command: list[str], environment: dict[str, str], folder: Path) -> str:
    """This function will run a snippet, give it an order once it has its feed, and return its words."""
    with running(command, environment, folder) as process:
        wait_until(Subscription.objects.filter(is_active=True).exists, process)
        place_in(Status.HANDLING)
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    return said


# From nothing to the first committed event


@pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("bash")), reason="no curl or bash on this machine"
)
def test_the_shell_reads_and_commits_its_first_event(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = ["bash", "-euo", "pipefail", "-c", snippet(FIRST, "sh")]
    said = said_after_an_order(command, environment, tmp_path).splitlines()
    assert said[-1] == '{"committed":1,"alreadyCommitted":0,"notCommitted":0}'
    assert orjson.loads(said[-2])[0]["state"] == "payment-approved"
    assert QueueItem.objects.filter(outcome="committed").count() == 1


def test_python_reads_and_commits_its_first_event(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", snippet(FIRST, "python")]
    said = said_after_an_order(command, environment, tmp_path).splitlines()
    assert said[-1] == "{'committed': 1, 'alreadyCommitted': 0, 'notCommitted': 0}"
    assert said[-2].endswith("approve-payment -> payment-approved 1000")


def kept(folder: Path) -> dict[str, int]:
    """This function will return the version of each order that the consumer has."""
    with contextlib.closing(sqlite3.connect(folder / "orders.db")) as database:
        try:
            return dict(database.execute("SELECT id, version FROM orders"))
        except sqlite3.OperationalError:  # not made yet, or being written at this moment
            return {}


def true_versions() -> dict[str, int]:
    return dict(Order.objects.values_list("order_id", "version"))


def test_the_consumer_has_forty_lines_and_keeps_every_order_through_a_kill(
    environment: dict[str, str], tmp_path: Path
) -> None:
    text = snippet("A whole consumer", "python")
    assert len([line for line in text.splitlines() if line]) <= LINES_OF_THE_CONSUMER
    command = [sys.executable, "-c", text]
    with running(command, environment, tmp_path) as process:
        wait_until(Subscription.objects.filter(is_active=True).exists, process)
        orders = [place_in(Status.PAYMENT_PENDING) for _ in range(25)]
        wait_until(lambda: len(kept(tmp_path)) > 5, process)
        process.send_signal(signal.SIGKILL)
    for order_id in orders:
        move_to(order_id, Status.HANDLING)
    end_leases(Subscription.objects.get())
    with running(command, environment, tmp_path) as process:
        wait_until(lambda: kept(tmp_path) == true_versions(), process)
        wait_until(lambda: not QueueItem.objects.filter(outcome="").exists(), process)
    moved = sum(event.status != event.last_status for event in OrderEvent.objects.all())
    assert QueueItem.objects.filter(outcome="committed").count() == moved


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_the_consumer_keeps_what_the_whole_system_does(tmp_path: Path) -> None:
    """Against `make up`: placed over HTTP, paid and released by the workflow, read by the guide."""
    system = WholeSystem(tmp_path / "system", WINDOW_TO_CANCEL_SECONDS="1", LOG_LEVEL="WARNING")
    system.folder.mkdir()
    try:
        system.start()
        headers = system.api_headers
        environment = {
            "PATH": os.environ["PATH"],
            "BULKHEAD": system.address,
            "APP_KEY": headers["X-VTEX-API-AppKey"],
            "APP_TOKEN": headers["X-VTEX-API-AppToken"],
        }
        command = [sys.executable, "-c", snippet("A whole consumer", "python")]
        with running(command, environment, tmp_path) as process:
            wait_until(lambda: configured(system), process)
            answer = requests.post(
                f"{system.address}/api/fulfillment/pvt/orders?affiliateId=STO&sc=1",
                json=[purchase() for _ in range(10)],
                headers=headers,
                timeout=30,
            )
            placed = {result["orderId"] for result in answer.json()}
            wait_until(lambda: statuses_kept(tmp_path) == dict.fromkeys(placed, READY), process)
    finally:
        system.stop_if_started()


READY = "ready-for-handling"


def configured(system: WholeSystem) -> bool:
    config = f"{system.address}/api/orders/feed/config"
    return requests.get(config, headers=system.api_headers, timeout=30).status_code == 200


def statuses_kept(folder: Path) -> dict[str, str]:
    with contextlib.closing(sqlite3.connect(folder / "orders.db")) as database:
        try:
            rows = database.execute("SELECT id, document FROM orders").fetchall()
        except sqlite3.OperationalError:
            return {}
    return {order_id: orjson.loads(document)["status"] for order_id, document in rows}


# The ledger and reconciliation


def test_the_whole_ledger_is_read_and_proven(environment: dict[str, str], tmp_path: Path) -> None:
    for _ in range(3):
        place_in(Status.HANDLING)
    text = calling() + snippet("Proof that you have everything", "python") + "print(len(events))"
    said = subprocess.run(
        [sys.executable, "-c", text],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(said.stdout) == OrderEvent.objects.count() > 0


# Signatures in five languages

SECRET = new_secret()
BODY = '{"Domain":"Marketplace","OrderId":"v1-01","State":"handling","Name":"Zoë"}'.encode()


def headers_of(
    body: bytes = BODY, age_seconds: int = 0, secrets: tuple[str, ...] = (SECRET,)
) -> dict[str, str]:
    return signed_headers(
        webhook_id="8F0C",
        timestamp=int(time.time()) - age_seconds,
        body=body,
        keys=[key_of(secret) for secret in secrets],
    )


def assert_tells_genuine_from_forged(
    is_genuine: Callable[[str, dict[str, str], bytes], bool],
) -> None:
    assert is_genuine(SECRET, headers_of(), BODY)
    assert is_genuine(SECRET, headers_of(secrets=(new_secret(), SECRET)), BODY)
    assert not is_genuine(SECRET, headers_of(), BODY + b" ")
    assert not is_genuine(new_secret(), headers_of(), BODY)
    assert not is_genuine(SECRET, headers_of(age_seconds=400), BODY)
    assert not is_genuine(SECRET, headers_of(age_seconds=-400), BODY)
    assert not is_genuine(SECRET, headers_of() | {"webhook-id": "8F0D"}, BODY)


def signature_snippet(language: str) -> str:
    return snippet("Checking a signature", language)


def program(command: list[str], folder: Path) -> Callable[[str, dict[str, str], bytes], bool]:
    """This function will make a checker of a program that reads its case from the environment."""

    def is_genuine(secret: str, headers: dict[str, str], body: bytes) -> bool:
        case = {
            "SECRET": secret,
            "ID": headers["webhook-id"],
            "AT": headers["webhook-timestamp"],
            "SIGNATURES": headers["webhook-signature"],
            "BODY": base64.b64encode(body).decode(),
        }
        said = subprocess.run(
            command, env=os.environ | case, cwd=folder, capture_output=True, text=True, check=True
        )
        return {"true": True, "false": False}[said.stdout.strip()]

    return is_genuine


def without(*programs: str) -> bool:
    return not all(shutil.which(name) for name in programs)


def test_a_signature_is_checked_in_python() -> None:
    names: dict[str, Any] = {}
    exec(signature_snippet("python"), names)
    assert_tells_genuine_from_forged(names["is_genuine"])


@pytest.mark.skipif(without("node"), reason="no Node on this machine")
def test_a_signature_is_checked_in_javascript(tmp_path: Path) -> None:
    (tmp_path / "signature.mjs").write_text(signature_snippet("javascript"))
    (tmp_path / "main.mjs").write_text(
        'import { isGenuine } from "./signature.mjs";\n'
        "const { SECRET, ID, AT, SIGNATURES, BODY } = process.env;\n"
        'const headers = { "webhook-id": ID, "webhook-timestamp": AT,'
        ' "webhook-signature": SIGNATURES };\n'
        'console.log(isGenuine(SECRET, headers, Buffer.from(BODY, "base64")));\n'
    )
    assert_tells_genuine_from_forged(program(["node", "main.mjs"], tmp_path))


@pytest.mark.skipif(without("php"), reason="no PHP on this machine")
def test_a_signature_is_checked_in_php(tmp_path: Path) -> None:
    (tmp_path / "main.php").write_text(
        signature_snippet("php")
        + "$headers = ['webhook-id' => getenv('ID'), 'webhook-timestamp' => getenv('AT'),\n"
        "    'webhook-signature' => getenv('SIGNATURES')];\n"
        "var_export(is_genuine(getenv('SECRET'), $headers, base64_decode(getenv('BODY'))));\n"
    )
    assert_tells_genuine_from_forged(program(["php", "main.php"], tmp_path))


@pytest.mark.skipif(without("java", "javac"), reason="no JDK on this machine")
def test_a_signature_is_checked_in_java(tmp_path: Path) -> None:
    (tmp_path / "HookSignature.java").write_text(signature_snippet("java"))
    (tmp_path / "Main.java").write_text(
        "import java.util.*;\n"
        "class Main { public static void main(String[] given) throws Exception {\n"
        "Map<String, String> env = System.getenv();\n"
        'Map<String, String> headers = Map.of("webhook-id", env.get("ID"), "webhook-timestamp",'
        ' env.get("AT"), "webhook-signature", env.get("SIGNATURES"));\n'
        'byte[] body = Base64.getDecoder().decode(env.get("BODY"));\n'
        'System.out.println(HookSignature.isGenuine(env.get("SECRET"), headers, body)); } }\n'
    )
    subprocess.run(["javac", "HookSignature.java", "Main.java"], cwd=tmp_path, check=True)
    assert_tells_genuine_from_forged(program(["java", "-cp", ".", "Main"], tmp_path))


@pytest.mark.skipif(without("go"), reason="no Go on this machine")
def test_a_signature_is_checked_in_go(tmp_path: Path) -> None:
    (tmp_path / "signature.go").write_text(signature_snippet("go"))
    (tmp_path / "main.go").write_text(
        'package main\nimport ("encoding/base64"; "fmt"; "net/http"; "os")\n'
        "func main() {\n"
        "headers := http.Header{}\n"
        'headers.Set("webhook-id", os.Getenv("ID"))\n'
        'headers.Set("webhook-timestamp", os.Getenv("AT"))\n'
        'headers.Set("webhook-signature", os.Getenv("SIGNATURES"))\n'
        'body, _ := base64.StdEncoding.DecodeString(os.Getenv("BODY"))\n'
        'fmt.Println(IsGenuine(os.Getenv("SECRET"), headers, body))\n}\n'
    )
    build = ["go", "build", "-o", "check", "main.go", "signature.go"]
    subprocess.run(build, cwd=tmp_path, check=True)
    assert_tells_genuine_from_forged(program(["./check"], tmp_path))


def test_every_snippet_is_run_or_only_shown() -> None:
    run = {"sh", "python", "javascript", "php", "java", "go"}
    assert {s.language for s in snippets()} == run | {"console", "json"}
    languages = [s.language for s in snippets() if s.heading == "Checking a signature"]
    assert sorted(languages) == ["go", "java", "javascript", "php", "python"]
