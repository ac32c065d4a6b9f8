"""Whatever fits the API's own description, and much that does not, is answered without a 500."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from oms.orders.models import Affiliate
from oms.orders.statuses import Flow, Status
from tests.api.boundary_server import WebServer
from tests.workflow.stories import place_in

pytestmark = pytest.mark.heavy

EXAMPLES, ALL_EXAMPLES = 3, 60
SECONDS, ALL_SECONDS = 240, 1_800


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[WebServer]:
    server = WebServer(tmp_path, database_url)
    server.environment |= {
        "DJANGO_SETTINGS_MODULE": "oms.settings",
        "API_REQUESTS_PER_MINUTE": "0",
        "LIST_POLLER_REQUESTS_PER_MINUTE": "0",
    }
    with server.running():
        yield server


@pytest.mark.timeout(ALL_SECONDS + 60)
@pytest.mark.parametrize("of_a_real_order", [True, False])
def test_no_operation_fails_on_what_its_description_allows_or_forbids(
    server: WebServer, full_size: bool, tmp_path: Path, of_a_real_order: bool
) -> None:
    Affiliate.objects.create(affiliate_id="MKT", name="Marketplace", flow=Flow.FULFILLMENT)
    order_id = place_in(Status.READY_FOR_HANDLING)
    if of_a_real_order:
        known = f'[parameters]\n"path.order_id" = "{order_id}"\naffiliateId = "MKT"\n'
        (tmp_path / "schemathesis.toml").write_text(known)
    key, token = issue_app_key(owner_name="ERP", scopes=[*Scope], actor="user:ann")
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"http://127.0.0.1:{server.port}/api/schema",
        "--checks=not_a_server_error",
        f"--max-examples={ALL_EXAMPLES if full_size else EXAMPLES}",
        "--phases=examples,coverage,fuzzing",
        "--mode=all",
        "--seed=20261116",
        "--generation-database=none",
        "--no-color",
        f"--header=X-VTEX-API-AppKey: {key.app_key}",
        f"--header=X-VTEX-API-AppToken: {token}",
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=ALL_SECONDS if full_size else SECONDS,
        check=False,
    )
    failed = [line for line in server.lines() if line.get("status", 0) == 500]
    assert failed == [], json.dumps(failed[:5])
    assert done.returncode == 0, done.stdout[-4_000:]
    print(done.stdout[-1_500:])
