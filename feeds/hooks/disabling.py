"""Ends a hook's calls without ending the hook, and begins them again. Its queue waits meanwhile."""

import structlog
from django.db import transaction
from django.db.models.functions import Now

from feeds.models import HookEndpoint, Subscription
from oms.ops.audit import record_audit

logger = structlog.get_logger(__name__)


@transaction.atomic
def disable_hook(subscription_id: int, *, actor: str, reason: str) -> bool:
    """
    This function will stop calling a receiver, and say so where people look.

    The reason is on the key's page and in the answer of GET config; an audit entry and a warning
    in the log go with it. Events are queued again once the hook is enabled or configured anew:
    nothing is lost but time. False if it was disabled before.
    """
    endpoint = _locked(subscription_id)
    if endpoint is None or endpoint.disabled_at is not None:
        return False
    HookEndpoint.objects.filter(pk=endpoint.pk).update(disabled_at=Now(), disabled_reason=reason)
    app_key = endpoint.subscription.app_key.app_key
    _record(endpoint, actor=actor, action="hook.disabled", reason=reason)
    logger.warning("hook.disabled", app_key=app_key, reason=reason, last_error=endpoint.last_error)
    return True


@transaction.atomic
def enable_hook(subscription_id: int, *, actor: str, reason: str) -> bool:
    """
    This function will call a receiver again; what waited in its queue goes first.

    Its record of failures begins anew. False if it was not disabled.
    """
    endpoint = _locked(subscription_id)
    if endpoint is None or endpoint.disabled_at is None:
        return False
    HookEndpoint.objects.filter(pk=endpoint.pk).update(
        disabled_at=None, disabled_reason="", failing_since=None, paused_until=None
    )
    Subscription.objects.filter(pk=subscription_id).update(configured_at=Now())
    _record(endpoint, actor=actor, action="hook.enabled", reason=reason)
    return True


def _locked(subscription_id: int) -> HookEndpoint | None:
    return (
        HookEndpoint.objects.select_for_update(of=("self",))
        .select_related("subscription__app_key")
        .filter(pk=subscription_id, subscription__is_active=True)
        .first()
    )


def _record(endpoint: HookEndpoint, *, actor: str, action: str, reason: str) -> None:
    record_audit(
        actor=actor,
        action=action,
        object_type="app_key",
        object_id=endpoint.subscription.app_key.app_key,
        reason=reason,
        details={"failing_since": str(endpoint.failing_since or ""), "error": endpoint.last_error},
    )
