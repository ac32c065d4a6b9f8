"""The pinned files fit pyproject.toml and name no place to fetch from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
ASKED = {
    "requirements.txt": [*PROJECT["dependencies"], *EXTRAS["local"]],
    "requirements-dev.txt": [*PROJECT["dependencies"], *EXTRAS["local"], *EXTRAS["dev"]],
}


def pinned_versions(name: str) -> dict[str, list[str]]:
    """This function will list the versions pinned per package, one or more by Python version."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "deploy" / name).read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


@pytest.mark.parametrize("name", ASKED)
def test_every_dependency_is_pinned_to_a_version_that_pyproject_allows(name: str) -> None:
    pinned = pinned_versions(name)
    for text in ASKED[name]:
        asked = Requirement(text)
        assert all(asked.specifier.contains(version) for version in pinned[asked.name]), text


@pytest.mark.parametrize("name", ASKED)
def test_pins_hold_names_versions_and_hashes_only(name: str) -> None:
    text = (ROOT / "deploy" / name).read_text()
    assert re.findall(r"://|--(?!hash=sha256:)", text) == []


def test_both_sets_pin_the_same_versions() -> None:
    runtime, development = (pinned_versions(name) for name in ASKED)
    assert runtime.items() <= development.items()
