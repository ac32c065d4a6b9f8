"""The page of the API's description, in a real browser: everything it shows comes from us."""

import os
from pathlib import Path

import pytest

from tests.api.boundary_server import WebServer
from tests.journeys.browsers import Visitor, find_browser, running_browser

pytestmark = pytest.mark.heavy


def test_the_api_can_be_browsed_without_any_other_host(database_url: str, tmp_path: Path) -> None:
    find_browser()
    server = WebServer(tmp_path, database_url)
    server.environment["DJANGO_SETTINGS_MODULE"] = "oms.settings"
    with server.running(), running_browser() as browser:
        visitor = Visitor(browser, f"http://127.0.0.1:{server.port}")
        visitor.open("/api/docs")
        visitor.page.get_by_text("Read the feed", exact=True).wait_for()
        for tag in ("Orders", "Order actions", "Changes", "Placing", "Feed", "Hook", "Ledger"):
            assert visitor.page.locator(f'[data-tag="{tag}"]').count() == 1
        visitor.page.get_by_text("Start handling", exact=True).first.click()
        visitor.page.get_by_text("Opened by any of the scopes").first.wait_for()
        visitor.page.get_by_role("button", name="Authorize", exact=True).click()
        visitor.page.get_by_text("X-VTEX-API-AppToken").first.wait_for()
        if folder := os.environ.get("SCREENSHOTS"):
            visitor.page.screenshot(path=f"{folder}/api-docs.png")
        visitor.close()
