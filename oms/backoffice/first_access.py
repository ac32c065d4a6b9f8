"""The first account, the first app key and the usual affiliates of an empty installation."""

import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import orjson
from django.contrib.auth import get_user_model
from django.db import transaction

from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from oms.backoffice.roles import ensure_groups
from oms.orders.models import Affiliate
from oms.orders.statuses import Flow

ADMIN_USER: Final = "admin"
AFFILIATES: Final = (
    ("MKP", "Marketplace", Flow.FULFILLMENT),
    ("STO", "Own storefront", Flow.COMPLETE),
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """
    Shown once: neither password nor token can be read back from the database.

    The demo's marketplaces and ERP have a key of their own: its feed is theirs, so whoever tries
    the first key takes nothing away from them.
    """

    admin_user: str
    admin_password: str
    app_key: str
    app_token: str
    demo_app_key: str = ""
    demo_app_token: str = ""

    def write(self, path: Path) -> None:
        """This function will write the credentials to a file that only its owner can read."""
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_bytes(orjson.dumps(asdict(self)))


@transaction.atomic
def grant_first_access(*, actor: str) -> Credentials:
    """
    This function will make the admin account, an app key with every scope, and the affiliates.

    An admin account that is there gets a new password.
    """
    password = secrets.token_urlsafe(12)
    admin, _ = get_user_model().objects.get_or_create(
        username=ADMIN_USER, defaults={"is_staff": True, "is_superuser": True}
    )
    admin.set_password(password)
    admin.save()
    ensure_groups()
    for affiliate_id, name, flow in AFFILIATES:
        Affiliate.objects.get_or_create(
            affiliate_id=affiliate_id, defaults={"name": name, "flow": flow}
        )
    key, token = issue_app_key(
        owner_name="First installation",
        scopes=[scope.value for scope in Scope],
        actor=actor,
        reason="First access to an empty installation.",
    )
    return Credentials(ADMIN_USER, password, key.app_key, token)


def with_demo_key(access: Credentials, *, actor: str) -> Credentials:
    """This function will make the key that the sandbox calls with."""
    key, token = issue_app_key(
        owner_name="Demo: marketplaces and ERP",
        scopes=[scope.value for scope in Scope],
        actor=actor,
        reason="The sandbox places and handles orders with it.",
    )
    return replace(access, demo_app_key=key.app_key, demo_app_token=token)
