"""
Watches who walks the order list as if it were a feed, shows them the feed, and slows them down.

The last requests of a key are kept in memory, a few of a few keys; PostgreSQL is written to only
for a key that was recognized, once a minute and worker.
"""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse

from oms.access.authenticating import Principal
from oms.access.list_pollers import KnownPoller, note_list_poller
from oms.api.limiting import add_headers, refuse_above
from oms.api.polling import (
    THRESHOLDS,
    ListRequest,
    Pattern,
    RecentRequests,
    classify,
    read_request,
)
from oms.orders.ledger import last_position

BUCKET: Final = "list"
REQUESTS_KEPT: Final = 24
KEYS_WATCHED: Final = 2_000
NOTED_EVERY: Final = timedelta(seconds=60)
FEED_CONFIG: Final = "/api/orders/feed/config"
EVENTS: Final = "/api/events"

logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Watched:
    requests: RecentRequests = field(
        default_factory=lambda: RecentRequests(REQUESTS_KEPT, 2 * THRESHOLDS.span)
    )
    known: KnownPoller | None = None
    noted_at: datetime | None = None
    not_noted: int = 0


_watched: dict[int, _Watched] = {}
_lock = threading.Lock()


def watch_list(
    request: HttpRequest, principal: Principal, *, at: datetime | None = None
) -> HttpResponse | None:
    """
    This function will remember a request of the list and return a 429 for a poller above its quota.

    A recognized poller's answers carry `Deprecation`, and `Link` to the feed and to the ledger from
    where the present list ends.
    """
    asked = read_request(request.GET.dict(), at or datetime.now(UTC))
    with _lock:
        if len(_watched) >= KEYS_WATCHED and principal.key_id not in _watched:
            _watched.clear()
        watched = _watched.setdefault(principal.key_id, _Watched())
        pattern = classify(watched.requests.and_then(asked))
        if pattern is None and not principal.polls_list:
            return None
        watched.not_noted += 1
    known = _note(principal, watched, asked, pattern)
    if known is not None:
        add_headers(request, _headers_of(known))
    return refuse_above(request, principal, BUCKET, settings.LIST_POLLER_REQUESTS_PER_MINUTE)


def forget_watched() -> None:
    """This function will empty this process's memory of list requests (tests)."""
    with _lock:
        _watched.clear()


def _note(
    principal: Principal, watched: _Watched, asked: ListRequest, pattern: Pattern | None
) -> KnownPoller | None:
    if watched.noted_at is not None and asked.at - watched.noted_at < NOTED_EVERY:
        return watched.known
    watched.noted_at, count, watched.not_noted = asked.at, watched.not_noted, 0
    try:
        with transaction.atomic():
            watched.known = note_list_poller(
                principal.key_id,
                pattern=pattern,
                example=asked.names,
                request_count=count,
                position=last_position(),
            )
    except DatabaseError as error:  # the list itself is what was asked for
        logger.warning("api.poller_not_noted", error=type(error).__name__)
    return watched.known


def _headers_of(known: KnownPoller) -> dict[str, str]:
    return {
        "Deprecation": f"@{int(known.first_seen_at.timestamp())}",
        "Link": (
            f'<{FEED_CONFIG}>; rel="successor-version", '
            f'<{EVENTS}?after={known.starting_position}>; rel="successor-version"'
        ),
    }
