"""How hooks are to be called: read from their rows, secrets opened."""

from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import orjson
import structlog
from django.conf import settings

from feeds.hooks.receivers import HookTerms
from feeds.hooks.signing import key_of
from feeds.models import HookEndpoint
from oms.access.secrets import SecretUnreadable, decrypt
from oms.ops.statements import Statement, run_together

logger = structlog.get_logger(__name__)


def load_terms() -> list[HookTerms]:
    """
    This function will read all hooks that are delivered to: active, not disabled, of a live key.

    A hook whose secrets no key opens is left out and said to the log: it would be sent unsigned.
    """
    (rows,) = run_together(Statement(_ACTIVE_HOOKS))
    loaded = (_terms_of(row) for row in rows)
    return [terms for terms in loaded if terms is not None]


_ACTIVE_HOOKS: Final = """
    SELECT s.id, k.app_key, s.configured_at, h.url, h.headers, h.secret,
           CASE WHEN h.previous_secret_ends_at > statement_timestamp() THEN h.previous_secret END,
           greatest(extract(epoch FROM h.paused_until - statement_timestamp()), 0)::float8
    FROM feeds_subscription s
    JOIN feeds_hookendpoint h ON h.subscription_id = s.id
    JOIN access_appkey k ON k.id = s.app_key_id
    WHERE s.channel = 'hook' AND s.is_active AND h.disabled_at IS NULL
      AND k.is_active AND (k.expires_at IS NULL OR k.expires_at > statement_timestamp())
    ORDER BY s.id
"""


def _terms_of(row: tuple[Any, ...]) -> HookTerms | None:
    subscription_id, app_key, version, url, headers, secret, previous, paused = row
    try:
        opened = _opened_headers(bytes(headers))
        keys = tuple(_opened_key(bytes(sealed)) for sealed in (secret, previous) if sealed)
    except SecretUnreadable:
        logger.error("hook.secret_unreadable", subscription_id=subscription_id)
        return None
    return HookTerms(
        subscription_id=subscription_id,
        app_key=app_key,
        version=version,
        url=url,
        headers=opened,
        keys=keys,
        paused_seconds=paused or 0.0,
    )


def _opened_headers(sealed: bytes) -> dict[str, str]:
    opened: dict[str, str] = orjson.loads(_opened(sealed, tuple(settings.ENCRYPTION_KEYS)))
    return opened


def _opened_key(sealed: bytes) -> bytes:
    return key_of(_opened(sealed, tuple(settings.ENCRYPTION_KEYS)).decode())


# Hooks are read again each second, and change once a year. The keys are part of the question.
@lru_cache(maxsize=1024)
def _opened(sealed: bytes, keys: tuple[str, ...]) -> bytes:
    return decrypt(sealed)


def headers_of(endpoint: HookEndpoint) -> dict[str, str]:
    """This function will return the headers that a key wants on its hook's calls."""
    return _opened_headers(bytes(endpoint.headers))


def keys_of(endpoint: HookEndpoint, now: datetime) -> list[bytes]:
    """This function will return what a hook's calls are signed with: two while a secret goes out."""
    sealed = [bytes(endpoint.secret)]
    ends_at = endpoint.previous_secret_ends_at
    if endpoint.previous_secret is not None and ends_at is not None and ends_at > now:
        sealed.append(bytes(endpoint.previous_secret))
    return [_opened_key(secret) for secret in sealed]
