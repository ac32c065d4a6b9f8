"""Keys that poll the order list as if it were a feed: whose they are, and where a feed would begin."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from feeds.models import Channel, Subscription
from oms.access.list_pollers import list_pollers
from oms.backoffice.roles import May, require
from oms.backoffice.site import backoffice_site

MOST_SHOWN: Final = 200
# Whoever was not seen for so long has stopped: they changed over, or they sleep.
STOPPED_AFTER: Final = timedelta(days=1)
# The habits that the API recognizes (`oms.api.polling`).
HABITS: Final[Mapping[str, str]] = {
    "advancing dates": "Asks again and again, each time for a range of dates that has moved on",
    "page by page": "Walks all pages, then begins again at the first",
    "again and again": "Asks for the same list at even intervals",
}


@require_safe
def polling_page(request: HttpRequest) -> HttpResponse:
    """This view will list the keys that poll, those seen last first."""
    require(request, May.VIEW_INTEGRATIONS)
    feeds = Subscription.objects.filter(
        app_key=OuterRef("app_key"), channel=Channel.FEED, is_active=True
    )
    pollers = list(list_pollers().annotate(has_feed=Exists(feeds))[:MOST_SHOWN])
    stopped_before = timezone.now() - STOPPED_AFTER
    context = {
        **backoffice_site().page_context(request, "Integrations"),
        "rows": [
            (row, habit_words(row.pattern), row.last_seen_at >= stopped_before) for row in pollers
        ],
        "limit": MOST_SHOWN,
        "quota": settings.LIST_POLLER_REQUESTS_PER_MINUTE,
    }
    return TemplateResponse(request, "backoffice/polling_keys.html", context)


def habit_words(pattern: str) -> str:
    """This function will tell a habit in words; one it does not know as it is spelled."""
    return HABITS.get(pattern, pattern or "Polls the list")


backoffice_site().add_page("integrations/polling/", "polling_keys", polling_page)
