"""
Turns an app key and token into a Principal, cheaply: an API call is often shorter than a look-up.

A success may come from this process's memory, for APP_KEY_CACHE_SECONDS at most. A failure always
costs exactly one query, whatever failed, so that time tells a caller nothing about which keys
exist; and a token rotated a moment ago works at once.
"""

import hashlib
import hmac
import re
import threading
import time
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from oms.access.scopes import Scope

LAST_USE_PRECISION_SECONDS = 60
MAX_CACHED_KEYS = 10_000

_PLAUSIBLE = re.compile(r"[\x21-\x7e]{1,200}")
_NO_HASH = bytes(32)
logger = structlog.get_logger(__name__)


class BadCredentials(Exception):
    """The pair of app key and token is not valid. Says nothing about which half, on purpose."""


@dataclass(frozen=True, slots=True)
class Principal:
    """
    Who calls the API, and what the key may do. `seller_ids` of None means all sellers.

    `polls_list` says that the key walked the order list within the last day as if it were a feed.
    """

    key_id: int
    app_key: str
    scopes: frozenset[str]
    seller_ids: frozenset[str] | None = None
    affiliate_ids: frozenset[str] | None = None
    requests_per_minute: int | None = None
    polls_list: bool = False

    @property
    def actor(self) -> str:
        return f"key:{self.app_key}"

    def has_any(self, scopes: frozenset[Scope] | set[Scope]) -> bool:
        return not self.scopes.isdisjoint(scopes)

    @property
    def is_restricted(self) -> bool:
        return self.seller_ids is not None or self.affiliate_ids is not None

    def serves_seller(self, seller_id: str) -> bool:
        return self.seller_ids is None or seller_id in self.seller_ids

    def serves_affiliate(self, affiliate_id: str) -> bool:
        return self.affiliate_ids is None or affiliate_id in self.affiliate_ids


@dataclass(frozen=True, slots=True)
class _LiveToken:
    token_id: int
    token_hash: bytes
    valid_until: float  # on this process's monotonic clock


@dataclass(frozen=True, slots=True)
class _KnownKey:
    principal: Principal
    tokens: tuple[_LiveToken, ...]
    loaded_at: float


_cache: dict[str, _KnownKey] = {}
_last_use_written: dict[int, float] = {}
_cache_lock = threading.Lock()

# Remaining validity is computed by PostgreSQL, so a wrong clock here neither ends nor extends it.
_LOAD = """
SELECT k.id, k.scopes, k.seller_ids, k.affiliate_ids, t.id, t.token_hash,
       EXTRACT(EPOCH FROM LEAST(k.expires_at, t.expires_at) - statement_timestamp())::float8,
       k.requests_per_minute,
       EXISTS (SELECT 1 FROM access_listpoller p WHERE p.app_key_id = k.id
               AND p.last_seen_at > statement_timestamp() - interval '1 day')
FROM access_appkey k JOIN access_apptoken t ON t.app_key_id = k.id AND t.revoked_at IS NULL
WHERE k.app_key = %s AND k.is_active
  AND COALESCE(LEAST(k.expires_at, t.expires_at) > statement_timestamp(), true)
ORDER BY t.slot
"""

# SKIP LOCKED: an admin holding the row must not hold up an API call for the sake of a timestamp.
_RECORD_USE = """
WITH due AS (
    SELECT t.id, t.app_key_id FROM access_apptoken t JOIN access_appkey k ON k.id = t.app_key_id
    WHERE t.id = %(token_id)s
      AND (t.last_used_at IS NULL OR t.last_used_at <= statement_timestamp() - interval '1 minute')
    FOR UPDATE OF t, k SKIP LOCKED
), token AS (
    UPDATE access_apptoken SET last_used_at = statement_timestamp() FROM due
    WHERE access_apptoken.id = due.id
)
UPDATE access_appkey SET last_used_at = statement_timestamp() FROM due
WHERE access_appkey.id = due.app_key_id
"""


def authenticate(app_key: str, app_token: str) -> Principal:
    """
    This function will return the Principal of a valid pair, and raise BadCredentials otherwise.

    The use is recorded at most once a minute for each token, by one statement.
    """
    digest = hashlib.sha256(app_token.encode(errors="replace")).digest()
    known = _cached(app_key)
    token = _matching_token(known, digest)
    if token is None:
        known = _load(app_key if _PLAUSIBLE.fullmatch(app_key) else "")
        token = _matching_token(known, digest)
        if known is None or token is None:
            raise BadCredentials("Unauthorized access")
        _remember(known)
    assert known is not None
    _record_use(token.token_id)
    return known.principal


def forget_cached_key(app_key: str) -> None:
    """This function will make this process ask PostgreSQL again once the change is committed."""
    transaction.on_commit(lambda: _forget(app_key))


def forget_all_cached_keys() -> None:
    """This function will empty this process's memory of keys (tests, and after a restore)."""
    with _cache_lock:
        _cache.clear()
        _last_use_written.clear()


def _forget(app_key: str) -> None:
    with _cache_lock:
        _cache.pop(app_key, None)


def _cached(app_key: str) -> _KnownKey | None:
    known = _cache.get(app_key)
    if known and time.monotonic() - known.loaded_at < settings.APP_KEY_CACHE_SECONDS:
        return known
    return None


def _remember(known: _KnownKey) -> None:
    with _cache_lock:
        if len(_cache) >= MAX_CACHED_KEYS:
            _cache.clear()
            _last_use_written.clear()
        _cache[known.principal.app_key] = known


def _load(app_key: str) -> _KnownKey | None:
    loaded_at = time.monotonic()  # before the query: a change after it is never counted as seen
    with connection.cursor() as cursor:
        cursor.execute(_LOAD, [app_key])
        rows = cursor.fetchall()
    if not rows:
        return None
    key_id, scopes, seller_ids, affiliate_ids = rows[0][:4]
    principal = Principal(
        key_id=key_id,
        app_key=app_key,
        scopes=frozenset(scopes),
        seller_ids=None if seller_ids is None else frozenset(seller_ids),
        affiliate_ids=None if affiliate_ids is None else frozenset(affiliate_ids),
        requests_per_minute=rows[0][7],
        polls_list=rows[0][8],
    )
    tokens = tuple(
        _LiveToken(
            token_id=row[4],
            token_hash=bytes(row[5]),
            valid_until=float("inf") if row[6] is None else loaded_at + row[6],
        )
        for row in rows
    )
    return _KnownKey(principal, tokens, loaded_at)


def _matching_token(known: _KnownKey | None, digest: bytes) -> _LiveToken | None:
    """Always two comparisons, so that neither the key nor the number of its tokens shows."""
    tokens = known.tokens if known else ()
    found = None
    for slot in range(2):
        token = tokens[slot] if slot < len(tokens) else None
        equal = hmac.compare_digest(token.token_hash if token else _NO_HASH, digest)
        if equal and token and time.monotonic() < token.valid_until:
            found = token
    return found


def _record_use(token_id: int) -> None:
    now = time.monotonic()
    written = _last_use_written.get(token_id)
    if written is not None and now - written < LAST_USE_PRECISION_SECONDS:
        return
    _last_use_written[token_id] = now
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_RECORD_USE, {"token_id": token_id})
    except DatabaseError as error:  # a full disk or a replica must not stop reads
        logger.warning("access.last_use_not_recorded", token=token_id, error=type(error).__name__)
