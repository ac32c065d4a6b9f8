"""Issues, rotates and revokes app keys. Each act is one transaction with its audit entry."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from oms.access.authenticating import forget_cached_key
from oms.access.models import AppKey, AppToken
from oms.access.scopes import Scope
from oms.ops.audit import record_audit

KEY_PREFIX = "bulkhead-"
TOKEN_PREFIX = "bht_"  # lets secret scanners recognise a leaked token
SLOTS = (1, 2)

# No 0, 1, i, l, o: keys are read aloud on the phone. 12 characters are 59 bits, so no collisions.
_READABLE = "23456789abcdefghjkmnpqrstuvwxyz"
_KEY_LENGTH = 12
_SHOWN_CHARACTERS = 8


class AccessRefused(ValueError):
    """An app key cannot be issued or changed as asked; the message says why."""


class TooManyLiveTokens(AccessRefused):
    """Both slots are taken: revoke the token that is no longer used, then rotate."""


@transaction.atomic
def issue_app_key(
    *,
    owner_name: str,
    scopes: Iterable[str],
    actor: str,
    owner_contact: str = "",
    seller_ids: Iterable[str] | None = None,
    affiliate_ids: Iterable[str] | None = None,
    expires_at: datetime | None = None,
    token_expires_at: datetime | None = None,
    requests_per_minute: int | None = None,
    reason: str = "",
) -> tuple[AppKey, str]:
    """
    This function will create an app key with its first token, and return both.

    The token is returned here and never again: only its hash is stored. `seller_ids` and
    `affiliate_ids` of None mean all. Raises AccessRefused for unknown scopes or an empty owner.
    """
    if not owner_name.strip():
        raise AccessRefused("An app key needs an owner's name.")
    if owner_contact:
        _check_contact(owner_contact)
    key = AppKey.objects.create(
        app_key=KEY_PREFIX + "".join(secrets.choice(_READABLE) for _ in range(_KEY_LENGTH)),
        owner_name=owner_name.strip(),
        owner_contact=owner_contact,
        scopes=_known_scopes(scopes),
        seller_ids=_named_or_all(seller_ids, "seller_ids"),
        affiliate_ids=_named_or_all(affiliate_ids, "affiliate_ids"),
        expires_at=expires_at,
        requests_per_minute=_positive_or_default(requests_per_minute),
    )
    token = _add_token(key, slot=SLOTS[0], expires_at=token_expires_at)
    record_audit(
        actor=actor,
        action="app_key.issued",
        object_type="app_key",
        object_id=key.app_key,
        reason=reason,
        details={
            "scopes": key.scopes,
            "seller_ids": key.seller_ids,
            "affiliate_ids": key.affiliate_ids,
        },
    )
    return key, token


@transaction.atomic
def rotate_token(
    app_key: str,
    *,
    actor: str,
    reason: str = "",
    expires_at: datetime | None = None,
    revoke_oldest: bool = False,
) -> str:
    """
    This function will give a key a second token, beside the one in use, and return it.

    With two live tokens it raises TooManyLiveTokens, because revoking one by itself could cut off
    an integration; `revoke_oldest` says that this is wanted. Expired tokens make room.
    """
    key = _locked(app_key)
    _revoke_expired(key)
    live = list(key.tokens.filter(revoked_at__isnull=True).order_by("created_at", "id"))
    if len(live) == len(SLOTS) and revoke_oldest:
        _revoke(live.pop(0))
    if len(live) == len(SLOTS):
        shown = " and ".join(str(token) for token in live)
        raise TooManyLiveTokens(f"{key.app_key} has two live tokens, {shown}: revoke one first.")
    slot = next(slot for slot in SLOTS if slot not in {token.slot for token in live})
    token = _add_token(key, slot=slot, expires_at=expires_at)
    _record(key, actor, "app_token.issued", reason, {"slot": slot})
    forget_cached_key(key.app_key)
    return token


@transaction.atomic
def revoke_token(token_id: int, *, actor: str, reason: str) -> None:
    """This function will end a token for good; other processes notice in APP_KEY_CACHE_SECONDS."""
    token = AppToken.objects.select_related("app_key").get(pk=token_id)
    key = _locked(token.app_key.app_key)
    token.refresh_from_db()
    if token.revoked_at is not None:
        return
    _revoke(token)
    _record(key, actor, "app_token.revoked", reason, {"slot": token.slot})
    forget_cached_key(key.app_key)


@transaction.atomic
def deactivate(app_key: str, *, actor: str, reason: str) -> AppKey:
    """This function will shut a key out, tokens untouched, so that `activate` can undo it."""
    return _set_active(app_key, False, actor, reason)


@transaction.atomic
def activate(app_key: str, *, actor: str, reason: str) -> AppKey:
    """This function will let a deactivated key in again."""
    return _set_active(app_key, True, actor, reason)


@transaction.atomic
def limit_requests(
    app_key: str, *, requests_per_minute: int | None, actor: str, reason: str
) -> None:
    """This function will give a key a limit of its own; None is the setting's. Raises AccessRefused."""
    key = _locked(app_key)
    before, after = key.requests_per_minute, _positive_or_default(requests_per_minute)
    key.requests_per_minute = after
    key.save(update_fields=["requests_per_minute"])
    _record(key, actor, "app_key.limited", reason, {"requests_per_minute": [before, after]})
    forget_cached_key(key.app_key)


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _set_active(app_key: str, is_active: bool, actor: str, reason: str) -> AppKey:
    key = _locked(app_key)
    if key.is_active != is_active:
        key.is_active = is_active
        key.save(update_fields=["is_active"])
        _record(
            key, actor, "app_key.activated" if is_active else "app_key.deactivated", reason, {}
        )
        forget_cached_key(key.app_key)
    return key


def _locked(app_key: str) -> AppKey:
    return AppKey.objects.select_for_update().get(app_key=app_key)


def _add_token(key: AppKey, *, slot: int, expires_at: datetime | None) -> str:
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    AppToken.objects.create(
        app_key=key,
        slot=slot,
        token_hash=hash_token(token),
        prefix=token[:_SHOWN_CHARACTERS],
        expires_at=expires_at,
    )
    return token


def _revoke(token: AppToken) -> None:
    AppToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=Now())


def _revoke_expired(key: AppKey) -> None:
    expired = Q(revoked_at__isnull=True) & Q(expires_at__lte=Now())
    key.tokens.filter(expired).update(revoked_at=Now())


def _record(key: AppKey, actor: str, action: str, reason: str, details: dict[str, object]) -> None:
    record_audit(
        actor=actor,
        action=action,
        object_type="app_key",
        object_id=key.app_key,
        reason=reason,
        details=details,
    )


def _known_scopes(scopes: Iterable[str]) -> list[str]:
    asked = list(dict.fromkeys(str(scope) for scope in scopes))
    unknown = [scope for scope in asked if scope not in set(Scope)]
    if unknown or not asked:
        named = f"Unknown scope {', '.join(unknown)}" if unknown else "An app key needs a scope"
        raise AccessRefused(f"{named}. Scopes are: {', '.join(Scope)}.")
    return asked


def _named_or_all(ids: Iterable[str] | None, field: str) -> list[str] | None:
    if ids is None:
        return None
    named = [identifier for identifier in dict.fromkeys(ids) if identifier]
    if not named:
        raise AccessRefused(f"{field} must name at least one, or be absent for all.")
    return named


def _positive_or_default(requests_per_minute: int | None) -> int | None:
    if requests_per_minute is not None and not 0 < requests_per_minute <= 10_000_000:
        raise AccessRefused("A limit is 1 to 10,000,000 requests a minute, or none of its own.")
    return requests_per_minute


def _check_contact(contact: str) -> None:
    try:
        validate_email(contact)
    except ValidationError:
        raise AccessRefused("The owner's contact must be an e-mail address.") from None
