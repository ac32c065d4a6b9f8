"""Integrations: every key with a feed or a hook, and how each is doing. Pages that only read."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_safe

from feeds.models import Channel, FilterType, Replay
from oms.access.models import AppKey, ListPoller
from oms.access.scopes import SCOPE_MEANINGS, Scope
from oms.backoffice.hook_calls import read_attempts
from oms.backoffice.integration_acts import Done, offers_of
from oms.backoffice.integration_facts import (
    MOST_KEYS,
    Flow,
    address_words,
    hooks_silence,
    list_integrations,
    read_integration,
    troubled_hooks,
)
from oms.backoffice.integration_items import (
    EMPTY,
    SHELF_LABELS,
    Shelf,
    read_items,
)
from oms.backoffice.integration_states import COUNT_LIMIT, Condition
from oms.backoffice.lag_chart import SPAN_LABELS, SPANS, charts_of, read_lag
from oms.backoffice.roles import May, may, require
from oms.backoffice.site import backoffice_site
from oms.ops.models import AuditEntry

REPLAYS_SHOWN: Final = 5
TRAIL_SHOWN: Final = 8
ATTEMPTS_SHOWN: Final = 8
DEFAULT_SPAN: Final = "24h"
YOUNG_SPAN: Final = "6h"
ALARMING: Final = (Condition.DISABLED, Condition.FAILING, Condition.BEHIND)


@require_safe
def integrations_page(request: HttpRequest) -> HttpResponse:
    """This view will list all keys with a feed or a hook, those in trouble first."""
    require(request, May.VIEW_INTEGRATIONS)
    search = request.GET.get("q", "").strip()[:80]
    rows = list_integrations(timezone.now(), search=search)
    flows = [flow for row in rows for flow in row.flows if flow.subscription.is_active]
    context = {
        **backoffice_site().page_context(request, "Integrations"),
        "rows": rows,
        "search": search,
        "limit": MOST_KEYS,
        "troubled": sum(flow.condition in ALARMING for flow in flows),
        "parked": sum(flow.parked_count for flow in flows),
        "flow_count": len(flows),
        "silence": hooks_silence(flows, timezone.now()),
        "may_try": may(request, May.VIEW_RAW_DOCUMENT),
    }
    return TemplateResponse(request, "backoffice/integrations.html", context)


@require_safe
def integration_page(request: HttpRequest, pk: int) -> HttpResponse:
    """This view will show one key's feed or hook: how it is doing, its lag, its items, its calls."""
    require(request, May.VIEW_INTEGRATIONS)
    key = get_object_or_404(AppKey, pk=pk)
    return answer_integration(request, key, channel=request.GET.get("channel", ""))


@sensitive_variables("rotated", "context")
def answer_integration(
    request: HttpRequest, key: AppKey, *, channel: str, rotated: Done | None = None
) -> HttpResponse:
    """This function will answer the page of a key, with the secret that was just made, if one was."""
    now = timezone.now()
    integration = read_integration(key, now)
    flow = integration.flow(channel) or next(iter(integration.flows), None)
    context = {
        **backoffice_site().page_context(request, f"Integration of {key.owner_name}"),
        "content_title": "Integration",
        "key": key,
        "integration": integration,
        "flow": flow,
        "rotated": rotated,
        "poller": ListPoller.objects.filter(app_key=key).first(),
        "scopes": [
            (name, SCOPE_MEANINGS[Scope(name)]) for name in key.scopes if name in set(Scope)
        ],
        "trail": _trail(key) if may(request, "ops.view_auditentry") else [],
        "may_see_key": may(request, "access.view_appkey"),
        **(_flow_context(request, flow, now) if flow else {}),
    }
    return TemplateResponse(request, "backoffice/integration.html", context)


@require_safe
def attempts_page(request: HttpRequest, pk: int) -> HttpResponse:
    """This view will list the calls of a hook with what was sent and answered, newest first."""
    require(request, May.VIEW_INTEGRATIONS)
    key = get_object_or_404(AppKey, pk=pk)
    flow = read_integration(key, timezone.now()).hook
    if flow is None:
        raise Http404("This key has no hook.")
    only_failed = request.GET.get("show") == "failed"
    page = read_attempts(
        flow.subscription.pk, cursor=request.GET.get("older", ""), only_failed=only_failed
    )
    context = {
        **backoffice_site().page_context(request, f"Calls of the hook of {key.owner_name}"),
        "key": key,
        "flow": flow,
        "page": page,
        "only_failed": only_failed,
        "is_older": "older" in request.GET,
    }
    return TemplateResponse(request, "backoffice/integration_attempts.html", context)


def _flow_context(request: HttpRequest, flow: Flow, now: datetime) -> dict[str, Any]:
    subscription = flow.subscription
    return {
        **_items_context(request, flow, now),
        **_chart_context(request, flow, now),
        "offers": offers_of(request, flow),
        "silence": hooks_silence([flow], now),
        "count_limit": COUNT_LIMIT,
        "is_by_expression": subscription.filter_type == FilterType.FROM_ORDERS,
        "replays": list(
            Replay.objects.filter(subscription=subscription).order_by("-pk")[:REPLAYS_SHOWN]
        ),
        "attempts": read_attempts(subscription.pk, size=ATTEMPTS_SHOWN).attempts
        if subscription.channel == Channel.HOOK
        else [],
        "address": address_words(subscription.endpoint.url)
        if getattr(subscription, "endpoint", None)
        else "",
        "may_try": may(request, May.VIEW_RAW_DOCUMENT),
        "may_repair": may(request, May.REPAIR_INTEGRATIONS),
    }


def _items_context(request: HttpRequest, flow: Flow, now: datetime) -> dict[str, Any]:
    asked = request.GET.get("show", "")
    shelf = Shelf(asked) if asked in set(Shelf) else _first_shelf(flow)
    order_id = request.GET.get("order", "").strip()[:80]
    page = read_items(
        flow.subscription.pk,
        channel=flow.channel,
        shelf=shelf,
        cursor=request.GET.get("after", ""),
        order_id=order_id,
        now=now,
    )
    return {
        "shelf": shelf,
        "shelves": [(name.value, SHELF_LABELS[name]) for name in Shelf],
        "items": page,
        "items_order": order_id,
        "items_empty": EMPTY[shelf],
        "is_later_page": "after" in request.GET,
    }


def _first_shelf(flow: Flow) -> Shelf:
    if flow.parked_count:
        return Shelf.PARKED
    return Shelf.WAITING if flow.facts.open_count else Shelf.RECENT


def _chart_context(request: HttpRequest, flow: Flow, now: datetime) -> Mapping[str, Any]:
    asked = request.GET.get("span", "")
    is_young = now - flow.subscription.created_at < SPANS[YOUNG_SPAN]
    chosen = asked if asked in SPANS else YOUNG_SPAN if is_young else DEFAULT_SPAN
    points = read_lag(flow.subscription.pk, until=now, length=SPANS[chosen])
    return {
        "charts": charts_of(points, until=now, length=SPANS[chosen]),
        "span": chosen,
        "spans": SPAN_LABELS.items(),
    }


def _trail(key: AppKey) -> list[AuditEntry]:
    entries = AuditEntry.objects.filter(object_type="app_key", object_id=key.app_key)
    return list(entries.order_by("-id")[:TRAIL_SHOWN])


def _badge(request: HttpRequest) -> str:
    """Hooks that somebody must see to, on every page: nobody waits for their events to tell."""
    if not may(request, May.VIEW_INTEGRATIONS):
        return ""
    count = troubled_hooks()
    return str(count) if count else ""


backoffice_site().add_page("integrations/", "integrations", integrations_page)
backoffice_site().add_page("integrations/<int:pk>/", "integration", integration_page)
backoffice_site().add_page(
    "integrations/<int:pk>/attempts/", "integration_attempts", attempts_page
)
backoffice_site().add_badge("integrations", _badge)
