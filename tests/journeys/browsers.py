"""A real browser on the live server: what it complains about and where it calls fails the test."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
WAIT_MS: Final = 15_000


def find_browser() -> str:
    """This function will find Chromium, named by BULKHEAD_CHROMIUM or on the path; else skip."""
    found = os.environ.get("BULKHEAD_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")
    if not found:
        pytest.skip("No Chromium on the path; name one in BULKHEAD_CHROMIUM.")
    return found


@contextmanager
def running_browser() -> Iterator[Browser]:
    path = find_browser()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Visitor:
    """One person's browser window. `complaints` collects what a page did that it must not do."""

    def __init__(self, browser: Browser, url: str, *, dark: bool = False) -> None:
        self.url = url
        self.complaints: list[str] = []
        self.context = browser.new_context(
            viewport={"width": 1440, "height": 900}, color_scheme="dark" if dark else "light"
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("console", self._hear)
        self.page.on("request", self._watch)

    def _hear(self, message: object) -> None:
        if getattr(message, "type", "") == "error":
            self.complaints.append(f"console: {getattr(message, 'text', '')}")

    def _watch(self, request: object) -> None:
        target = urlsplit(getattr(request, "url", ""))
        if target.scheme in ("http", "https") and target.netloc != urlsplit(self.url).netloc:
            self.complaints.append(f"calls another host: {target.netloc}")

    def log_in(self, username: str, password: str) -> None:
        self.open("/admin/login/")
        self.page.fill("input[name=username]", username)
        self.page.fill("input[name=password]", password)
        self.page.click("button[type=submit]")
        self.page.wait_for_url("**/admin/")

    def open(self, path: str) -> None:
        answer = self.page.goto(self.url + path)
        assert answer is not None
        assert answer.status == 200, f"{path}: {answer.status}"

    def sees(self, text: str) -> bool:
        return bool(self.page.get_by_text(text).first.is_visible())

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []


# Opens a window for a person of a role, logged in.
Visit = Callable[..., Visitor]
