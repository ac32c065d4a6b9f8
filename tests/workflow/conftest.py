"""What the tests of the workflow share."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.workflow.sandboxes import ThreadedSandbox
from workflow.sandbox.server import SandboxOptions


@pytest.fixture
def sandbox(settings: Settings) -> Iterator[ThreadedSandbox]:
    """This fixture will run the outside services and point the connectors at them."""
    with ThreadedSandbox(SandboxOptions(port=0, seed=1)) as running:
        settings.CONNECTORS = running.connectors
        yield running
