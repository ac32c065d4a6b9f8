"""The outside services, as the workflow's tests have them."""

from tests.workflow.conftest import sandbox

__all__ = ["sandbox"]
