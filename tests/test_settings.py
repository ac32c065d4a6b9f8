"""Settings are checked at the start: a bad value stops it and names its variable."""

import os
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from oms.env import (
    env_bool,
    env_choice,
    env_float,
    env_int,
    env_networks,
    env_ports,
    env_secret,
    env_time_zone,
)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda: env_bool("X", False), "perhaps"),
        (lambda: env_int("X", 1), "1.5"),
        (lambda: env_int("X", 1, minimum=1), "0"),
        (lambda: env_float("X", 1.0), "soon"),
        (lambda: env_float("X", 1.0), "nan"),
        (lambda: env_choice("X", "a", ("a", "b")), "c"),
        (lambda: env_ports("X", "443"), "https"),
        (lambda: env_networks("X"), "127.0.0.1/4"),
        (lambda: env_time_zone("X", "UTC"), "Mars/Base"),
        (lambda: env_time_zone("X", "UTC"), ""),
    ],
)
def test_a_bad_value_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, read: object, value: str
) -> None:
    monkeypatch.setenv("X", value)
    assert callable(read)
    with pytest.raises(ImproperlyConfigured, match=r"^X="):
        read()


def test_a_secret_may_lie_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("secrets") / "key"
    file.write_text("from a file\n")
    monkeypatch.setenv("X_FILE", str(file))
    assert env_secret("X") == "from a file"
    monkeypatch.setenv("X_FILE", str(file.with_name("missing")))
    with pytest.raises(ImproperlyConfigured, match=r"^X_FILE="):
        env_secret("X")


def test_calls_must_not_outlive_their_leases() -> None:
    environment = os.environ | {"WORK_LEASE_SECONDS": "6", "CONNECTOR_TIMEOUT_SECONDS": "5"}
    started = subprocess.run(
        [sys.executable, "-c", "import oms.settings"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 1
    assert "WORK_LEASE_SECONDS=6" in started.stderr.splitlines()[-1]
