"""The project's settings with the boundary's test routes, for a server in a process of its own."""

from oms.settings import *  # noqa: F403

ROOT_URLCONF = "tests.api.boundary_urls"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
