"""
Making, changing and ending a hook: its filter is a feed's, its address and headers are here.

An address is taken only after it answered a ping, sent outside any transaction; the ping checks
what a delivery checks, the addresses of the name included.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from feeds.configuring import (
    QueueTerms,
    check_filter,
    delete_subscription,
    filter_of,
    set_subscription,
)
from feeds.filters import parse_filter
from feeds.hooks.addresses import AddressRefused, check_url, rules_from_settings
from feeds.hooks.attempts import keep_attempt
from feeds.hooks.bodies import PING
from feeds.hooks.by_hand import calling_alone
from feeds.hooks.claiming import lease_seconds
from feeds.hooks.headers import masked, parse_headers
from feeds.hooks.sending import HookAnswer, send_once
from feeds.hooks.signing import key_of, new_secret, signed_headers
from feeds.hooks.terms import headers_of, keys_of
from feeds.models import Channel, HookAttempt, HookEndpoint, Subscription
from feeds.refusals import FeedRefused, Problem
from oms.access.secrets import SecretUnreadable, encrypt
from oms.ops.audit import record_audit
from oms.ops.clock import database_now

RETENTION_SECONDS: Final = 14 * 86_400
QUOTED_ANSWER: Final = 200


class HookNotConfigured(Exception):
    """The app key has no hook."""

    def __init__(self) -> None:
        super().__init__(
            "This app key has no hook. Make one by POST /api/orders/hook/config with a filter and "
            'a hook, such as {"hook": {"url": "https://erp.example.com/orders"}}.'
        )


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to and with which headers, as a configuration asked for it."""

    url: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class ConfiguredHook:
    """A hook as it is now. `secret` is told once: when it was made here."""

    endpoint: HookEndpoint
    secret: str | None


def configure_hook(*, app_key_id: int, body: Mapping[str, Any], actor: str) -> ConfiguredHook:
    """
    This function will make the key's hook or change it, after the address answered a ping by 200.

    The secret of a hook that is there stays, unless no key opens it any more. A disabled hook is
    enabled. It must not run inside a transaction. Raises FeedRefused and MixedFilter for what it
    cannot take, before anybody is called; StillCatchingUp and CallUnderWay to be tried again.
    """
    given = {str(key).lower(): value for key, value in body.items()}
    event_filter = parse_filter(given.get("filter"))
    destination = parse_destination(given.get("hook"))
    check_filter(event_filter, app_key_id=app_key_id)
    known, now = _known(app_key_id), database_now()
    kept = _kept_keys(known, now)
    made = None if kept else new_secret()
    with calling_alone(app_key_id):
        ping = _ping(destination, now, kept or [key_of(made or "")])
    if known:
        keep_attempt(known.pk, HookAttempt.Kind.PING, ping)
    _require_200(ping)
    subscription = set_subscription(
        app_key_id=app_key_id,
        channel=Channel.HOOK,
        event_filter=event_filter,
        queue=QueueTerms(round(lease_seconds()), RETENTION_SECONDS),
        actor=actor,
    )
    if not known:
        keep_attempt(subscription.pk, HookAttempt.Kind.PING, ping)
    return ConfiguredHook(_set_endpoint(subscription, destination, made, actor=actor), made)


def delete_hook(*, app_key_id: int, actor: str, reason: str = "") -> None:
    """
    This function will end the key's hook and forget its secrets; HookNotConfigured if none.

    Secrets that a call left which ended half-way are forgotten too.
    """
    was_there = delete_subscription(
        app_key_id=app_key_id, channel=Channel.HOOK, actor=actor, reason=reason
    )
    HookEndpoint.objects.filter(
        subscription__app_key_id=app_key_id,
        subscription__channel=Channel.HOOK,
        subscription__is_active=False,
    ).delete()
    if not was_there:
        raise HookNotConfigured


def hook_of(app_key_id: int) -> HookEndpoint:
    """This function will return the key's hook with its subscription; HookNotConfigured if none."""
    found = _known(app_key_id)
    if found is None:
        raise HookNotConfigured
    return found


def _known(app_key_id: int) -> HookEndpoint | None:
    return (
        HookEndpoint.objects.select_related("subscription__app_key")
        .filter(
            subscription__app_key_id=app_key_id,
            subscription__channel=Channel.HOOK,
            subscription__is_active=True,
        )
        .first()
    )


def _kept_keys(known: HookEndpoint | None, now: datetime) -> list[bytes]:
    try:
        return keys_of(known, now) if known else []
    except SecretUnreadable:
        return []


def configuration_of(endpoint: HookEndpoint) -> dict[str, Any]:
    """This function will write a configuration as the contract takes it, header values masked."""
    try:
        headers = masked(headers_of(endpoint))
    except SecretUnreadable:
        headers = {}
    return {
        "filter": filter_of(endpoint.subscription).as_json(),
        "hook": {"url": endpoint.url, "headers": headers},
    }


def parse_destination(given: object) -> Destination:
    """This function will read the `hook` of a configuration; FeedRefused for what must not be."""
    if not isinstance(given, Mapping):
        raise FeedRefused(Problem("hook", "Expected an object with url and headers."))
    fields = {str(key).lower(): value for key, value in given.items()}
    url = fields.get("url")
    if not isinstance(url, str) or not url:
        raise FeedRefused(Problem("hook.url", "Expected an https address."))
    try:
        check_url(url, rules_from_settings())
    except AddressRefused as refused:
        raise FeedRefused(Problem("hook.url", str(refused))) from None
    return Destination(url, parse_headers(fields.get("headers")))


def _ping(destination: Destination, now: datetime, keys: Sequence[bytes]) -> HookAnswer:
    signed = signed_headers(
        webhook_id=f"ping-{uuid.uuid4().hex}",
        timestamp=int(now.timestamp()),
        body=PING,
        keys=keys,
    )
    return send_once(destination.url, headers=destination.headers | signed, body=PING)


def _require_200(ping: HookAnswer) -> None:
    if ping.status == 200 and ping.is_success:
        return
    said = f" It said: {ping.answer[:QUOTED_ANSWER]!r}." if ping.answer else ""
    came_back = ping.error or f"HTTP {ping.status}"
    raise FeedRefused(
        Problem(
            "hook.url",
            f'The address must answer {{"hookConfig": "ping"}} by 200 within '
            f"{settings.HOOK_TIMEOUT_SECONDS:g} s. What came back: {came_back}.{said}",
        )
    )


@transaction.atomic
def _set_endpoint(
    subscription: Subscription, destination: Destination, made: str | None, *, actor: str
) -> HookEndpoint:
    """`made` is the secret of a hook that is new; another keeps its own."""
    facts: dict[str, Any] = {
        "url": destination.url,
        "headers": encrypt(orjson.dumps(destination.headers)),
        "failing_since": None,
        "paused_until": None,
        "disabled_at": None,
        "disabled_reason": "",
    }
    if made is not None:
        facts |= {"secret": encrypt(made.encode()), "previous_secret": None}
    endpoint, _ = HookEndpoint.objects.update_or_create(subscription=subscription, defaults=facts)
    # Tells the dispatcher that what it has read is of yesterday.
    Subscription.objects.filter(pk=subscription.pk).update(configured_at=Now())
    record_audit(
        actor=actor,
        action="hook.address_set",
        object_type="app_key",
        object_id=subscription.app_key.app_key,
        details={
            "url": destination.url.partition("?")[0],
            "headers": sorted(destination.headers),
            "secret_made": made is not None,
        },
    )
    return endpoint
