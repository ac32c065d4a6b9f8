"""The admin site itself: its landing page, its pages that belong to no table, its sidebar."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from unfold.sites import UnfoldAdminSite

Page = Callable[..., HttpResponse]


class BackofficeSite(UnfoldAdminSite):
    """
    Unfold's site with our landing page.

    Pages that compose several tables are registered by their own module with `add_page`, so this
    one knows none of them.
    """

    index_title = "Today"
    enable_nav_sidebar = True

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self._pages: list[tuple[str, str, Page]] = []
        self._badges: dict[str, Callable[[HttpRequest], str]] = {}
        self.landing: Callable[[HttpRequest], dict[str, Any]] = lambda request: {}

    def add_page(self, route: str, name: str, view: Page) -> None:
        """This function will mount a page below the admin, for staff only, as `admin:<name>`."""
        self._pages.append((route, name, view))

    def add_badge(self, page: str, count: Callable[[HttpRequest], str]) -> None:
        """This function will put a count beside the sidebar's entry of a page; empty: none."""
        self._badges[page] = count

    def extra_urls(self) -> list[URLPattern]:
        return [path(route, self.admin_view(view), name=name) for route, name, view in self._pages]

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        request.current_app = self.name
        context = {
            **self.page_context(request, self.index_title),
            **self.landing(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "backoffice/landing.html", context)

    def page_context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        """This function will return what every page of ours needs besides its own facts."""
        return {
            **self.each_context(request),
            "title": title,
            "content_title": title,
            "now": timezone.now(),
            "is_fullwidth": "1",
        }

    def get_sidebar_list(self, request: HttpRequest) -> list[dict[str, Any]]:
        groups = super().get_sidebar_list(request)
        for group in groups:
            for item in group["items"]:
                count = self._badges.get(item.get("page", ""))
                if count is not None and item["has_permission"] and (words := count(request)):
                    item["badge"] = words
                    item["badge_variant"] = "danger"
        return groups


def backoffice_site() -> BackofficeSite:
    """This function will return the site that serves /admin/, typed as ours."""
    from django.contrib import admin  # the registry exists only after the apps are loaded

    site = admin.site
    assert isinstance(site, BackofficeSite)
    return site
