"""Gives a hook another signing secret without a gap: for a while both sign."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from feeds.hooks.signing import new_secret
from feeds.models import HookEndpoint, Subscription
from oms.access.secrets import encrypt, reencrypt
from oms.ops.audit import record_audit
from oms.ops.clock import database_now


@dataclass(frozen=True, slots=True)
class Rotated:
    """The new secret, told once, and until when the one before signs too."""

    secret: str
    previous_ends_at: datetime


@transaction.atomic
def rotate_secret(
    subscription_id: int, *, actor: str, reason: str = "", overlap: timedelta | None = None
) -> Rotated:
    """
    This function will make a new secret; the present one signs too for HOOK_SECRET_OVERLAP_HOURS.

    `overlap` says otherwise: nothing at all for a secret that has leaked. A secret that was still
    on its way out ends now. Raises HookEndpoint.DoesNotExist if there is no such hook.
    """
    endpoint = (
        HookEndpoint.objects.select_for_update(of=("self",))
        .select_related("subscription__app_key")
        .get(pk=subscription_id, subscription__is_active=True)
    )
    lasting = timedelta(hours=settings.HOOK_SECRET_OVERLAP_HOURS) if overlap is None else overlap
    secret, ends_at = new_secret(), database_now() + lasting
    HookEndpoint.objects.filter(pk=endpoint.pk).update(
        secret=encrypt(secret.encode()),
        previous_secret=endpoint.secret if lasting else None,
        previous_secret_ends_at=ends_at if lasting else None,
    )
    Subscription.objects.filter(pk=subscription_id).update(configured_at=Now())
    record_audit(
        actor=actor,
        action="hook.secret_rotated",
        object_type="app_key",
        object_id=endpoint.subscription.app_key.app_key,
        reason=reason,
        details={"previous_ends_at": ends_at.isoformat()},
    )
    return Rotated(secret, ends_at)


@transaction.atomic
def reencrypt_endpoint(subscription_id: int) -> None:
    """
    This function will seal a hook's headers and secrets with the newest key.

    :raises SecretUnreadable: if no key opens one of them; nothing is changed then.
    """
    endpoint = HookEndpoint.objects.select_for_update().get(pk=subscription_id)
    previous = endpoint.previous_secret
    HookEndpoint.objects.filter(pk=subscription_id).update(
        headers=reencrypt(endpoint.headers),
        secret=reencrypt(endpoint.secret),
        previous_secret=None if previous is None else reencrypt(previous),
    )
