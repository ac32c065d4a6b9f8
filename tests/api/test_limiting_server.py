"""Two workers that know nothing of each other spend one minute."""

from pathlib import Path

from django.db import connection

from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from tests.api.boundary_server import WebServer


def test_two_processes_together_let_through_exactly_the_limit(
    database_url: str, tmp_path: Path
) -> None:
    key, token = issue_app_key(
        owner_name="ERP", scopes=[*Scope], actor="user:ann", requests_per_minute=40
    )
    with connection.cursor() as cursor:  # a minute that does not end while the test runs
        cursor.execute(
            "INSERT INTO access_usedquota (app_key_id, bucket, minute, taken)"
            " VALUES (%s, 'all', statement_timestamp() + interval '1 hour', 0)",
            [key.pk],
        )
    server = WebServer(tmp_path, database_url)
    server.environment |= {"DJANGO_SETTINGS_MODULE": "oms.settings", "WEB_CONCURRENCY": "2"}
    headers = {"X-VTEX-API-AppKey": key.app_key, "X-VTEX-API-AppToken": token}
    with server.running():
        answers = [
            server.ask("GET", "/api/oms/pvt/orders/none", headers=headers) for _ in range(90)
        ]
    assert [status for status, _, _ in answers].count(404) == 40
    assert [status for status, _, _ in answers].count(429) == 50
    workers = {line["pid"] for line in server.lines() if line["logger"] == "oms.access_log"}
    assert len(workers) == 2
