"""What the journeys through a browser share: one running Chromium, windows of people in their roles."""

import os
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser

from oms.backoffice.roles import ensure_groups
from tests.journeys.browsers import Visit, Visitor, running_browser

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Playwright keeps an event loop in this thread; the tests' own queries are made beside it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        with running_browser() as running:
            yield running
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def visit(browser: Browser, live_server: object) -> Iterator[Visit]:
    """This fixture will open a browser window for a person of a role, logged in."""
    opened: list[Visitor] = []

    def open_for(role: str, *, dark: bool = False) -> Visitor:
        user = User.objects.create_user(role.lower(), password=PASSWORD, is_staff=True)
        user.groups.set([ensure_groups()[role]])
        visitor = Visitor(browser, str(live_server), dark=dark)
        opened.append(visitor)
        visitor.log_in(role.lower(), PASSWORD)
        return visitor

    yield open_for
    for visitor in opened:
        visitor.close()
