"""What every test may use. Fixtures of one subject live beside its tests."""

import os
from urllib.parse import urlencode

import pytest
import pytest_django
from django.db import connection


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_setup: None, django_db_blocker: pytest_django.DjangoDbBlocker
) -> None:
    """
    This fixture will let transactional tests empty tables that refuse TRUNCATE in production.

    Append-only tables carry a trigger named `<table>_no_truncate`. It is switched off in the test
    database alone, by name, so that a test of the trigger itself can switch it on again.
    """
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('ALTER TABLE %I.%I DISABLE TRIGGER %I', n.nspname, c.relname, t.tgname)"
            " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            r" WHERE t.tgname LIKE '%\_no\_truncate'"
        )
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)


@pytest.fixture(scope="session")
def full_size() -> bool:
    """This fixture will tell whether tests marked heavy run in full (`make test-all`)."""
    return os.environ.get("BULKHEAD_TEST_SIZE") == "full"


@pytest.fixture
def database_url(transactional_db: None) -> str:
    """This fixture will give child processes the address of the test database itself."""
    facts = connection.settings_dict
    where = {"host": facts["HOST"], "port": facts["PORT"], "password": facts["PASSWORD"]}
    given = urlencode({name: value for name, value in where.items() if value})
    return f"postgresql://{facts['USER']}@/{facts['NAME']}?{given}"
