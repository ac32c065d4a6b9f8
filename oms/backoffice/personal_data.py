"""
Who sees personal data, and the trail of it.

Masked for everybody but roles that need it all day. Others reveal one order, with a reason that
goes to the audit log, for half an hour. Searching is no way around: it needs the full value,
answers masked rows, and leaves an audit entry with a fingerprint instead of the value.
"""

import time
from collections.abc import Sequence
from typing import Final

from django.db.models import Q
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from oms.backoffice.roles import May, actor_of, may, require
from oms.ops.audit import record_audit
from oms.orders.models import ClientProfile, Order
from oms.orders.selectors import Lookup, LookupKind

REVEALED_FOR_SECONDS: Final = 30 * 60
_SESSION: Final = "revealed_orders"
_MOST_REVEALED: Final = 50
PERSONAL_KINDS: Final = {
    LookupKind.EMAIL: "email_key",
    LookupKind.DOCUMENT: "document_key",
    LookupKind.PHONE: "phone_key",
}


def sees_everything(request: HttpRequest) -> bool:
    """This function will tell whether personal data is plain on every page for this person."""
    return may(request, May.VIEW_PERSONAL_DATA)


def sees_order(request: HttpRequest, order_pk: int) -> bool:
    """This function will tell whether this person sees the personal data of one order now."""
    if sees_everything(request):
        return True
    until = request.session.get(_SESSION, {}).get(str(order_pk), 0)
    return bool(may(request, May.REVEAL_PERSONAL_DATA) and until > time.time())


def reveal(request: HttpRequest, order: Order, reason: str) -> None:
    """This function will open the personal data of one order to this person, with an audit entry."""
    require(request, May.REVEAL_PERSONAL_DATA)
    record_audit(
        actor=actor_of(request),
        action="personal_data.revealed",
        object_type="order",
        object_id=order.order_id,
        reason=reason,
    )
    now = time.time()
    revealed = {
        pk: until for pk, until in request.session.get(_SESSION, {}).items() if until > now
    }
    kept = dict(list(revealed.items())[-(_MOST_REVEALED - 1) :])
    request.session[_SESSION] = {**kept, str(order.pk): now + REVEALED_FOR_SECONDS}


def personal_lookups(lookups: Sequence[Lookup], found_pks: Sequence[int]) -> list[Lookup]:
    """
    This function will return by which personal values a text was looked up.

    A number that named an order, an invoice or a parcel was no look-up of a person; one that
    found a buyer was, and so was one that found nothing and could have been a person's.
    """
    personal = [lookup for lookup in lookups if lookup.kind in PERSONAL_KINDS]
    if not personal or not found_pks:
        return personal
    clients = ClientProfile.objects.filter(order_id__in=found_pks)
    matches = Q()
    for lookup in personal:
        matches |= Q(**{PERSONAL_KINDS[lookup.kind]: lookup.value})
    keys = {
        value
        for row in clients.filter(matches).values_list(*PERSONAL_KINDS.values())
        for value in row
    }
    return [lookup for lookup in personal if lookup.value in keys]


def record_lookup(request: HttpRequest, lookups: Sequence[Lookup], found: Sequence[Order]) -> None:
    """This function will note in the audit log that somebody looked for a person's orders."""
    record_audit(
        actor=actor_of(request),
        action="orders.looked_up_by_person",
        object_type="order",
        object_id=found[0].order_id if len(found) == 1 else "",
        details={
            "by": [lookup.kind.value for lookup in lookups],
            "fingerprints": [fingerprint(lookup.value) for lookup in lookups],
            "found": len(found),
        },
    )


def fingerprint(value: str) -> str:
    """This function will make a value comparable without keeping it: keyed, so not guessable."""
    return salted_hmac("backoffice.lookup", value, algorithm="sha256").hexdigest()[:16]
