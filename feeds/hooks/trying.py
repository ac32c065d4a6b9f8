"""Sends a test to a receiver, by hand, to see what comes back."""

import uuid

from django.db import transaction

from feeds.hooks.attempts import keep_attempt
from feeds.hooks.bodies import PING
from feeds.hooks.by_hand import calling_alone
from feeds.hooks.sending import send_once
from feeds.hooks.signing import signed_headers
from feeds.hooks.terms import headers_of, keys_of
from feeds.models import HookAttempt, HookEndpoint
from oms.ops.audit import record_audit
from oms.ops.clock import database_now


def send_test(subscription_id: int, *, actor: str, reason: str = "") -> HookAttempt:
    """
    This function will call a hook's receiver now, signed, by the contract's ping.

    That body is the one that every receiver knows as no order. The call is kept among the attempts
    and changes nothing else: neither the hook's health nor whether it is disabled. It must not run
    inside a transaction. Raises HookEndpoint.DoesNotExist if there is no such hook; SecretUnreadable;
    CallUnderWay.
    """
    endpoint = HookEndpoint.objects.select_related("subscription__app_key").get(
        pk=subscription_id, subscription__is_active=True
    )
    now = database_now()
    signed = signed_headers(
        webhook_id=f"test-{uuid.uuid4().hex}",
        timestamp=int(now.timestamp()),
        body=PING,
        keys=keys_of(endpoint, now),
    )
    headers = headers_of(endpoint) | signed
    with calling_alone(endpoint.subscription.app_key_id):
        answer = send_once(endpoint.url, headers=headers, body=PING)
    with transaction.atomic():
        attempt = keep_attempt(subscription_id, HookAttempt.Kind.TEST, answer)
        record_audit(
            actor=actor,
            action="hook.tested",
            object_type="app_key",
            object_id=endpoint.subscription.app_key.app_key,
            reason=reason,
            details={"status": answer.status, "error": answer.error},
        )
    return attempt
