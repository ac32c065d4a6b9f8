"""Runs what `make check` and CI run, cheapest first, and names every step that failed."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

BIN = Path(sys.executable).parent


class Step(NamedTuple):
    name: str
    command: tuple[str, ...]


def _manage(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "manage.py", *arguments)


CHEAP = (
    Step("format", (str(BIN / "ruff"), "format", "--check", "--quiet", ".")),
    Step("lint", (str(BIN / "ruff"), "check", "--quiet", ".")),
    Step("imports", (str(BIN / "lint-imports"), "--no-logo")),
    Step("deploy settings", _manage("check", "--deploy", "--fail-level", "WARNING")),
    Step("migrations", _manage("makemigrations", "--check", "--dry-run")),
    Step("life cycle document", _manage("print_lifecycle", "--check")),
    Step("API description", _manage("describe_api", "--check")),
    Step("types", (str(BIN / "mypy"),)),
)
TESTS = Step("tests", (sys.executable, "-m", "pytest"))
# What production must set; the checks need no database.
PRODUCTION_LIKE = {
    "SECRET_KEY": "only-for-checks-" + "0123456789abcdefghijklmnopqrstuvwxyz" * 2,
    "DATABASE_URL": "postgresql:///bulkhead",
    "DEBUG": "0",
    "HTTPS": "1",
    "ALLOWED_HOSTS": "oms.example.com",
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make check", description=__doc__)
    parser.add_argument("--without-tests", action="store_true")
    given, for_pytest = parser.parse_known_args(arguments)
    failed = [step.name for step in CHEAP if not passes(step, os.environ | PRODUCTION_LIKE)]
    if not given.without_tests:
        tests = TESTS._replace(command=(*TESTS.command, *for_pytest))
        failed += [] if passes(tests, dict(os.environ)) else [tests.name]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def passes(step: Step, environment: dict[str, str]) -> bool:
    started = time.monotonic()
    code = subprocess.run(step.command, env=environment).returncode
    verdict = "ok" if code == 0 else "FAILED"
    print(f"{step.name:<22}{verdict:<8}{time.monotonic() - started:5.1f} s", flush=True)
    return code == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
