"""
How the back office looks and what its sidebar holds. Data only: read by settings as UNFOLD.

Colors are our own: slate and a sea blue. Everything is served by ourselves, no outside host.
"""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: bool(request.user.has_perm(permission))


def _item(title: str, icon: str, page: str, permission: str) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "page": page,
        "link": reverse_lazy(f"admin:{page}"),
        "permission": _may(permission),
    }


NAVIGATION: list[dict[str, Any]] = [
    {
        "items": [
            {
                "title": "Today",
                "icon": "dashboard",
                "link": reverse_lazy("admin:index"),
            },
            _item("Orders", "shopping_bag", "orders_order_changelist", "orders.view_order"),
            _item("Stuck", "assignment_late", "stuck_inbox", "backoffice.view_stuck_inbox"),
            _item("Integrations", "cable", "integrations", "backoffice.view_integrations"),
        ]
    },
    {
        "title": "Workflow",
        "separator": True,
        "items": [
            _item(
                "Work items", "checklist", "workflow_workitem_changelist", "workflow.view_workitem"
            ),
            _item(
                "Outside services",
                "electrical_services",
                "workflow_connectorstate_changelist",
                "workflow.view_connectorstate",
            ),
            _item("Processes", "monitor_heart", "ops_heartbeat_changelist", "ops.view_heartbeat"),
        ],
    },
    {
        "title": "Selling",
        "separator": True,
        "items": [
            _item("Affiliates", "hub", "orders_affiliate_changelist", "orders.view_affiliate"),
            _item(
                "Seller policies",
                "storefront",
                "orders_sellerpolicy_changelist",
                "orders.view_sellerpolicy",
            ),
            _item(
                "Imports", "upload_file", "orders_importrun_changelist", "orders.view_importrun"
            ),
        ],
    },
    {
        "title": "Access",
        "separator": True,
        "items": [
            _item("App keys", "key", "access_appkey_changelist", "access.view_appkey"),
            _item("People", "group", "auth_user_changelist", "auth.view_user"),
            _item("Roles", "admin_panel_settings", "auth_group_changelist", "auth.view_group"),
            _item("Audit log", "history_edu", "ops_auditentry_changelist", "ops.view_auditentry"),
        ],
    },
    {
        "title": "Task queue",
        "separator": True,
        "collapsible": True,
        "items": [
            _item("Waiting tasks", "pending", "django_q_ormq_changelist", "django_q.view_ormq"),
            _item(
                "Schedules", "schedule", "django_q_schedule_changelist", "django_q.view_schedule"
            ),
            _item("Failed tasks", "error", "django_q_failure_changelist", "django_q.view_failure"),
            _item(
                "Done tasks", "task_alt", "django_q_success_changelist", "django_q.view_success"
            ),
        ],
    },
]

COLORS = {
    "base": {
        "50": "oklch(98.4% .003 240)",
        "100": "oklch(96.4% .005 240)",
        "200": "oklch(92.2% .009 240)",
        "300": "oklch(86.5% .014 240)",
        "400": "oklch(70.4% .025 245)",
        "500": "oklch(54.6% .028 248)",
        "600": "oklch(44.2% .029 250)",
        "700": "oklch(36.5% .029 252)",
        "800": "oklch(27.4% .026 254)",
        "900": "oklch(20.6% .022 256)",
        "950": "oklch(14% .018 258)",
    },
    "primary": {
        "50": "oklch(97.2% .015 226)",
        "100": "oklch(94.2% .031 226)",
        "200": "oklch(89% .058 226)",
        "300": "oklch(81.5% .095 227)",
        "400": "oklch(72.5% .122 230)",
        "500": "oklch(62.5% .125 234)",
        "600": "oklch(52.2% .112 238)",
        "700": "oklch(45% .098 240)",
        "800": "oklch(38.5% .08 240)",
        "900": "oklch(33.5% .064 241)",
        "950": "oklch(25% .048 243)",
    },
    "font": {
        "subtle-light": "var(--color-base-500)",
        "subtle-dark": "var(--color-base-400)",
        "default-light": "var(--color-base-700)",
        "default-dark": "var(--color-base-300)",
        "important-light": "var(--color-base-900)",
        "important-dark": "var(--color-base-100)",
    },
}


def _static(path: str) -> Callable[[HttpRequest], str]:
    return lambda request: static(path)


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Bulkhead",
    "SITE_HEADER": "Bulkhead",
    "SITE_SUBHEADER": "Order management",
    "SITE_ICON": _static("backoffice/logo.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": _static("backoffice/logo.svg")}
    ],
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "COLORS": COLORS,
    "STYLES": [_static("backoffice/backoffice.css")],
    "SCRIPTS": [_static("backoffice/backoffice.js")],
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": NAVIGATION,
    },
}
