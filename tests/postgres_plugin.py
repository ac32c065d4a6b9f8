"""
Gives the tests a PostgreSQL of their own before Django's settings are read.

pytest-django reads the settings before any conftest.py is imported, so this is a plugin, named by
`-p` in pyproject.toml. It ignores DATABASE_URL on purpose: the tests drop and create databases.
To use a server that is there, name it in TEST_DATABASE_URL.
"""

import os
import tempfile
from pathlib import Path

import pytest

from deploy.postgres import Postgres

TEST_ENVIRONMENT = {
    "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
    "DEBUG": "0",
    "HTTPS": "0",
    "LOG_LEVEL": "WARNING",
    "SECRET_KEY": "only-for-tests-" + "0123456789" * 5,
}
SERVER: pytest.StashKey[Postgres] = pytest.StashKey()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    os.environ.update(TEST_ENVIRONMENT)
    os.environ.pop("BULKHEAD_ROLE", None)
    if given := os.environ.get("TEST_DATABASE_URL"):
        os.environ["DATABASE_URL"] = given
        return
    server = Postgres(Path(tempfile.mkdtemp(prefix="bulkhead-tests-")), throwaway=True)
    early_config.stash[SERVER] = server
    early_config.add_cleanup(server.remove)
    server.start()
    os.environ["DATABASE_URL"] = server.url()
