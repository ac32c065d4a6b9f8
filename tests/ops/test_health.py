"""What happens when PostgreSQL is away is in tests/api/test_boundary_server.py."""

import pytest
from django.test import Client


@pytest.mark.django_db
def test_a_process_that_reaches_postgresql_is_healthy(client: Client) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_liveness_asks_nobody(client: Client) -> None:
    """Without the django_db mark, any query would fail the test."""
    assert client.get("/livez").json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/healthz", "/livez"])
def test_health_is_only_read(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
