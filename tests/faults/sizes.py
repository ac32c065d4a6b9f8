"""Which fault tests belong to the short run."""

import os

import pytest

# A variant of a test that is in the short run.
variant = pytest.mark.skipif(
    os.environ.get("BULKHEAD_TEST_SIZE") != "full",
    reason="a variant of another test; BULKHEAD_TEST_SIZE=full runs it",
)
