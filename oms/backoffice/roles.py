"""
Who may do what in the back office: permissions by name, and the groups that bundle them.

Groups are a starting point: a store changes them in admin, and `ensure_groups` only adds.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest


class May(StrEnum):
    """The permissions that back-office pages ask for."""

    VIEW_ORDERS = "orders.view_order"
    VIEW_PERSONAL_DATA = "backoffice.view_personal_data"
    REVEAL_PERSONAL_DATA = "backoffice.reveal_personal_data"
    VIEW_RAW_DOCUMENT = "backoffice.view_raw_document"
    ADD_ORDER_NOTE = "backoffice.add_order_note"
    ACT_ON_ORDER = "backoffice.act_on_order"
    VIEW_STUCK_INBOX = "backoffice.view_stuck_inbox"
    REPAIR_WORK = "backoffice.repair_work"
    FORCE_STATUS = "backoffice.force_status"
    MANAGE_APP_KEYS = "backoffice.manage_app_keys"
    VIEW_INTEGRATIONS = "backoffice.view_integrations"
    REPAIR_INTEGRATIONS = "backoffice.repair_integrations"
    MANAGE_INTEGRATIONS = "backoffice.manage_integrations"


_SUPPORT: Final = frozenset(
    {
        May.VIEW_ORDERS,
        May.REVEAL_PERSONAL_DATA,
        May.ADD_ORDER_NOTE,
        May.VIEW_INTEGRATIONS,
        "ops.view_heartbeat",
        "workflow.view_connectorstate",
    }
)
_OPERATOR: Final = _SUPPORT | {
    May.ACT_ON_ORDER,
    May.VIEW_STUCK_INBOX,
    May.VIEW_RAW_DOCUMENT,
    "orders.view_affiliate",
    "orders.view_sellerpolicy",
    "orders.view_importrun",
    "workflow.view_workitem",
}
_SUPERVISOR: Final = _OPERATOR | {
    May.VIEW_PERSONAL_DATA,
    May.REPAIR_WORK,
    May.REPAIR_INTEGRATIONS,
    May.FORCE_STATUS,
    "orders.change_sellerpolicy",
    "orders.add_sellerpolicy",
    "ops.view_auditentry",
}
_ADMIN: Final = _SUPERVISOR | {
    May.MANAGE_APP_KEYS,
    May.MANAGE_INTEGRATIONS,
    "access.view_appkey",
    "orders.add_affiliate",
    "orders.change_affiliate",
    "orders.delete_sellerpolicy",
    *(f"auth.{verb}_{model}" for verb in ("view", "add", "change") for model in ("user", "group")),
    *(f"django_q.view_{model}" for model in ("schedule", "success", "failure", "ormq")),
}

GROUPS: Final[Mapping[str, frozenset[str]]] = {
    "Support": _SUPPORT,
    "Operator": _OPERATOR,
    "Supervisor": _SUPERVISOR,
    "Administrator": _ADMIN,
}


def ensure_groups() -> dict[str, Group]:
    """
    This function will make the groups that are missing and add what their role needs.

    What a store added or took to other groups stays. Raises LookupError for a permission that the
    database does not know, which means that migrations have not run.
    """
    permissions = _permissions_by_name(frozenset().union(*GROUPS.values()))
    made: dict[str, Group] = {}
    for name, needed in GROUPS.items():
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.add(*(permissions[permission] for permission in needed))
        made[name] = group
    return made


def may(request: HttpRequest, permission: str) -> bool:
    """This function will tell whether the person behind a request has a permission."""
    return request.user.is_active and request.user.has_perm(permission)


def require(request: HttpRequest, permission: str) -> None:
    """This function will refuse a request whose person lacks the permission."""
    if not may(request, permission):
        raise PermissionDenied(f"This needs the permission {permission}.")


def actor_of(request: HttpRequest) -> str:
    """This function will name the person as timelines and the audit log do."""
    return f"user:{request.user.get_username()}"


def _permissions_by_name(names: frozenset[str]) -> dict[str, Permission]:
    wanted = Q()
    for name in names:
        app, codename = name.split(".")
        wanted |= Q(content_type__app_label=app, codename=codename)
    found = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.filter(wanted).select_related("content_type")
    }
    if missing := names - found.keys():
        raise LookupError(f"Unknown permissions, run migrate first: {', '.join(sorted(missing))}")
    return found
